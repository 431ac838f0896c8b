// Weights into panels: one panel of output channels after the other, each in the order in which its kernel reads it.
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/mixed.h"

namespace pcx {

namespace {

constexpr index deepest_chunk = 640;       // channels x taps of a chunk, if there are channels to cut
constexpr index deepest_panel = 2048;      // the same where x is read once, or for one panel only: in longer pieces
constexpr index deepest_narrow = 4096;     // the same for few output channels, whose weights stay in L1
constexpr index most_depth = 1024;         // channels x taps summed in registers, however large the kernel
constexpr index most_channels = 256;       // of a chunk
constexpr index least_once = 64;           // of one that is read once
constexpr index one_set = 4096;            // bytes between lines of one set of the first-level cache
constexpr index few_channels = 8;          // that are copied for each tap where a row of taps should be one run
constexpr index panels_at_once = 32;       // a row of the weight is read along
constexpr index largest_window = 4 << 20;  // bytes of packed input that one row of 64 positions may need

// Slots that `positions` neighbours need on this axis: the hull of their taps, or each tap on its own.
index least_slots(const CorrelationAxis& axis, index positions) {
  const index hull = (positions - 1) * axis.step + (axis.taps - 1) * std::abs(axis.tap_step) + 1;
  return std::min(hull, axis.taps * positions);
}

// Taps of neighbouring positions that overlap in x.
bool neighbours(const CorrelationAxis& axis) { return axis.tap_step == 1 && axis.step <= axis.taps; }

// Whether no place of x is seen from two positions: a copy of it would be used once.
bool seen_once(const Correlation& problem) {
  const auto once = [](const CorrelationAxis& axis) { return (axis.taps - 1) * std::abs(axis.tap_step) < axis.step; };
  return problem.taps() > 1 && std::all_of(problem.axis.begin(), problem.axis.end(), once);
}

bool narrow_only(const Correlation& problem, std::size_t element_bytes) {
  return element_bytes == 4 ? over_lanes<float>(problem, problem.out_channels)
                            : over_lanes<double>(problem, problem.out_channels);
}

template <class T>
bool crowded_patch(const Correlation& problem, index channels) {
  return problem.out_channels > kernels<T>().lanes && crowded<T>(problem.axis[2].step * channels);
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
  const bool single = problem.out_channels <= (element_bytes == 4 ? kernels<float>().panel : kernels<double>().panel);
  const index taps = std::max<index>(1, problem.taps());
  const bool once = seen_once(problem);
  const index deepest = narrow ? deepest_narrow : single || once ? deepest_panel : deepest_chunk;
  const index deep = std::max<index>(16, deepest / taps / 16 * 16), most = once ? deep : std::min(deep, most_channels);
  const index slots =
      least_slots(problem.axis[0], 1) * least_slots(problem.axis[1], 1) * least_slots(problem.axis[2], 64);
  const index affordable = std::max<index>(1, largest_window / (slots * static_cast<index>(element_bytes)));
  const index channels = std::max<index>(1, problem.in_channels);
  const index parts = divide_up(channels, std::min(most, affordable));
  index even = divide_up(channels, parts);
  if (parts > 1 && even > 16) even = std::min(divide_up(even, 16) * 16, std::min(most, affordable));
  const auto crowded = element_bytes == 4 ? crowded_patch<float> : crowded_patch<double>;
  while (once && even > least_once && crowded(problem, even)) even = divide_up(even, 2);
  const bool lanes = element_bytes == 4 ? last_over_lanes<float>(problem) : last_over_lanes<double>(problem);
  const CorrelationAxis& line = problem.axis[2];
  const bool worth = channels <= few_channels && (lanes || line.tap_step == 1);
  const bool together = even >= channels && (neighbours(line) || worth);
  return {even, narrow ? deepest_narrow : most_depth, together ? std::max<index>(1, line.taps) : 1};
}

bool side_by_side(const Correlation& problem, const Chunks& chunks) {
  return chunks.run_taps > 1 && !neighbours(problem.axis[2]);
}

template <class T>
bool crowded(index apart) {
  return kernels<T>().crowds(kernels<T>().tile) && apart * static_cast<index>(sizeof(T)) % one_set == 0;
}

template <class T>
bool over_lanes(const Correlation& problem, index columns) {
  return kernels<T>().over_lanes(columns, problem.taps() * problem.in_channels, problem.taps() == 1);
}

template <class T>
bool last_over_lanes(const Correlation& problem) {
  const index left = problem.out_channels % kernels<T>().panel;
  return left > 0 && over_lanes<T>(problem, left);
}

template <class T>
bool in_rows(const Correlation& problem) {
  return way_of<T>(problem) == Way::rows;
}

template <class T>
index packed_chunk_size(const Correlation& problem, const Chunks& chunks, index channels, index columns) {
  const Kernels<T>& k = kernels<T>();
  if (!over_lanes<T>(problem, columns)) return problem.taps() * channels * k.whole_width(columns);
  return problem.taps() / chunks.run_taps * divide_up(chunks.run_taps * channels, k.lanes) * k.lanes * columns;
}

template <class T>
index packed_size(const Correlation& given) {
  const Correlation problem = ascending(given);
  if (way_of<T>(problem) == Way::mixed) return mixed_packed_size<T>(problem);
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

// Some panels of a group's weight, and some channels.
template <class T>
struct Source {
  const Correlation& problem;
  const T* w;
  const WeightStrides& strides;
  index columns, channels;

  const T* tap(index d, index h, index w_tap) const { return w + strides.tap(problem, d, h, w_tap); }
};

// Panels whose columns lie in lanes, side by side: the weight is read as it lies in memory, which for large ones
// takes half the time. `columns` are those of all panels.
template <class T>
class WidePanels {
 public:
  WidePanels(const Source<T>& source, const Chunks& chunks, T* to)
      : k_(kernels<T>()), p_(source.problem), source_(source), chunks_(chunks), to_(to) {}

  void pack() const {
    index tap = 0;
    for (index d = 0; d < p_.axis[0].taps; ++d) {
      for (index h = 0; h < p_.axis[1].taps; ++h) {
        for (index w = 0; w < p_.axis[2].taps; ++w, ++tap) {
          if (source_.strides.out == 1)
            copy_rows(source_.tap(d, h, w), tap);
          else
            turn(source_.tap(d, h, w), tap);
        }
      }
    }
  }

 private:
  index columns_of(index first) const { return std::min<index>(k_.panel, source_.columns - first); }

  // The row of columns [first, ..) of a tap for the first channel of a chunk.
  T* row(index first, index tap, index c0, index width) const {
    const index channels = std::min(chunks_.channels, source_.channels - c0);
    return to_ + first * p_.taps() * source_.channels + (c0 * p_.taps() + tap * channels) * width;
  }

  void copy_rows(const T* from, index tap) const {
    const index panel = k_.panel, depth = p_.taps() * source_.channels, full = source_.columns / panel * panel;
    const index left = source_.columns - full, width = k_.whole_width(left), step = source_.strides.in;
    for (index c0 = 0; c0 < source_.channels; c0 += chunks_.channels, from += chunks_.channels * step) {
      const index rows = std::min(chunks_.channels, source_.channels - c0);
      k_.pack_rows({from, row(0, tap, c0, panel), rows, full, step, depth * panel});
      k_.pack_rows({from + full, row(full, tap, c0, width), rows, left, step, 0});
    }
  }

  // The input gradient reads the weight the other way round.
  void turn(const T* from, index tap) const {
    for (index first = 0; first < source_.columns; first += k_.panel) {
      const index columns = columns_of(first), width = k_.whole_width(columns);
      for (index c0 = 0; c0 < source_.channels; c0 += chunks_.channels) {
        const index channels = std::min(chunks_.channels, source_.channels - c0);
        T* const to = row(first, tap, c0, width);
        k_.transpose(from + first * source_.strides.out + c0 * source_.strides.in, source_.strides.out, to, width,
                     columns, channels);
        for (index c = 0; columns < width && c < channels; ++c) {
          std::fill_n(to + c * width + columns, width - columns, T(0));
        }
      }
    }
  }

  const Kernels<T>& k_;
  const Correlation& p_;
  const Source<T>& source_;
  const Chunks& chunks_;
  T* const to_;
};

// One row of taps for the kernel of few columns: `run_taps` taps follow one another, then zeros up to a whole vector.
template <class T>
T* pack_runs(const Source<T>& source, index d, index h, index c0, index channels, index run_taps, index lanes, T* to) {
  const index in = source.strides.in, out = source.strides.out, columns = source.columns;
  for (index first = 0; first < source.problem.axis[2].taps; first += run_taps) {
    index lane = 0;
    for (index tap = first; tap < first + run_taps; ++tap) {
      const T* from = source.tap(d, h, tap) + c0 * in;
      for (index c = 0; c < channels; ++c, from += in) {
        for (index k = 0; k < columns; ++k) to[k * lanes + lane] = from[k * out];
        if (++lane < lanes) continue;
        lane = 0;
        to += lanes * columns;
      }
    }
    if (lane == 0) continue;
    for (index k = 0; k < columns; ++k) std::fill(to + k * lanes + lane, to + (k + 1) * lanes, T(0));
    to += lanes * columns;
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

// A panel of few columns, for sums over lanes or for rows.
template <class T>
void pack_few(const Source<T>& source, const Chunks& chunks, T* to) {
  const Correlation& p = source.problem;
  const bool rows = in_rows<T>(p);
  for (index c0 = 0; c0 < source.channels; c0 += chunks.channels) {
    const index channels = std::min(chunks.channels, source.channels - c0);
    for (index d = 0; d < p.axis[0].taps; ++d) {
      for (index h = 0; h < p.axis[1].taps; ++h) {
        to = rows ? pack_window_row(source, d, h, c0, channels, to)
                  : pack_runs(source, d, h, c0, channels, chunks.run_taps, kernels<T>().lanes, to);
      }
    }
  }
}

}  // namespace

template <class T>
void pack(const Correlation& given, const T* w, const WeightStrides& strides, T* packed) {
  const Correlation problem = ascending(given);
  if (way_of<T>(problem) == Way::mixed) return mixed_pack(problem, w, strides, packed);
  const Kernels<T>& k = kernels<T>();
  const Chunks chunks = chunks_of(problem, sizeof(T));
  const index channels = problem.in_channels, depth = problem.taps() * channels, size = packed_size<T>(problem);
  const index group_size = problem.groups ? size / problem.groups : 0, out = problem.out_channels;
  const index left = out % k.panel;
  const index wide = in_rows<T>(problem) ? 0 : over_lanes<T>(problem, left) ? out - left : out;
  const index each = panels_at_once * k.panel, wide_tasks = divide_up(wide, each);
  const index tasks = wide_tasks + (wide < out);  // of a group
  parallel_for(problem.groups * tasks, size < (1 << 18) ? 1 : workers_for(problem.groups * tasks),
               [&](index task, int) {
                 const index group = task / tasks, number = task % tasks;
                 const index first = std::min(number * each, wide), columns = std::min(each, wide - first);
                 const T* const from = w + group * strides.group + first * strides.out;
                 T* const to = packed + group * group_size + first * depth;
                 if (number < wide_tasks)
                   WidePanels<T>(Source<T>{problem, from, strides, columns, channels}, chunks, to).pack();
                 else
                   pack_few(Source<T>{problem, from, strides, out - wide, channels}, chunks, to);
               });
}

template <class T>
void pack_chunk(const Correlation& problem, const Chunks& chunks, const T* w, const WeightStrides& strides, index group,
                index panel, index first, index channels, T* packed) {
  const index k0 = panel * kernels<T>().panel;
  const Source<T> source{problem, w + group * strides.group + k0 * strides.out + first * strides.in, strides,
                         std::min<index>(kernels<T>().panel, problem.out_channels - k0), channels};
  over_lanes<T>(problem, source.columns) ? pack_few(source, chunks, packed)
                                         : WidePanels<T>(source, chunks, packed).pack();
}

template bool crowded<float>(index);
template bool crowded<double>(index);
template bool over_lanes<float>(const Correlation&, index);
template bool over_lanes<double>(const Correlation&, index);
template bool last_over_lanes<float>(const Correlation&);
template bool last_over_lanes<double>(const Correlation&);
template bool in_rows<float>(const Correlation&);
template bool in_rows<double>(const Correlation&);
template index packed_chunk_size<float>(const Correlation&, const Chunks&, index, index);
template index packed_chunk_size<double>(const Correlation&, const Chunks&, index, index);
template index packed_size<float>(const Correlation&);
template index packed_size<double>(const Correlation&);
template void pack(const Correlation&, const float*, const WeightStrides&, float*);
template void pack(const Correlation&, const double*, const WeightStrides&, double*);
template void pack_chunk(const Correlation&, const Chunks&, const float*, const WeightStrides&, index, index, index,
                         index, float*);
template void pack_chunk(const Correlation&, const Chunks&, const double*, const WeightStrides&, index, index, index,
                         index, double*);

}  // namespace pcx
