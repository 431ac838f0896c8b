// Forward convolution: one correlation. (The choice between algorithms for this direction belongs here.)
#include "ops/parts.h"

namespace pcx {

std::vector<Correlation> forward_parts(const ConvShape& s) {
  std::vector<Correlation> parts(1);  // in its place: copies would show in calls for one element
  Correlation& p = parts[0];
  p.batch = s.batch;
  p.groups = s.groups;
  p.in_channels = s.group_in();
  p.out_channels = s.group_out();
  for (int a = 0; a < 3; ++a) {
    CorrelationAxis& axis = p.axis[a];
    axis.in = s.in[a];
    axis.positions = axis.out = s.out[a];
    axis.first = -s.pad_before[a];
    axis.step = s.stride[a];
    axis.taps = s.kernel[a];
    axis.tap_step = s.dilation[a];
    axis.out_first = 0;
    axis.out_step = 1;
    axis.kernel_first = 0;
    axis.kernel_step = 1;
  }
  return parts;
}

template <class T>
std::vector<index> conv_forward(const ConvShape& shape, const T* x, const PackedWeight<T>& w, const T* bias, bool relu,
                                T* y) {
  return run_parts(shape, Direction::forward, x, w, bias, relu, y);
}

template std::vector<index> conv_forward(const ConvShape&, const float*, const PackedWeight<float>&, const float*, bool,
                                         float*);
template std::vector<index> conv_forward(const ConvShape&, const double*, const PackedWeight<double>&, const double*,
                                         bool, double*);

}  // namespace pcx
