// Normalisation of channels: arrays of any shape whose last axis is the channels.
#include <limits>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;
using Wide = Array<double>;

template <class T>
index channels_of(const Array<T>& x) {
  if (x.ndim() < 1 || x.shape(x.ndim() - 1) == 0) throw ShapeError("x has no channels");
  return x.shape(x.ndim() - 1);
}

template <class T>
void call_moments(const Array<T>& x, Wide& mean, Wide& variance) {
  const index channels = channels_of(x);
  channel_moments(x.data(), x.size() / channels, channels, write("mean", mean, channels),
                  write("variance", variance, channels));
}

template <class T>
void call_map(const Array<T>& x, const Array<T>& scale, const Array<T>& shift, bool relu, Array<T>& y) {
  const index channels = channels_of(x);
  const T floor = relu ? T(0) : -std::numeric_limits<T>::infinity();
  channel_map(x.data(), read("scale", scale, channels), read("shift", shift, channels), floor, write("y", y, x.size()),
              x.size() / channels, channels);
}

template <class T>
ChannelGrad<T> part_of(const Array<T>& x, const Array<T>& dy, const Array<T>& mean, const Array<T>& scale,
                       const Array<T>& shift, bool relu) {
  const index channels = channels_of(x);
  return {x.data(),
          read("dy", dy, x.size()),
          read("mean", mean, channels),
          read("scale", scale, channels),
          read("shift", shift, channels),
          x.size() / channels,
          channels,
          relu};
}

template <class T>
void call_grad_sums(const Array<T>& x, const Array<T>& dy, const Array<T>& mean, const Array<T>& scale,
                    const Array<T>& shift, bool relu, Wide& total, Wide& along) {
  const ChannelGrad<T> part = part_of(x, dy, mean, scale, shift, relu);
  channel_grad_sums(part, write("total", total, part.channels), write("along", along, part.channels));
}

template <class T>
void call_grad(const Array<T>& x, const Array<T>& dy, const Array<T>& mean, const Array<T>& scale,
               const Array<T>& shift, bool relu, const Array<T>& slope, const Array<T>& constant, Array<T>& dx) {
  const ChannelGrad<T> part = part_of(x, dy, mean, scale, shift, relu);
  channel_grad(part, read("slope", slope, part.channels), read("constant", constant, part.channels),
               write("dx", dx, x.size()));
}

template <class T>
void bind_channels_of(py::module_& m) {
  const auto x = py::arg("x").noconvert(), dy = py::arg("dy").noconvert(), mean = py::arg("mean").noconvert();
  const auto scale = py::arg("scale").noconvert(), shift = py::arg("shift").noconvert();
  const auto relu = py::arg("relu");
  m.def("channel_moments", &call_moments<T>, x, mean, py::arg("variance").noconvert(), Release());
  m.def("channel_map", &call_map<T>, x, scale, shift, relu, py::arg("y").noconvert(), Release());
  m.def("channel_grad_sums", &call_grad_sums<T>, x, dy, mean, scale, shift, relu, py::arg("total").noconvert(),
        py::arg("along").noconvert(), Release());
  m.def("channel_grad", &call_grad<T>, x, dy, mean, scale, shift, relu, py::arg("slope").noconvert(),
        py::arg("constant").noconvert(), py::arg("dx").noconvert(), Release());
}

}  // namespace

void bind_channels(py::module_& m) {
  bind_channels_of<float>(m);
  bind_channels_of<double>(m);
}

}  // namespace pcx::bind
