// Convolution: shapes, the choice of tiles, the three directions.
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "bind/recall.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

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

}  // namespace

Direction direction_of(const std::string& name) {
  if (name == "forward") return Direction::forward;
  if (name == "input_grad") return Direction::input_grad;
  if (name == "weight_grad") return Direction::weight_grad;
  throw std::invalid_argument("'" + name + "' is not a direction");
}

namespace {

Tiles tiles_for(const ConvShape& s, const std::string& direction, const std::string& algorithm, bool wide, bool kept,
                bool fast) {
  const Algorithm wanted = algorithm == "direct"     ? Algorithm::direct
                           : algorithm == "winograd" ? Algorithm::winograd
                           : algorithm == "fft"      ? Algorithm::fft
                                                     : Algorithm::automatic;
  return wide ? choose_tiles<double>(s, direction_of(direction), wanted, kept, fast)
              : choose_tiles<float>(s, direction_of(direction), wanted, kept, fast);
}

py::dict cost(const ConvShape& s, const std::string& direction, const Tiles& tiles, bool wide, bool kept) {
  const Direction which = direction_of(direction);
  const Cost c = wide ? cost_of<double>(s, which, tiles, kept) : cost_of<float>(s, which, tiles, kept);
  double products = 0;
  index chain = 0;
  py::list scratch;
  for (const Work& work : c.works) {
    products += work.products;
    chain = std::max(chain, work.chain);
    scratch.append(py::make_tuple(work.shared, work.scratch, work.workers));
  }
  py::dict d;
  d["multiplications"] = static_cast<std::int64_t>(products);
  d["chain"] = chain;
  d["packed"] = c.packed;
  d["scratch"] = py::tuple(scratch);
  d["amplification"] = c.amplification;
  return d;
}

template <class T>
void run(const ConvShape& s, Direction direction, const Tiles& tiles, const Array<T>& x, const T* w,
         PackedForms<T>* kept, const std::optional<Array<T>>& bias, bool relu, Array<T>& y) {
  const bool forward = direction == Direction::forward;
  const T* from = read("x", x, forward ? s.x_size() : s.y_size());
  const T* b = bias ? read("b", *bias, forward ? s.out_channels : s.in_channels) : nullptr;
  T* to = write("y", y, forward ? s.y_size() : s.x_size());
  const py::gil_scoped_release release;
  convolve(s, direction, tiles, from, w, kept, b, relu, to);
}

template <class T>
void run_packing(const ConvShape& s, const std::string& direction, const Tiles& tiles, const Array<T>& x,
                 const Array<T>& w, const std::optional<Array<T>>& bias, bool relu, Array<T>& y) {
  run<T>(s, direction_of(direction), tiles, x, read("w", w, s.w_size()), nullptr, bias, relu, y);
}

template <class T>
void run_kept(const ConvShape& s, const std::string& direction, const Tiles& tiles, const Array<T>& x, KeptWeight& w,
              const std::optional<Array<T>>& bias, bool relu, Array<T>& y) {
  require_size("w", w.w.size(), s.w_size());
  if (!py::isinstance<Array<T>>(w.w)) throw ShapeError("w and x have different element types");
  run<T>(s, direction_of(direction), tiles, x, static_cast<const T*>(w.w.data()), w.forms<T>(), bias, relu, y);
}

template <class T>
void weight_grad(const ConvShape& s, const Tiles& tiles, const Array<T>& x, const Array<T>& dy, Array<T>& dw,
                 std::optional<Array<T>>& db) {
  T* sums = db ? write("db", *db, s.out_channels) : nullptr;
  conv_weight_grad(s, tiles, read("x", x, s.x_size()), read("dy", dy, s.y_size()), write("dw", dw, s.w_size()), sums);
}

template <class T>
void bind_conv_of(py::module_& m) {
  const auto def = [&m](auto function) {
    m.def("convolve", function, py::arg("shape"), py::arg("direction"), py::arg("tiles"), py::arg("x").noconvert(),
          py::arg("w").noconvert(), py::arg("b").noconvert(), py::arg("relu"), py::arg("y").noconvert());
  };
  def(&run_packing<T>);
  def(&run_kept<T>);
  m.def("conv_weight_grad", &weight_grad<T>, py::arg("shape"), py::arg("tiles"), py::arg("x").noconvert(),
        py::arg("dy").noconvert(), py::arg("dw").noconvert(), py::arg("db").noconvert(),
        py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_conv(py::module_& m) {
  py::class_<ConvShape>(m, "ConvShape", "Sizes of a convolution on three axes, checked once.")
      .def(py::init(&make_shape), py::arg("batch"), py::arg("in_channels"), py::arg("out_channels"), py::arg("groups"),
           py::arg("input"), py::arg("kernel"), py::arg("stride"), py::arg("dilation"), py::arg("pad_before"),
           py::arg("pad_after"))
      .def_readonly("output", &ConvShape::out);
  m.def("conv_tiles", &tiles_for, py::arg("shape"), py::arg("direction"), py::arg("algorithm"), py::arg("wide"),
        py::arg("kept"), py::arg("fast"),
        "Winograd's tiles on each axis that a request comes to; all 1 is the direct algorithm.");
  m.def("conv_cost", &cost, py::arg("shape"), py::arg("direction"), py::arg("tiles"), py::arg("wide"), py::arg("kept"),
        "What a call with these tiles costs: numbers, bytes, threads.");
  bind_conv_of<float>(m);
  bind_conv_of<double>(m);
  bind_conv_calls(m);
}

}  // namespace pcx::bind
