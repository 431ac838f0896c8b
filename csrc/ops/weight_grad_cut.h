// How the direct weight gradient cuts a problem: the channels into parts, the pixels into slices and blocks.
#pragma once
#include <vector>

#include "isa/dispatch.h"
#include "ops/weight_grad.h"
#include "ops/weight_grad_patch.h"

namespace pcx {

// Few channels of dy, of one group: those of x lie in lanes instead.
template <class T>
bool turns_channels(const ConvShape& shape);

template <class T>
struct WeightGradCut {
  explicit WeightGradCut(const ConvShape& shape);

  const ConvShape& s;
  const Kernels<T>& k;
  bool few;     // a cache line has all channels of a group: rows of dw are those of all taps in one list
  bool turned;  // turns_channels: dw comes out the other way round
  index strip;  // channels of x that lie together: a cache line, or a panel where turned, or all where there are fewer
  ChannelParts parts;
  index together;       // parts of a task: groups that lie in the same cache lines take turns at a block
  PixelBlock block;     // the first
  Axes blocks;          // of one image on each axis
  index units, slices;  // blocks of all images; so many share them
  WeightGradPatch<T> patch;
  bool copy_dy;
  index panel_step;         // elements between the panels of the copy
  std::vector<index> x_at;  // where `few`: each tap's channels in the patch

  double flops() const { return 2.0 * static_cast<double>(s.y_size() * s.taps() * s.group_in()); }
  index all_parts() const { return s.groups * parts.c_parts * parts.k_parts; }
  index tasks() const { return slices * divide_up(all_parts(), together); }
  index dy_copy() const { return copy_dy ? divide_up(parts.columns, k.panel) * panel_step : 0; }
  index turned_row() const { return strips() * strip; }  // elements of [tap][channel of dy][channel of x]
  index turned_size() const { return turned ? s.taps() * s.out_channels * turned_row() : 0; }
  index scratch() const { return patch.size() + dy_copy() + turned_size(); }  // elements
  index workers() const;                                                      // that can share the work

  PixelBlock unit(index number) const;
  // Whether an output's tap lies inside x.
  bool inside(int a, index output, index tap) const {
    const index at = output * s.stride[a] + tap * s.dilation[a] - s.pad_before[a];
    return at >= 0 && at < s.in[a];
  }

 private:
  index strips() const { return divide_up(parts.channels, strip); }
  PixelBlock block_of(index pixels) const;
  PixelBlock first_block() const;
  index slice_count() const;
};

}  // namespace pcx
