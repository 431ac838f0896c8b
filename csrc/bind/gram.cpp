// Gram matrices: x is (batch, positions, channels).
#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;

template <class T>
GramShape shape_of(const Array<T>& x) {
  if (x.ndim() != 3) throw ShapeError("x must have 3 axes: batch, positions, channels");
  const GramShape s{x.shape(0), x.shape(1), x.shape(2)};
  checked_product("x", {s.batch, s.positions, s.channels});
  checked_product("g", {s.batch, s.channels, s.channels});
  return s;
}

template <class T>
void forward(const Array<T>& x, bool normalize, Array<T>& g) {
  const GramShape s = shape_of(x);
  gram(s, x.data(), normalize, write("g", g, s.batch * s.channels * s.channels));
}

template <class T>
void grad(const Array<T>& x, const Array<T>& dg, bool normalize, Array<T>& dx) {
  const GramShape s = shape_of(x);
  const T* from = read("dg", dg, s.batch * s.channels * s.channels);
  gram_grad(s, x.data(), from, normalize, write("dx", dx, x.size()));
}

template <class T>
void bind_gram_of(py::module_& m) {
  m.def("gram", &forward<T>, py::arg("x").noconvert(), py::arg("normalize"), py::arg("g").noconvert(), Release());
  m.def("gram_grad", &grad<T>, py::arg("x").noconvert(), py::arg("dg").noconvert(), py::arg("normalize"),
        py::arg("dx").noconvert(), Release());
}

}  // namespace

void bind_gram(py::module_& m) {
  bind_gram_of<float>(m);
  bind_gram_of<double>(m);
}

}  // namespace pcx::bind
