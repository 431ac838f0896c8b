// The part of x that a block of output positions reads, as it stands in x, with zeros for its padding:
// [image][depth slot][height slot][width slot][channel].
// On each axis position q of the block, tap t stands at slot q * step + tap_slot[t]. Where taps overlap, the slots are
// the hull of all that is read; where they are far apart, each tap has slots of its own. Side by side, each position
// has slots of its own, one a tap, so that its taps are one run.
#pragma once
#include <vector>

#include "ops/correlation.h"

namespace pcx {

struct PatchAxis {
  struct Piece {  // `count` slots from `slot` on, `apart` from each other, hold x at first, first + step, ...
    index slot, first, step, count, apart = 1;
  };
  std::vector<Piece> pieces;
  std::vector<index> tap_slot;
  index slots, step;

  PatchAxis(const CorrelationAxis& axis, index positions, bool side_by_side = false);  // of an ascending axis
  static index slots_for(const CorrelationAxis& axis, index positions, bool side_by_side = false);
};

class Patch {
 public:
  // For blocks of up to `block` positions of a picture.
  Patch(const Correlation& problem, const Axes& block, const Chunks& chunks);

  index size() const { return image_; }  // elements of one picture
  // Between neighbouring positions of an axis, and from the first to where a tap reads.
  index stride(int a) const { return axis_[static_cast<std::size_t>(a)].step * slot_[static_cast<std::size_t>(a)]; }
  index tap(index d, index h, index w) const { return at(0, d) + at(1, h) + at(2, w); }

  // Copies channels [c0, c0 + channels) of one picture and group for the block that starts at `start`.
  template <class T>
  void fill(const T* x, index image, index group, const Axes& start, index c0, index channels, T* patch) const;

 private:
  index at(int a, index tap) const {
    const auto axis = static_cast<std::size_t>(a);
    return axis_[axis].tap_slot[static_cast<std::size_t>(tap)] * slot_[axis];
  }
  template <class T>
  void fill_row(const T* x, index start, index channels, T* row) const;

  const Correlation& problem_;
  std::array<PatchAxis, 3> axis_;
  Axes slot_{};  // elements between the slots of an axis
  index image_;
};

}  // namespace pcx
