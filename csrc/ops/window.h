// The part of x that a block of output positions reads, packed so that neighbouring positions are neighbours in memory
// for every tap: [depth slot][height slot][channel][width slot].
// On each axis position q of the block, tap t stands at slot tap_slot[t] + q. Where taps overlap, the slots are the
// hull of all that is read, split into `step` phases; where they are far apart, each tap has slots of its own.
#pragma once
#include <vector>

#include "ops/correlation.h"

namespace pcx {

struct WindowAxis {
  struct Run {  // `count` slots from `slot` on hold x at first, first + step, ...
    index slot, first, step, count;
  };
  std::vector<Run> runs;
  std::vector<index> tap_slot;
  index slots = 0;

  WindowAxis() = default;
  WindowAxis(const CorrelationAxis& axis, index positions);
  static index slots_for(const CorrelationAxis& axis, index positions);
};

class Window {
 public:
  // For blocks of up to `block` positions and chunks of up to `channels` channels; the lanes decide the padding between
  // rows. `apart`: elements between neighbours of x on each axis.
  Window(const Correlation& problem, const Axes& apart, const Axes& block, index channels, index lanes);

  index size() const { return axis_[0].slots * axis_[1].slots * row_; }  // elements
  static index size_for(const Correlation& problem, const Axes& block, index channels, index lanes);
  // Offset of position (d, h, 0) of the block.
  index at(index d, index h) const { return (d * axis_[1].slots + h) * row_; }
  index channel(index c) const { return c * channel_; }  // offset of the same position in another channel
  // For every tap and channel of a chunk, in the order of the packed weight: where it stands, seen from a position.
  // Turned: height and width have changed places since that was packed.
  std::vector<std::int32_t> offsets(index channels, bool turned) const;

  // Packs channels [c0, c0 + channels) of picture `image`, group `group`, for the block that starts at `start`.
  template <class T>
  void fill(const T* x, index image, index group, const Axes& start, index c0, index channels, T* window) const;

 private:
  template <class T>
  void fill_row(const T* x, index start, index channels, T* row) const;

  const Correlation& problem_;
  const Axes apart_;
  std::array<WindowAxis, 3> axis_;
  index channel_ = 0, row_ = 0;  // strides
};

}  // namespace pcx
