// Pooling, Gram matrices, the ReLU and the sum of two arrays, remembered as convolutions are.
#include <limits>

#include <pybind11/stl.h>

#include "bind/recall.h"

namespace pcx::bind {

namespace {

template <class Function>
auto with_index(int bytes, const Function& function) {
  if (bytes == 1) return function(std::uint8_t{});
  if (bytes == 2) return function(std::uint16_t{});
  return function(std::uint32_t{});
}

bool is_brief(const PoolShape& s) { return s.y_size() * s.taps() <= brief_elements && s.x_size() <= brief_elements; }

// args: name, rank, x, ...
template <class T>
Call max_forward(const PoolShape& shape, const Sizes& sizes, bool with_indices) {
  return [=, brief = is_brief(shape)](PyObject* const* args, PyObject* out) -> py::object {
    const T* x = data_of<T>(args[2]);
    py::object y = result_array<T>(sizes, out), indices;
    if (!y) return y;
    if (with_indices) {
      indices = with_index(shape.index_bytes(), [&](auto type) { return new_array<decltype(type)>(sizes); });
    }
    T* to = data_of<T>(y.ptr());
    void* positions = with_indices ? data_of<void>(indices.ptr()) : nullptr;
    without_gil_unless(brief, [&] { max_pool(shape, x, to, positions); });
    return with_indices ? pair(y, indices) : y;
  };
}

// args: name, rank, dy, indices, ...
template <class T>
Call max_grad(const PoolShape& shape, const Sizes& sizes) {
  return [=, brief = is_brief(shape)](PyObject* const* args, PyObject* out) -> py::object {
    const T* dy = data_of<T>(args[2]);
    const void* positions = data_of<void>(args[3]);
    py::object dx = result_array<T>(sizes, out);
    if (!dx) return dx;
    T* to = data_of<T>(dx.ptr());
    without_gil_unless(brief, [&] { max_pool_grad(shape, dy, positions, to); });
    return dx;
  };
}

// args: name, rank, x or dy, ...
template <class T>
Call average(const PoolShape& shape, const Sizes& sizes, bool count_include_pad, bool gradient) {
  return [=, brief = is_brief(shape)](PyObject* const* args, PyObject* out) -> py::object {
    const T* from = data_of<T>(args[2]);
    py::object result = result_array<T>(sizes, out);
    if (!result) return result;
    T* to = data_of<T>(result.ptr());
    const auto run = gradient ? avg_pool_grad<T> : avg_pool<T>;
    without_gil_unless(brief, [&] { run(shape, from, count_include_pad, to); });
    return result;
  };
}

// args: name, x, ...
template <class T>
Call gram_matrix(const GramShape& shape, const Sizes& sizes, bool normalize) {
  const bool brief = shape.batch * shape.positions * shape.channels * shape.channels <= brief_products;
  return [=](PyObject* const* args, PyObject* out) -> py::object {
    const T* x = data_of<T>(args[1]);
    py::object g = result_array<T>(sizes, out);
    if (!g) return g;
    T* to = data_of<T>(g.ptr());
    without_gil_unless(brief, [&] { gram(shape, x, normalize, to); });
    return g;
  };
}

// args: name, x, dg, ...
template <class T>
Call gram_gradient(const GramShape& shape, const Sizes& sizes, bool normalize) {
  const bool brief = shape.batch * shape.positions * shape.channels * shape.channels <= brief_products;
  return [=](PyObject* const* args, PyObject* out) -> py::object {
    const T* x = data_of<T>(args[1]);
    const T* dg = data_of<T>(args[2]);
    py::object dx = result_array<T>(sizes, out);
    if (!dx) return dx;
    T* to = data_of<T>(dx.ptr());
    without_gil_unless(brief, [&] { gram_grad(shape, x, dg, normalize, to); });
    return dx;
  };
}

// args: name, x
template <class T>
Call rectified(const Sizes& sizes) {
  index count = 1;
  for (py::ssize_t size : sizes) count *= size;
  return [=](PyObject* const* args, PyObject*) -> py::object {
    const T* x = data_of<T>(args[1]);
    py::object y = new_array<T>(sizes);
    T* to = data_of<T>(y.ptr());
    without_gil_unless(count <= brief_elements, [&] { relu(x, to, count); });
    return y;
  };
}

// args: name, a, b, relu, None or which of the two the sum overwrites
template <class T>
Call sum(const Sizes& sizes, bool with_relu, int into) {
  index count = 1;
  for (py::ssize_t size : sizes) count *= size;
  const T floor = with_relu ? T(0) : -std::numeric_limits<T>::infinity();
  return [=](PyObject* const* args, PyObject*) -> py::object {
    const bool over = into >= 0 && py::reinterpret_borrow<py::array>(args[1 + into]).writeable();
    py::object y = over ? py::reinterpret_borrow<py::object>(args[1 + into]) : new_array<T>(sizes);
    T* to = data_of<T>(y.ptr());
    without_gil_unless(count <= brief_elements,
                       [&] { add_arrays(data_of<T>(args[1]), data_of<T>(args[2]), floor, to, count); });
    return y;
  };
}

}  // namespace

void bind_pool_calls(py::module_& m) {
  m.def(
      "remember_max_pool",
      [](const PoolShape& shape, bool with_indices, bool wide, const Sizes& sizes, const py::tuple& args) {
        remember(
            wide ? max_forward<double>(shape, sizes, with_indices) : max_forward<float>(shape, sizes, with_indices),
            args);
      },
      py::arg("shape"), py::arg("with_indices"), py::arg("wide"), py::arg("sizes"), py::arg("args"));
  m.def(
      "remember_max_pool_grad",
      [](const PoolShape& shape, bool wide, const Sizes& sizes, const py::tuple& args) {
        remember(wide ? max_grad<double>(shape, sizes) : max_grad<float>(shape, sizes), args);
      },
      py::arg("shape"), py::arg("wide"), py::arg("sizes"), py::arg("args"));
  m.def(
      "remember_avg_pool",
      [](const PoolShape& shape, bool count_include_pad, bool gradient, bool wide, const Sizes& sizes,
         const py::tuple& args) {
        remember(wide ? average<double>(shape, sizes, count_include_pad, gradient)
                      : average<float>(shape, sizes, count_include_pad, gradient),
                 args);
      },
      py::arg("shape"), py::arg("count_include_pad"), py::arg("gradient"), py::arg("wide"), py::arg("sizes"),
      py::arg("args"));
  m.def(
      "remember_gram",
      [](const Sizes& flat, bool normalize, bool gradient, bool wide, const Sizes& sizes, const py::tuple& args) {
        if (flat.size() != 3) throw ShapeError("x must have 3 axes: batch, positions, channels");
        const GramShape shape{flat[0], flat[1], flat[2]};
        if (gradient)
          remember(
              wide ? gram_gradient<double>(shape, sizes, normalize) : gram_gradient<float>(shape, sizes, normalize),
              args);
        else
          remember(wide ? gram_matrix<double>(shape, sizes, normalize) : gram_matrix<float>(shape, sizes, normalize),
                   args);
      },
      py::arg("flat"), py::arg("normalize"), py::arg("gradient"), py::arg("wide"), py::arg("sizes"), py::arg("args"));
  m.def(
      "remember_relu",
      [](bool wide, const Sizes& sizes, const py::tuple& args) {
        remember(wide ? rectified<double>(sizes) : rectified<float>(sizes), args);
      },
      py::arg("wide"), py::arg("sizes"), py::arg("args"));
  m.def(
      "remember_add",
      [](bool wide, const Sizes& sizes, bool with_relu, std::optional<int> into, const py::tuple& args) {
        if (into && *into != 0 && *into != 1) throw std::invalid_argument("into must be None, 0 or 1");
        const int which = into.value_or(-1);
        remember(wide ? sum<double>(sizes, with_relu, which) : sum<float>(sizes, with_relu, which), args);
      },
      py::arg("wide"), py::arg("sizes"), py::arg("relu"), py::arg("into"), py::arg("args"));
}

}  // namespace pcx::bind
