// Weights into panels: one panel of output channels after the other, each in the order in which its kernel reads it.
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/correlation.h"

namespace pcx {

namespace {

constexpr index deepest_chunk = 640;       // channels x taps summed in registers, if there are channels to cut
constexpr index most_depth = 4096;         // channels x taps summed in registers, however large the kernel
constexpr index largest_window = 4 << 20;  // bytes of packed input that one row of 64 positions may need

index divide_up(index a, index b) { return (a + b - 1) / b; }

// Slots that `positions` neighbours need on this axis: the hull of their taps, or each tap on its own.
index least_slots(const CorrelationAxis& axis, index positions) {
  const index hull = (positions - 1) * axis.step + (axis.taps - 1) * std::abs(axis.tap_step) + 1;
  return std::min(hull, axis.taps * positions);
}

}  // namespace

Chunks chunks_of(const Correlation& problem, std::size_t element_bytes) {
  const index taps = std::max<index>(1, problem.taps());
  index most = std::max<index>(16, deepest_chunk / taps / 16 * 16);
  most = std::min<index>(most, 256);
  const index slots =
      least_slots(problem.axis[0], 1) * least_slots(problem.axis[1], 1) * least_slots(problem.axis[2], 64);
  const index affordable = std::max<index>(1, largest_window / (slots * static_cast<index>(element_bytes)));
  const index channels = std::max<index>(1, problem.in_channels);
  const index parts = divide_up(channels, std::min(most, affordable));
  index even = divide_up(channels, parts);
  if (parts > 1 && even > 16) even = std::min(divide_up(even, 16) * 16, std::min(most, affordable));
  return {even, most_depth};
}

template <class T>
index packed_size(const Correlation& problem) {
  const Kernels<T>& k = kernels<T>();
  const index full = problem.out_channels / k.panel * k.panel, left = problem.out_channels - full;
  const index columns = full + (left == 0 ? 0 : k.width(left));
  return problem.groups * problem.taps() * problem.in_channels * columns;
}

namespace {

// One tap of one channel chunk: a row of `width` for each channel, of which `columns` are real; `stride` between rows.
template <class T>
void pack_tap(const Kernels<T>& kernels, const T* w, const WeightStrides& strides, index channels, index columns,
              index width, index stride, T* to) {
  if (columns < width) {
    for (index c = 0; c < channels; ++c) std::fill_n(to + c * stride + columns, width - columns, T(0));
  }
  if (strides.out == 1) {
    for (index c = 0; c < channels; ++c) std::copy_n(w + c * strides.in, columns, to + c * stride);
  } else {  // the input gradient reads the weight the other way round
    kernels.transpose(w, strides.out, to, stride, columns, channels);
  }
}

}  // namespace

template <class T>
void pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed) {
  const Kernels<T>& k = kernels<T>();
  const Chunks chunks = chunks_of(problem, sizeof(T));
  const CorrelationAxis &ad = problem.axis[0], &ah = problem.axis[1], &aw = problem.axis[2];
  const index taps = problem.taps(), panels = divide_up(problem.out_channels, k.panel);
  const index group_size = problem.groups ? packed_size<T>(problem) / problem.groups : 0;
  auto tap_source = [&](index td, index th, index tw) {
    return (ad.kernel_first + td * ad.kernel_step) * strides.kernel[0] +
           (ah.kernel_first + th * ah.kernel_step) * strides.kernel[1] +
           (aw.kernel_first + tw * aw.kernel_step) * strides.kernel[2];
  };
  const index tasks = problem.groups * panels;
  const int workers = packed_size<T>(problem) < (1 << 18) ? 1 : workers_for(tasks);
  parallel_for(tasks, workers, [&](index task, int) {
    const index group = task / panels, panel = task % panels, first = panel * k.panel;
    const index columns = std::min<index>(k.panel, problem.out_channels - first);
    const index width = k.width(columns);
    const T* source = w + group * strides.group + first * strides.out;
    T* to = packed + group * group_size + first * taps * problem.in_channels;
    for (index c0 = 0; c0 < problem.in_channels; c0 += chunks.channels) {
      const index channels = std::min(chunks.channels, problem.in_channels - c0);
      for (index row = 0; row < ad.taps * ah.taps; ++row, to += channels * aw.taps * width) {
        for (index tw = 0; tw < aw.taps; ++tw) {
          const T* from = source + c0 * strides.in + tap_source(row / ah.taps, row % ah.taps, tw);
          pack_tap(k, from, strides, channels, columns, width, aw.taps * width, to + tw * width);
        }
      }
    }
  });
}

template index packed_size<float>(const Correlation&);
template index packed_size<double>(const Correlation&);
template void pack(const Correlation&, const float*, const WeightStrides&, float*);
template void pack(const Correlation&, const double*, const WeightStrides&, double*);

}  // namespace pcx
