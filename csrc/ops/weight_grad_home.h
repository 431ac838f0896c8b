// What a block of output pixels reads for the direct weight gradient, where it lies in x.
#pragma once
#include "base/shape.h"
#include "ops/weight_grad_patch.h"

namespace pcx {

// Offsets are from x at a part's first channel.
class WeightGradHome {
 public:
  WeightGradHome(const ConvShape& shape, const PixelBlock& block) : s_(shape), block_(block) {
    first_ = block.image;
    last_ = block.image + block.images - 1;
    for (std::size_t a = 0; a < 3; ++a) {
      const index first = block.start[a] * s_.stride[a] - s_.pad_before[a];
      const index last = first + (block.extents[a] - 1) * s_.stride[a];
      inside_ = inside_ && first >= 0 && last + (s_.kernel[a] - 1) * s_.dilation[a] < s_.in[a];
      first_ = first_ * s_.in[a] + first;
      last_ = last_ * s_.in[a] + last;
    }
  }

  bool inside() const { return inside_; }                  // no tap sees padding
  index first() const { return first_ * s_.in_channels; }  // what the first output's first tap reads
  index last() const { return last_ * s_.in_channels; }    // what the last output's does
  index pixel() const { return s_.stride[2] * s_.in_channels; }
  // From the first row of outputs to row `number`.
  index row(index number) const {
    const index h = number % block_.extents[1], d = number / block_.extents[1];
    const index row = s_.in[2] * s_.in_channels, plane = s_.in[1] * row;
    return (d / block_.extents[0] * s_.in[0] + d % block_.extents[0] * s_.stride[0]) * plane + h * s_.stride[1] * row;
  }
  // From an output's first tap to another.
  static index tap(const ConvShape& s, index d, index h, index w) {
    const index row = s.in[2] * s.in_channels, plane = s.in[1] * row;
    return d * s.dilation[0] * plane + h * s.dilation[1] * row + w * s.dilation[2] * s.in_channels;
  }

 private:
  const ConvShape& s_;
  const PixelBlock& block_;
  index first_, last_;  // pixels
  bool inside_ = true;
};

}  // namespace pcx
