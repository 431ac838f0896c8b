// Elementwise functions: arrays of any shape, read as one long row.
#include <limits>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;
using Bits = Array<std::uint8_t>;

template <class T>
void call_add_arrays(const Array<T>& a, const Array<T>& b, bool relu, Array<T>& y) {
  const index count = a.size();
  add_arrays(a.data(), read("b", b, count), relu ? T(0) : -std::numeric_limits<T>::infinity(), write("y", y, count),
             count);
}

template <class T>
void call_relu(const Array<T>& x, Array<T>& y) {
  relu(x.data(), write("y", y, x.size()), x.size());
}

template <class T>
void call_relu_passed(const Array<T>& y, Bits& passed) {
  relu_passed(y.data(), write("passed", passed, (y.size() + 7) / 8), y.size());
}

template <class T>
void call_keep_passed(const Array<T>& dy, const Bits& passed, Array<T>& dx) {
  const index count = dy.size();
  keep_passed(dy.data(), read("passed", passed, (count + 7) / 8), write("dx", dx, count), count);
}

template <class T>
void bind_elementwise_of(py::module_& m) {
  m.def("add_arrays", &call_add_arrays<T>, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("relu"),
        py::arg("y").noconvert(), Release());
  m.def("relu", &call_relu<T>, py::arg("x").noconvert(), py::arg("y").noconvert(), Release());
  m.def("relu_passed", &call_relu_passed<T>, py::arg("y").noconvert(), py::arg("passed").noconvert(), Release());
  m.def("keep_passed", &call_keep_passed<T>, py::arg("dy").noconvert(), py::arg("passed").noconvert(),
        py::arg("dx").noconvert(), Release());
}

}  // namespace

void bind_elementwise(py::module_& m) {
  bind_elementwise_of<float>(m);
  bind_elementwise_of<double>(m);
}

}  // namespace pcx::bind
