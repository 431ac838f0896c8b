// Weights for scattering: pass by pass, panel by panel of partial results, chunk by chunk of channels of x, in the
// order in which conv_pixels reads them.
#include <algorithm>

#include "isa/dispatch.h"
#include "ops/scatter.h"

namespace pcx {

namespace {

// The weight as columns of partial results: (row of taps, tap, channel of y).
template <class T>
struct Columns {
  const Scatter& problem;
  const T* w;
  const WeightStrides& strides;

  const T* tap(index row, index t) const {
    const auto& [ad, ah, aw] = problem.axis;
    const index d = row / ah.taps, h = row % ah.taps;
    return w + (ad.kernel_first + d * ad.kernel_step) * strides.kernel[0] +
           (ah.kernel_first + h * ah.kernel_step) * strides.kernel[1] +
           (aw.kernel_first + t * aw.kernel_step) * strides.kernel[2];
  }
};

// Columns [first, first + count) of a pass, for channels [c0, c0 + channels) of x: a row of `width` for each.
template <class T>
void pack_panel(const Columns<T>& from, const ScatterPass& pass, index first, index count, index width, index c0,
                index channels, T* to) {
  const Kernels<T>& k = kernels<T>();
  const WeightStrides& strides = from.strides;
  const index out = from.problem.out_channels, taps = from.problem.axis[2].taps;
  const index row = from.problem.row_columns();
  // Columns that are equally far apart in w: of the input gradient a row of taps, or all where no tap is left out.
  const bool input_grad = from.problem.axis[2].kernel_step > 0;
  const bool whole = strides.kernel[1] == taps * strides.kernel[2] &&
                     strides.kernel[0] == from.problem.axis[1].taps * strides.kernel[1];
  for (index n = 0, some; n < count; n += some) {
    const index tap = (first + n) / out, channel = (first + n) % out;
    some = std::min(count - n, !input_grad ? out - channel : whole ? count : row - (first + n) % row);
    const T* w = from.tap(pass.first + tap / taps, tap % taps) + channel * strides.out + c0 * strides.in;
    if (strides.in == 1) {
      k.transpose(w, strides.out, to + n, width, some, channels);
    } else {
      for (index c = 0; c < channels; ++c) std::copy_n(w + c * strides.in, some, to + c * width + n);
    }
  }
  if (count == width) return;
  for (index c = 0; c < channels; ++c) std::fill_n(to + c * width + count, width - count, T(0));
}

// A pass of so few columns that conv_pixels lays its lanes along the channels of x.
template <class T>
void pack_few(const Columns<T>& from, const ScatterPass& pass, index c0, index channels, index lanes, T* to) {
  const index out = from.problem.out_channels, taps = from.problem.axis[2].taps;
  for (index block = 0; block < channels; block += lanes) {
    for (index n = 0; n < pass.columns; ++n) {
      const index tap = n / out;
      const T* w = from.tap(pass.first + tap / taps, tap % taps) + n % out * from.strides.out;
      for (index c = block; c < block + lanes; ++c) *to++ = c < channels ? w[(c0 + c) * from.strides.in] : T(0);
    }
  }
}

// The weight of one group.
template <class T>
void pack_group(const Scatter& problem, const ScatterPlan& plan, const T* w, const WeightStrides& strides, T* packed) {
  const Kernels<T>& k = kernels<T>();
  const Columns<T> from{problem, w, strides};
  for (const ScatterPass& pass : plan.passes) {
    T* to = packed + pass.packed;
    const index panel = pass.over_lanes || problem.planar ? pass.columns : k.panel;
    for (index first = 0; first < pass.columns; first += panel) {
      const index count = std::min(panel, pass.columns - first);
      for (index c0 = 0; c0 < problem.in_channels; c0 += plan.chunk) {
        const index channels = std::min(plan.chunk, problem.in_channels - c0);
        if (pass.over_lanes) {
          pack_few(from, pass, c0, channels, k.lanes, to);
          to += (channels + k.lanes - 1) / k.lanes * k.lanes * count;
        } else {
          const index width = problem.planar ? count : k.whole_width(count);
          pack_panel(from, pass, first, count, width, c0, channels, to);
          to += channels * width;
        }
      }
    }
  }
}

}  // namespace

template <class T>
void scatter_pack(const Scatter& problem, const T* w, const WeightStrides& strides, T* packed) {
  const ScatterPlan plan = ScatterPlan::of<T>(problem);
  for (index group = 0; group < problem.groups; ++group) {
    pack_group(problem, plan, w + group * strides.group, strides, packed + group * plan.packed);
  }
}

template void scatter_pack(const Scatter&, const float*, const WeightStrides&, float*);
template void scatter_pack(const Scatter&, const double*, const WeightStrides&, double*);

}  // namespace pcx
