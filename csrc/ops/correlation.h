// What forward convolution and the input gradient have in common: a dense correlation whose output positions move by
// one, after each axis has been described by arithmetic progressions. A strided input gradient is one such correlation
// for every residue of the output position, so no multiplied zero is ever computed.
#pragma once
#include <array>

#include "base/parallel.h"
#include "base/shape.h"
#include "ops/ops.h"

namespace pcx {

struct CorrelationAxis {
  index in, positions, out;         // extents of x, of the positions computed, of y
  index first, step;                // position q, tap t reads x at first + q * step + t * tap_step
  index taps, tap_step;             //   (tap_step may be negative)
  index out_first, out_step;        // position q writes y at out_first + q * out_step
  index kernel_first, kernel_step;  // tap t is entry kernel_first + t * kernel_step of the kernel
};

// Whether some of `count` positions from `first` on see padding on an ascending axis.
inline bool sees_padding(const CorrelationAxis& a, index first, index count) {
  const index from = a.first + first * a.step;
  return from < 0 || from + (count - 1) * a.step + (a.taps - 1) * a.tap_step >= a.in;
}
inline bool sees_padding(const CorrelationAxis& a) { return sees_padding(a, 0, a.positions); }

struct Correlation {
  index batch, groups, in_channels, out_channels;  // channels of one group
  std::array<CorrelationAxis, 3> axis;
  index all_products = 0;  // where it is one of several that are computed in turn, or they are joined: of all
  // Output positions that are computed as one on each axis, one after the other: output channels are those of the first
  // of them, the second, and so on. Only Winograd's algorithm knows of it.
  std::array<index, 3> joined{1, 1, 1};

  bool is_joined() const { return joined[0] * joined[1] * joined[2] > 1; }
  index pixel_channels() const { return out_channels / (joined[0] * joined[1] * joined[2]); }
  index taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
  index positions() const { return axis[0].positions * axis[1].positions * axis[2].positions; }
  double products() const {
    return static_cast<double>(batch * groups * positions()) * static_cast<double>(taps() * in_channels * out_channels);
  }
};

// A result takes as long as some operations to be put away.
inline bool worth_threads(const Correlation& p) {
  constexpr double result_flops = 16;
  const double results = static_cast<double>(p.batch * p.groups * p.positions() * p.out_channels);
  return 2 * p.products() + result_flops * results >= parallel_flops;
}

// The same with every tap_step >= 0: the taps the other way round.
Correlation ascending(Correlation problem);

// Leaves out the taps at both ends of an axis that meet padding wherever they stand, down to one: with a kernel that is
// large beside the picture they are many. Positions 0 .. count - 1 read 0 .. extent - 1.
template <class Axis>
void trim(Axis& axis, index count, index extent) {
  auto meets = [&](index tap) {
    const index first = axis.first + tap * axis.tap_step;
    const index position = first < 0 ? (-first + axis.step - 1) / axis.step : 0;
    return position < count && first + position * axis.step < extent;
  };
  while (axis.taps > 1 && !meets(axis.taps - 1)) --axis.taps;
  while (axis.taps > 1 && !meets(0)) {
    axis.first += axis.tap_step;
    axis.kernel_first += axis.kernel_step;
    --axis.taps;
  }
}

// The contraction is cut into chunks of `channels` channels with all their taps; of these, about `depth` products at a
// time are summed in registers, and partial sums are added in memory. That bounds the scratch and the rounding error.
// It depends on the taps, stride, dilation and channels alone, so a packed weight serves pictures of any size that meet
// them, and a result does not depend on how the picture is cut into blocks.
struct Chunks {
  index channels, depth;
  index run_taps;  // taps on the width axis that lie together in memory with all their channels; or 1

  static constexpr index longest_run = 512;
};
Chunks chunks_of(const Correlation& problem, std::size_t element_bytes);
// Whether run_taps take a patch that has each position's taps side by side, since they are not neighbours in x.
bool side_by_side(const Correlation& problem, const Chunks& chunks);

// Whether conv_pixels sums the `columns` output channels of a panel over lanes.
template <class T>
bool over_lanes(const Correlation& problem, index columns);
// Whether it does so for the last of them, which has what is left.
template <class T>
bool last_over_lanes(const Correlation& problem);
// Whether pixels of a tile that stand so many elements apart push one another out of the first-level cache: they lie in
// one of its sets, which are 64 of 8 lines, or 12.
template <class T>
bool crowded(index apart);
// What lies in the lanes of the kernel that a correlation takes: output channels of many groups (depthwise.h); outputs
// as they come, of single pixels (mixed.h); of few channels in and out neighbouring pixels (correlate_rows), from a
// window whose pixels are neighbours; or output channels of one group. The fastest by the model of way_cycles.cpp,
// which knows the size of the picture.
enum class Way { depthwise, mixed, rows, channels };
template <class T>
Way way_of(const Correlation& problem);
template <class T>
bool in_rows(const Correlation& problem);
// What that does with a picture. A 1x1 kernel does not care about rows: all pixels become one.
Correlation flattened(Correlation problem);
// Whether the columns of a narrow one are its rows: those are short, and a row takes as many vectors as its pixels
// begin.
bool turns(const Correlation& problem);
// Whether the channels of all groups are packed at once.
bool groups_together(const Correlation& problem, const Chunks& chunks);
// Rows of x that are packed for a picture in float32, those that blocks share as often as they do, without padding.
index rows_packed(const Correlation& problem);

// Where the weight of (tap, in channel, out channel) of a group stands.
struct WeightStrides {
  std::array<index, 3> kernel;
  index in, out, group;

  index tap(const Correlation& p, index d, index h, index w) const {
    const auto at = [&](std::size_t a, index t) {
      return (p.axis[a].kernel_first + t * p.axis[a].kernel_step) * kernel[a];
    };
    return at(0, d) + at(1, h) + at(2, w);
  }
};

// What a driver reads: the packed form; or, by turns, the weight as it stands, of which a panel, or a slab of many
// panels, is packed when it is needed. A weight that is read once then never goes to memory and back.
template <class T>
struct Weight {
  const T* data = nullptr;
  bool by_turns = false;
  WeightStrides strides{};
};

// The packed form is [group][panel][channel chunk][depth tap][height tap] and then
//   [width tap][channel][column]        as ConvPixels wants it, also over lanes;
//   [channel][width tap][column]        where in_rows.
template <class T>
index packed_size(const Correlation& problem);
// Elements of a chunk of `channels` channels in a panel of `columns` columns, where not in_rows.
template <class T>
index packed_chunk_size(const Correlation& problem, const Chunks& chunks, index channels, index columns);
template <class T>
void pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed);
// Of one panel of one group, channels [first, first + channels): a chunk, where not in_rows.
template <class T>
void pack_chunk(const Correlation& problem, const Chunks& chunks, const T* w, const WeightStrides& strides, index group,
                index panel, index first, index channels, T* packed);

template <class T>
Work correlate_work(const Correlation& problem, const Weight<T>& weight);
template <class T>
void correlate(const Correlation& problem, const T* x, const Weight<T>& weight, const T* bias, bool relu, T* y);
// Whether it reads each panel once.
template <class T>
bool reads_once(const Correlation& problem);
template <class T>
Work correlate_rows_work(const Correlation& problem);
template <class T>
void correlate_rows(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y);

}  // namespace pcx
