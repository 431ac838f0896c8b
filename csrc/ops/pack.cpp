// Weights into panels: one panel of output channels after the other, each in the order in which its kernel reads it.
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/correlation.h"

namespace pcx {

namespace {

constexpr index deepest_chunk = 640;       // channels x taps of a chunk, if there are channels to cut
constexpr index deepest_narrow = 4096;     // the same for few output channels, whose weights stay in L1
constexpr index most_depth = 1024;         // channels x taps summed in registers, however large the kernel
constexpr index most_channels = 256;       // of a chunk
constexpr index largest_window = 4 << 20;  // bytes of packed input that one row of 64 positions may need

index divide_up(index a, index b) { return (a + b - 1) / b; }

// Slots that `positions` neighbours need on this axis: the hull of their taps, or each tap on its own.
index least_slots(const CorrelationAxis& axis, index positions) {
  const index hull = (positions - 1) * axis.step + (axis.taps - 1) * std::abs(axis.tap_step) + 1;
  return std::min(hull, axis.taps * positions);
}

bool narrow_only(const Correlation& problem, std::size_t element_bytes) {
  return problem.out_channels <= (element_bytes == 4 ? kernels<float>().narrow : kernels<double>().narrow);
}

}  // namespace

Correlation ascending(Correlation problem) {
  for (CorrelationAxis& axis : problem.axis) {
    if (axis.tap_step >= 0 || axis.taps < 1) continue;
    axis.first += (axis.taps - 1) * axis.tap_step;
    axis.kernel_first += (axis.taps - 1) * axis.kernel_step;
    axis.tap_step = -axis.tap_step;
    axis.kernel_step = -axis.kernel_step;
  }
  return problem;
}

Chunks chunks_of(const Correlation& problem, std::size_t element_bytes) {
  const bool narrow = narrow_only(problem, element_bytes);
  const index taps = std::max<index>(1, problem.taps()), deepest = narrow ? deepest_narrow : deepest_chunk;
  const index most = std::min<index>(std::max<index>(16, deepest / taps / 16 * 16), most_channels);
  const index slots =
      least_slots(problem.axis[0], 1) * least_slots(problem.axis[1], 1) * least_slots(problem.axis[2], 64);
  const index affordable = std::max<index>(1, largest_window / (slots * static_cast<index>(element_bytes)));
  const index channels = std::max<index>(1, problem.in_channels);
  const index parts = divide_up(channels, std::min(most, affordable));
  index even = divide_up(channels, parts);
  if (parts > 1 && even > 16) even = std::min(divide_up(even, 16) * 16, std::min(most, affordable));
  const CorrelationAxis& axis = problem.axis[2];
  const bool together = even >= channels && axis.tap_step == 1 && axis.step <= axis.taps;
  return {even, narrow ? deepest_narrow : most_depth, together ? axis.taps : 1};
}

template <class T>
bool in_rows(const Correlation& problem) {
  const Kernels<T>& k = kernels<T>();
  return problem.out_channels <= k.narrow && problem.in_channels < k.lanes;
}

template <class T>
index packed_chunk_size(const Correlation& problem, const Chunks& chunks, index channels, index columns) {
  const Kernels<T>& k = kernels<T>();
  if (columns > k.narrow) return problem.taps() * channels * k.whole_width(columns);
  return problem.taps() / chunks.run_taps * divide_up(chunks.run_taps * channels, k.lanes) * k.lanes * columns;
}

template <class T>
index packed_size(const Correlation& given) {
  const Correlation problem = ascending(given);
  if (in_rows<T>(problem)) return problem.groups * problem.taps() * problem.in_channels * problem.out_channels;
  const Kernels<T>& k = kernels<T>();
  const Chunks chunks = chunks_of(problem, sizeof(T));
  const index full = problem.out_channels / k.panel * k.panel, left = problem.out_channels - full;
  index size = problem.taps() * problem.in_channels * full;
  const index last = problem.in_channels % chunks.channels;
  if (left) {
    size += problem.in_channels / chunks.channels * packed_chunk_size<T>(problem, chunks, chunks.channels, left);
    if (last) size += packed_chunk_size<T>(problem, chunks, last, left);
  }
  return problem.groups * size;
}

namespace {

// The weight of one panel of one group.
template <class T>
struct Source {
  const Correlation& problem;
  const T* w;
  const WeightStrides& strides;
  index columns;

  const T* tap(index d, index h, index w_tap) const {
    const auto& [ad, ah, aw] = problem.axis;
    return w + (ad.kernel_first + d * ad.kernel_step) * strides.kernel[0] +
           (ah.kernel_first + h * ah.kernel_step) * strides.kernel[1] +
           (aw.kernel_first + w_tap * aw.kernel_step) * strides.kernel[2];
  }
};

// One tap of one channel chunk: a row of `width` for each channel, of which `columns` are real.
template <class T>
void pack_tap(const Kernels<T>& kernels, const T* w, const WeightStrides& strides, index channels, index columns,
              index width, T* to) {
  if (columns < width) {
    for (index c = 0; c < channels; ++c) std::fill_n(to + c * width + columns, width - columns, T(0));
  }
  if (strides.out == 1) {
    for (index c = 0; c < channels; ++c) std::copy_n(w + c * strides.in, columns, to + c * width);
  } else {  // the input gradient reads the weight the other way round
    kernels.transpose(w, strides.out, to, width, columns, channels);
  }
}

// One row of taps for the kernel of few columns: `run_taps` taps follow one another, then zeros up to a whole vector.
template <class T>
T* pack_runs(const Source<T>& source, index d, index h, index c0, index channels, index run_taps, index lanes, T* to) {
  for (index first = 0; first < source.problem.axis[2].taps; first += run_taps) {
    const index length = run_taps * channels;
    for (index block = 0; block < length; block += lanes, to += lanes * source.columns) {
      for (index lane = 0; lane < lanes; ++lane) {
        const index i = block + lane;
        const T* from =
            i < length ? source.tap(d, h, first + i / channels) + (c0 + i % channels) * source.strides.in : nullptr;
        for (index k = 0; k < source.columns; ++k) {
          to[k * lanes + lane] = from ? from[k * source.strides.out] : T(0);
        }
      }
    }
  }
  return to;
}

// One row of taps for windows whose pixels are neighbours.
template <class T>
T* pack_window_row(const Source<T>& source, index d, index h, index c0, index channels, T* to) {
  for (index c = c0; c < c0 + channels; ++c) {
    for (index w = 0; w < source.problem.axis[2].taps; ++w) {
      const T* from = source.tap(d, h, w) + c * source.strides.in;
      for (index k = 0; k < source.columns; ++k) *to++ = from[k * source.strides.out];
    }
  }
  return to;
}

template <class T>
void pack_panel(const Source<T>& source, const Chunks& chunks, T* to) {
  const Kernels<T>& k = kernels<T>();
  const Correlation& p = source.problem;
  const bool rows = in_rows<T>(p), few = source.columns <= k.narrow;
  const index width = k.whole_width(source.columns);
  for (index c0 = 0; c0 < p.in_channels; c0 += chunks.channels) {
    const index channels = std::min(chunks.channels, p.in_channels - c0);
    for (index d = 0; d < p.axis[0].taps; ++d) {
      for (index h = 0; h < p.axis[1].taps; ++h) {
        if (rows) {
          to = pack_window_row(source, d, h, c0, channels, to);
        } else if (few) {
          to = pack_runs(source, d, h, c0, channels, chunks.run_taps, k.lanes, to);
        } else {
          for (index w = 0; w < p.axis[2].taps; ++w, to += channels * width) {
            const T* from = source.tap(d, h, w) + c0 * source.strides.in;
            pack_tap(k, from, source.strides, channels, source.columns, width, to);
          }
        }
      }
    }
  }
}

}  // namespace

template <class T>
void pack(const Correlation& given, const T* w, const WeightStrides& strides, T* packed) {
  const Correlation problem = ascending(given);
  const Kernels<T>& k = kernels<T>();
  const Chunks chunks = chunks_of(problem, sizeof(T));
  const index depth = problem.taps() * problem.in_channels, panels = divide_up(problem.out_channels, k.panel);
  const index size = packed_size<T>(problem), group_size = problem.groups ? size / problem.groups : 0;
  const index tasks = problem.groups * panels;
  parallel_for(tasks, size < (1 << 18) ? 1 : workers_for(tasks), [&](index task, int) {
    const index group = task / panels, first = task % panels * k.panel;
    const index columns = std::min<index>(k.panel, problem.out_channels - first);
    pack_panel(Source<T>{problem, w + group * strides.group + first * strides.out, strides, columns}, chunks,
               packed + group * group_size + first * depth);
  });
}

template bool in_rows<float>(const Correlation&);
template bool in_rows<double>(const Correlation&);
template index packed_chunk_size<float>(const Correlation&, const Chunks&, index, index);
template index packed_chunk_size<double>(const Correlation&, const Chunks&, index, index);
template index packed_size<float>(const Correlation&);
template index packed_size<double>(const Correlation&);
template void pack(const Correlation&, const float*, const WeightStrides&, float*);
template void pack(const Correlation&, const double*, const WeightStrides&, double*);

}  // namespace pcx
