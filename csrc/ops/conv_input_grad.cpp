// Input gradient: dx[i] sums dy[o] w[t] over all o stride + t dilation - pad = i. For stride s the positions
// i = r, r + s, r + 2 s, ... of a residue r see the same taps, every (s / gcd(s, dilation))-th one, so each residue
// is a correlation of its own. (The choice between algorithms for this direction belongs here.)
#include <algorithm>
#include <numeric>

#include "base/division.h"
#include "base/parallel.h"
#include "ops/parts.h"

namespace pcx {

namespace {

// Where there is no stride there is one residue, and what follows from it needs no divisions, which would take a fifth
// of a small call.
index residues_reached(const ConvShape& s, int a) {
  if (s.stride[a] == 1) return std::min<index>(s.kernel[a], 1);
  return std::min(s.kernel[a], s.stride[a] / std::gcd(s.stride[a], s.dilation[a]));
}

// The residue that the kernel's tap `tap` reaches, tap < residues_reached.
CorrelationAxis residue_axis(const ConvShape& s, int a, index tap) {
  const index stride = s.stride[a], dilation = s.dilation[a];
  const index lead = tap * dilation - s.pad_before[a];  // dx position that this tap reaches from dy position 0
  CorrelationAxis axis{};
  axis.in = s.out[a];
  axis.out = s.in[a];
  axis.step = 1;
  if (stride == 1) {
    axis.out_step = axis.kernel_step = 1;
    axis.positions = s.in[a];
    axis.first = -lead;
    axis.taps = s.kernel[a];
    axis.tap_step = -dilation;
    return axis;
  }
  const index common = std::gcd(stride, dilation);
  axis.out_first = (lead % stride + stride) % stride;
  axis.out_step = stride;
  axis.positions = axis.out_first < axis.out ? (axis.out - 1 - axis.out_first) / stride + 1 : 0;
  axis.first = (axis.out_first - lead) / stride;
  axis.kernel_first = tap;
  axis.kernel_step = stride / common;
  axis.taps = (s.kernel[a] - 1 - tap) / axis.kernel_step + 1;
  axis.tap_step = -(dilation / common);
  return axis;
}

}  // namespace

std::vector<Correlation> input_grad_parts(const ConvShape& s) {
  std::vector<Correlation> parts;
  Correlation p{s.batch, s.groups, s.group_out(), s.group_in(), {}};
  for (index d = 0; d < residues_reached(s, 0); ++d) {
    p.axis[0] = residue_axis(s, 0, d);
    for (index h = 0; h < residues_reached(s, 1); ++h) {
      p.axis[1] = residue_axis(s, 1, h);
      for (index w = 0; w < residues_reached(s, 2); ++w) {
        p.axis[2] = residue_axis(s, 2, w);
        parts.push_back(p);
      }
    }
  }
  return parts;
}

bool reaches_everything(const ConvShape& s) {
  for (int a = 0; a < 3; ++a) {
    if (residues_reached(s, a) < s.stride[a]) return false;
  }
  return true;
}

template <class T>
void fill_unreached(const ConvShape& s, const T* bias, bool relu, T* dx) {
  constexpr index task_size = 1 << 15, parallel_size = 1 << 17;  // elements
  const index channels = s.in_channels, pixels = s.x_size() / channels, each = divide_up(task_size, channels);
  const index tasks = divide_up(pixels, each);
  parallel_for(tasks, s.x_size() < parallel_size ? 1 : workers_for(tasks), [&](index task, int) {
    T* const first = dx + task * each * channels;
    T* const last = dx + std::min(pixels, (task + 1) * each) * channels;
    if (!bias) return std::fill(first, last, T(0));
    for (T* pixel = first; pixel < last; pixel += channels) {
      for (index c = 0; c < channels; ++c) pixel[c] = relu && bias[c] < 0 ? T(0) : bias[c];
    }
  });
}

template <class T>
std::vector<index> conv_input_grad(const ConvShape& shape, const T* dy, const PackedWeight<T>& w, const T* bias,
                                   bool relu, T* dx) {
  return run_parts(shape, Direction::input_grad, dy, w, bias, relu, dx);
}

template void fill_unreached(const ConvShape&, const float*, bool, float*);
template void fill_unreached(const ConvShape&, const double*, bool, double*);
template std::vector<index> conv_input_grad(const ConvShape&, const float*, const PackedWeight<float>&, const float*,
                                            bool, float*);
template std::vector<index> conv_input_grad(const ConvShape&, const double*, const PackedWeight<double>&, const double*,
                                            bool, double*);

}  // namespace pcx
