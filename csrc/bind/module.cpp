// The extension module: one line a family.
#include <stdexcept>
#include "bind/arrays.h"

namespace {

namespace py = pybind11;

void raise(const char* type, const char* what) {
  py::object error = py::module_::import("pyconvx.errors").attr(type);
  PyErr_SetString(error.ptr(), what);
}

// The core throws ShapeError for sizes, std::invalid_argument for options; Python has one base for both.
void translate_error(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const pcx::ShapeError& shape_error) {
    raise("ShapeError", shape_error.what());
  } catch (const std::invalid_argument& option_error) {
    raise("OptionError", option_error.what());
  }
}

}  // namespace

// No state of the module depends on the GIL: the pool has a lock, the instruction set is atomic, threads own the rest.
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Compute core of pyconvx; use the functions of the package, which explain bad arguments.";
  py::register_exception_translator(translate_error);
  pcx::bind::bind_runtime(m);
  pcx::bind::bind_recall(m);
  pcx::bind::bind_replay(m);
  pcx::bind::bind_channels(m);
  pcx::bind::bind_conv(m);
  pcx::bind::bind_elementwise(m);
  pcx::bind::bind_gram(m);
  pcx::bind::bind_distance(m);
  pcx::bind::bind_pool(m);
  pcx::bind::bind_pyramid(m);
  pcx::bind::bind_transpose(m);
}
