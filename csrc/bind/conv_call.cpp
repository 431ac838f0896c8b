// Convolutions that are remembered: from the caller's arrays to the result without a look at anything else.
#include <pybind11/stl.h>

#include "bind/recall.h"

namespace pcx::bind {

namespace {

bool is_brief(const ConvShape& s) {
  return s.y_size() * s.taps() * s.group_in() <= brief_products &&
         s.x_size() + s.y_size() + s.w_size() <= brief_elements;
}

// args: name, rank, x or dy, w, b or options, ...
template <class T>
Call convolution(const ConvShape& shape, Direction direction, const Tiles& tiles, bool relu, const Sizes& sizes) {
  return [=, brief = is_brief(shape)](PyObject* const* args, PyObject* out) -> py::object {
    KeptWeight* kept = kept_weight(args[3]);
    const T* x = data_of<T>(args[2]);
    const T* w = data_of<T>(kept ? kept->w.ptr() : args[3]);
    const T* bias = is_plain_array(args[4]) ? data_of<T>(args[4]) : nullptr;
    py::object y = result_array<T>(sizes, out);
    if (!y) return y;
    T* to = data_of<T>(y.ptr());
    PackedForms<T>* forms = kept ? kept->forms<T>() : nullptr;
    without_gil_unless(brief, [&] { convolve(shape, direction, tiles, x, w, forms, bias, relu, to); });
    return y;
  };
}

// args: name, rank, x, dy, ...
template <class T>
Call weight_gradient(const ConvShape& shape, const Tiles& tiles, const Sizes& sizes) {
  return [=, brief = is_brief(shape), channels = Sizes{shape.out_channels}](PyObject* const* args,
                                                                            PyObject*) -> py::object {
    const T* x = data_of<T>(args[2]);
    const T* dy = data_of<T>(args[3]);
    py::object dw = new_array<T>(sizes), db = new_array<T>(channels);
    T* to = data_of<T>(dw.ptr());
    T* sums = data_of<T>(db.ptr());
    without_gil_unless(brief, [&] { conv_weight_grad(shape, tiles, x, dy, to, sums); });
    return pair(dw, db);
  };
}

template <class T>
Call call_of(const ConvShape& shape, Direction direction, const Tiles& tiles, bool relu, const Sizes& sizes) {
  return direction == Direction::weight_grad ? weight_gradient<T>(shape, tiles, sizes)
                                             : convolution<T>(shape, direction, tiles, relu, sizes);
}

void remember_conv(const ConvShape& shape, const std::string& name, const Tiles& tiles, bool relu, bool wide,
                   const Sizes& sizes, const py::tuple& args) {
  const Direction direction = direction_of(name);
  remember(wide ? call_of<double>(shape, direction, tiles, relu, sizes)
                : call_of<float>(shape, direction, tiles, relu, sizes),
           args);
}

}  // namespace

void bind_conv_calls(py::module_& m) {
  m.def("remember_conv", &remember_conv, py::arg("shape"), py::arg("direction"), py::arg("tiles"), py::arg("relu"),
        py::arg("wide"), py::arg("sizes"), py::arg("args"), "Lets recall(*args) do what this call came to.");
}

}  // namespace pcx::bind
