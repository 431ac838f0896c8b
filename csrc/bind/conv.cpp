// Convolution: shapes, packed weights, the three directions.
#include <pybind11/stl.h>

#include <optional>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;

ConvShape make_shape(std::int64_t batch, std::int64_t in_channels, std::int64_t out_channels, std::int64_t groups,
                     const Axes& in, const Axes& kernel, const Axes& stride, const Axes& dilation,
                     const Axes& pad_before, const Axes& pad_after) {
  ConvShape s;
  s.batch = batch;
  s.in_channels = in_channels;
  s.out_channels = out_channels;
  s.groups = groups;
  s.in = in;
  s.kernel = kernel;
  s.stride = stride;
  s.dilation = dilation;
  s.pad_before = pad_before;
  s.pad_after = pad_after;
  s.finish();
  return s;
}

ConvShape with_batch(ConvShape s, std::int64_t batch) {
  s.batch = batch;
  s.finish();
  return s;
}

Direction direction_of(const std::string& name) {
  if (name == "forward") return Direction::forward;
  if (name == "input_grad") return Direction::input_grad;
  if (name == "weight_grad") return Direction::weight_grad;
  throw std::invalid_argument("'" + name + "' is not a direction");
}

Tiles tiles_for(const ConvShape& s, const std::string& direction, const std::string& algorithm, bool wide, bool kept,
                bool fast) {
  const Algorithm wanted = algorithm == "direct"     ? Algorithm::direct
                           : algorithm == "winograd" ? Algorithm::winograd
                                                     : Algorithm::automatic;
  return wide ? choose_tiles<double>(s, direction_of(direction), wanted, kept, fast)
              : choose_tiles<float>(s, direction_of(direction), wanted, kept, fast);
}

template <class T>
PackedWeight<T> pack(const ConvShape& s, const std::string& direction, const Tiles& tiles, const Array<T>& w) {
  return pack_weight(s, direction_of(direction), tiles, read("w", w, s.w_size()));
}

template <class T>
const T* bias_of(const std::optional<Array<T>>& bias, std::int64_t channels) {
  return bias ? read("b", *bias, channels) : nullptr;
}

template <class T>
std::vector<index> forward(const ConvShape& s, const Array<T>& x, const PackedWeight<T>& w,
                           const std::optional<Array<T>>& bias, bool relu, Array<T>& y) {
  return conv_forward(s, read("x", x, s.x_size()), w, bias_of(bias, s.out_channels), relu, write("y", y, s.y_size()));
}

template <class T>
std::vector<index> input_grad(const ConvShape& s, const Array<T>& dy, const PackedWeight<T>& w,
                              const std::optional<Array<T>>& bias, bool relu, Array<T>& dx) {
  return conv_input_grad(s, read("dy", dy, s.y_size()), w, bias_of(bias, s.in_channels), relu,
                         write("dx", dx, s.x_size()));
}

template <class T>
void weight_grad(const ConvShape& s, const Tiles& tiles, const Array<T>& x, const Array<T>& dy, Array<T>& dw,
                 std::optional<Array<T>>& db) {
  T* sums = db ? write("db", *db, s.out_channels) : nullptr;
  conv_weight_grad(s, tiles, read("x", x, s.x_size()), read("dy", dy, s.y_size()), write("dw", dw, s.w_size()), sums);
}

template <class T>
void bind_type(py::module_& m, const char* packed_name) {
  py::class_<PackedWeight<T>>(m, packed_name, "A weight in the form that the kernels read.")
      .def_property_readonly("isa", [](const PackedWeight<T>& w) { return std::string(w.table->isa); })
      .def_property_readonly("nbytes", [](const PackedWeight<T>& w) { return w.size * sizeof(T); });
  m.def("pack_weight", &pack<T>, py::arg("shape"), py::arg("direction"), py::arg("tiles"), py::arg("w").noconvert(),
        Release());
  m.def("conv_forward", &forward<T>, py::arg("shape"), py::arg("x").noconvert(), py::arg("w"), py::arg("b").noconvert(),
        py::arg("relu"), py::arg("y").noconvert(), Release());
  m.def("conv_input_grad", &input_grad<T>, py::arg("shape"), py::arg("dy").noconvert(), py::arg("w"),
        py::arg("b").noconvert(), py::arg("relu"), py::arg("dx").noconvert(), Release());
  m.def("conv_weight_grad", &weight_grad<T>, py::arg("shape"), py::arg("tiles"), py::arg("x").noconvert(),
        py::arg("dy").noconvert(), py::arg("dw").noconvert(), py::arg("db").noconvert(), Release());
}

}  // namespace

void bind_conv(py::module_& m) {
  py::class_<ConvShape>(m, "ConvShape", "Sizes of a convolution on three axes, checked once.")
      .def(py::init(&make_shape), py::arg("batch"), py::arg("in_channels"), py::arg("out_channels"), py::arg("groups"),
           py::arg("input"), py::arg("kernel"), py::arg("stride"), py::arg("dilation"), py::arg("pad_before"),
           py::arg("pad_after"))
      .def_readonly("output", &ConvShape::out)
      .def("with_batch", &with_batch, py::arg("batch"), "The same for another number of pictures.");
  m.def("conv_tiles", &tiles_for, py::arg("shape"), py::arg("direction"), py::arg("algorithm"), py::arg("wide"),
        py::arg("kept"), py::arg("fast"),
        "Winograd's tiles on each axis that a request comes to; all 1 is the direct algorithm.");
  bind_type<float>(m, "PackedWeight32");
  bind_type<double>(m, "PackedWeight64");
}

}  // namespace pcx::bind
