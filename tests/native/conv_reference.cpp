#include "conv_reference.h"

namespace pcx::check {

namespace {

// value * row[k] for all k: a loop that compilers vectorize, or most of a check's time would be spent here.
template <class T>
void add_row(index size, double value, const T* row, Reference& to, index at) {
  double* __restrict sum = &to.sum[at], * __restrict extent = &to.extent[at];
  index* __restrict terms = &to.terms[at];
  for (index k = 0; k < size; ++k) {
    const double product = value * static_cast<double>(row[k]);
    sum[k] += product;
    extent[k] += std::fabs(product);
    ++terms[k];
  }
}

template <class T>
void add_dot(index size, const T* a, const T* b, Reference& to, index at) {
  double sum = 0, extent = 0;
  for (index k = 0; k < size; ++k) {
    const double product = static_cast<double>(a[k]) * static_cast<double>(b[k]);
    sum += product;
    extent += std::fabs(product);
  }
  to.sum[at] += sum;
  to.extent[at] += extent;
  to.terms[at] += size;
}

}  // namespace

template <class T>
Wanted::Wanted(const ConvShape& s, const T* x, const T* w, const T* dy)
    : y(s.y_size()), dx(s.x_size()), dw(s.w_size()) {
  auto place = [&](int axis, index out, index tap) {
    return out * s.stride[axis] + tap * s.dilation[axis] - s.pad_before[axis];
  };
  const index positions = s.out[0] * s.out[1] * s.out[2], in = s.group_in(), out = s.group_out();
  for (index q = 0; q < s.batch * positions; ++q) {
    for (index t = 0; t < s.taps(); ++t) {
      const index d = place(0, q / (s.out[1] * s.out[2]) % s.out[0], t / (s.kernel[1] * s.kernel[2]));
      const index h = place(1, q / s.out[2] % s.out[1], t / s.kernel[2] % s.kernel[1]);
      const index v = place(2, q % s.out[2], t % s.kernel[2]);
      if (d < 0 || d >= s.in[0] || h < 0 || h >= s.in[1] || v < 0 || v >= s.in[2]) continue;
      const index pixel = ((q / positions * s.in[0] + d) * s.in[1] + h) * s.in[2] + v;
      for (index c = 0; c < s.in_channels; ++c) {
        const index xi = pixel * s.in_channels + c, yi = q * s.out_channels + c / in * out;
        const index wi = (t * in + c % in) * s.out_channels + c / in * out;
        add_row(out, static_cast<double>(x[xi]), w + wi, y, yi);
        add_row(out, static_cast<double>(x[xi]), dy + yi, dw, wi);
        add_dot(out, dy + yi, w + wi, dx, xi);
      }
    }
  }
}
template Wanted::Wanted(const ConvShape&, const float*, const float*, const float*);
template Wanted::Wanted(const ConvShape&, const double*, const double*, const double*);

void start(Report& report, const ConvShape& s, std::size_t bytes) {
  std::string text = std::to_string(bytes) + " bytes, batch " + std::to_string(s.batch) + ", channels " +
                     std::to_string(s.in_channels) + " to " + std::to_string(s.out_channels) + " in " +
                     std::to_string(s.groups);
  auto axes = [&](const char* name, const Axes& a) {
    text += std::string(", ") + name;
    for (index n : a) text += " " + std::to_string(n);
  };
  axes("in", s.in);
  axes("kernel", s.kernel);
  axes("stride", s.stride);
  axes("dilation", s.dilation);
  axes("before", s.pad_before);
  axes("after", s.pad_after);
  report.start("%s", text.c_str());
}

ConvShape large_shape(index size, index channels, index kernel, index stride) {
  ConvShape s;
  s.batch = 2;
  s.in_channels = channels;
  s.out_channels = channels + 5;
  s.in = {1, size, size + 1};
  s.kernel = {1, kernel, kernel};
  s.stride = {1, stride, stride};
  s.dilation = {1, 1, 1};
  s.pad_before = s.pad_after = {0, kernel / 2, kernel / 2};
  s.finish();
  return s;
}

ConvShape padded_shape(index rows, index columns, index in_channels, index out_channels, index stride) {
  ConvShape s;
  s.batch = 1;
  s.in_channels = in_channels;
  s.out_channels = out_channels;
  s.in = {1, rows, columns};
  s.kernel = {1, 3, 3};
  s.stride = {1, stride, stride};
  s.dilation = {1, 1, 1};
  s.pad_before = s.pad_after = {0, 1, 1};
  return s;
}

}  // namespace pcx::check
