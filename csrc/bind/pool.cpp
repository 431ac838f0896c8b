// Pooling: shapes and both directions.
#include <pybind11/stl.h>

#include <optional>

#include "bind/recall.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;

PoolShape make_shape(std::int64_t batch, std::int64_t channels, const Axes& in, const Axes& kernel, const Axes& stride,
                     const Axes& dilation, const Axes& pad_before, const Axes& pad_after, bool ceil_mode) {
  PoolShape s;
  s.batch = batch;
  s.channels = channels;
  s.in = in;
  s.kernel = kernel;
  s.stride = stride;
  s.dilation = dilation;
  s.pad_before = pad_before;
  s.pad_after = pad_after;
  s.ceil_mode = ceil_mode;
  s.finish();
  return s;
}

// Indices are unsigned integers of whichever size holds a position, so they come as arrays of any type.
void require_indices(const PoolShape& s, const py::array& indices) {
  require_size("indices", indices.size(), s.y_size());
  const py::dtype type = indices.dtype();
  if (type.kind() != 'u' || type.itemsize() != s.index_bytes() || !(indices.flags() & py::array::c_style)) {
    throw ShapeError("indices must be C-contiguous unsigned integers of " + std::to_string(s.index_bytes()) + " bytes");
  }
}

template <class T>
void call_max_pool(const PoolShape& s, const Array<T>& x, Array<T>& y, std::optional<py::array>& indices) {
  const T* from = read("x", x, s.x_size());
  T* to = write("y", y, s.y_size());
  if (indices) require_indices(s, *indices);
  void* positions = indices ? indices->mutable_data() : nullptr;
  py::gil_scoped_release release;
  max_pool(s, from, to, positions);
}

template <class T>
void call_max_pool_grad(const PoolShape& s, const Array<T>& dy, const py::array& indices, Array<T>& dx) {
  const T* from = read("dy", dy, s.y_size());
  T* to = write("dx", dx, s.x_size());
  require_indices(s, indices);
  const void* positions = indices.data();
  py::gil_scoped_release release;
  max_pool_grad(s, from, positions, to);
}

template <class T>
void call_avg_pool(const PoolShape& s, const Array<T>& x, bool count_include_pad, Array<T>& y) {
  avg_pool(s, read("x", x, s.x_size()), count_include_pad, write("y", y, s.y_size()));
}

template <class T>
void call_avg_pool_grad(const PoolShape& s, const Array<T>& dy, bool count_include_pad, Array<T>& dx) {
  avg_pool_grad(s, read("dy", dy, s.y_size()), count_include_pad, write("dx", dx, s.x_size()));
}

template <class T>
void bind_pool_of(py::module_& m) {
  m.def("max_pool", &call_max_pool<T>, py::arg("shape"), py::arg("x").noconvert(), py::arg("y").noconvert(),
        py::arg("indices").noconvert());
  m.def("max_pool_grad", &call_max_pool_grad<T>, py::arg("shape"), py::arg("dy").noconvert(),
        py::arg("indices").noconvert(), py::arg("dx").noconvert());
  m.def("avg_pool", &call_avg_pool<T>, py::arg("shape"), py::arg("x").noconvert(), py::arg("count_include_pad"),
        py::arg("y").noconvert(), Release());
  m.def("avg_pool_grad", &call_avg_pool_grad<T>, py::arg("shape"), py::arg("dy").noconvert(),
        py::arg("count_include_pad"), py::arg("dx").noconvert(), Release());
}

}  // namespace

void bind_pool(py::module_& m) {
  py::class_<PoolShape>(m, "PoolShape", "Sizes of a pooling on three axes, checked once.")
      .def(py::init(&make_shape), py::arg("batch"), py::arg("channels"), py::arg("input"), py::arg("kernel"),
           py::arg("stride"), py::arg("dilation"), py::arg("pad_before"), py::arg("pad_after"), py::arg("ceil_mode"))
      .def_readonly("output", &PoolShape::out)
      .def_property_readonly("index_bytes", &PoolShape::index_bytes);
  bind_pool_of<float>(m);
  bind_pool_of<double>(m);
  bind_pool_calls(m);
}

}  // namespace pcx::bind
