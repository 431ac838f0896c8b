// What a block of output pixels reads for the direct weight gradient, copied so that the kernel finds it together.
#pragma once
#include "ops/patch.h"

namespace pcx {

// Pixels of consecutive images; more than one image, or plane, only where whole planes, or rows, are taken.
struct PixelBlock {
  index image, images;
  Axes start, extents;

  index rows() const { return images * extents[0] * extents[1]; }
  index cols() const { return extents[2]; }
  index pixels() const { return rows() * cols(); }
};

// x with its padding: [strip of channels][image][depth slot][height slot][width slot][channel].
template <class T>
class WeightGradPatch {
 public:
  // For blocks of up to `block`, and up to `strips` strips. Side by side: each output's taps of a row are one run.
  WeightGradPatch(const ConvShape& shape, const PixelBlock& block, index strip, index strips, bool side_by_side);

  index size() const { return strips_ * strip_step_; }
  index strip(index number) const { return number * strip_step_; }
  // From the first output of a block to where a tap reads, to an output's row, to the next output in a row.
  index tap(index d, index h, index w) const { return at(0, d) + at(1, h) + at(2, w); }
  index row(index image, index d, index h) const { return image * image_ + d * step(0) + h * step(1); }
  index pixel() const { return step(2); }

  // From x at the part's first channel.
  void fill(const T* x, const PixelBlock& block, index channels, T* patch) const;

 private:
  index step(int a) const { return axis_[static_cast<std::size_t>(a)].step * slot_[static_cast<std::size_t>(a)]; }
  index at(int a, index tap) const {
    const auto axis = static_cast<std::size_t>(a);
    return axis_[axis].tap_slot[static_cast<std::size_t>(tap)] * slot_[axis];
  }
  void fill_row(const T* x, index start, index channels, T* row) const;
  void clear(index count, index step, index channels, T* to) const;  // slots

  std::array<CorrelationAxis, 3> x_;
  std::array<PatchAxis, 3> axis_;
  index x_pixel_, strips_;
  Axes slot_{};  // elements between the slots of an axis
  index image_, strip_step_;
};

// Pixels of dy as [panel][pixel][column], panels `step` apart; `row` and `pixel` are elements from one to the next in
// dy.
template <class T>
void pack_panels(const T* dy, const PixelBlock& block, index row, index pixel, index columns, index panel, index step,
                 T* to);

}  // namespace pcx
