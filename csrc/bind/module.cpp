// The extension module: one line a family.
#include "bind/arrays.h"

namespace {

namespace py = pybind11;

void translate_shape_error(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const pcx::ShapeError& shape_error) {
    py::object type = py::module_::import("pyconvx.errors").attr("ShapeError");
    PyErr_SetString(type.ptr(), shape_error.what());
  }
}

}  // namespace

// No state of the module depends on the GIL: the pool has a lock, the instruction set is atomic, threads own the rest.
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.doc() = "Compute core of pyconvx; use the functions of the package, which explain bad arguments.";
  py::register_exception_translator(translate_shape_error);
  pcx::bind::bind_runtime(m);
  pcx::bind::bind_conv(m);
  pcx::bind::bind_gram(m);
}
