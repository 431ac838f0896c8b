// Layout changes.
#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

template <class T>
void call(const Array<T>& x, Array<T>& y) {
  if (x.ndim() != 3 || y.ndim() != 3 || x.shape(0) != y.shape(0) || x.shape(1) != y.shape(2) ||
      x.shape(2) != y.shape(1)) {
    throw ShapeError("transpose_batch wants x (n, r, c) and y (n, c, r)");
  }
  transpose_batch(x.data(), x.shape(0), x.shape(1), x.shape(2), y.mutable_data());
}

}  // namespace

void bind_transpose(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  m.def("transpose_batch", &call<float>, py::arg("x").noconvert(), py::arg("y").noconvert(), Release());
  m.def("transpose_batch", &call<double>, py::arg("x").noconvert(), py::arg("y").noconvert(), Release());
}

}  // namespace pcx::bind
