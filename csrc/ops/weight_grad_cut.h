// How the direct weight gradient cuts a problem: the channels into parts, the pixels into slices and blocks.
#pragma once
#include <vector>

#include "isa/dispatch.h"
#include "ops/weight_grad.h"
#include "ops/weight_grad_patch.h"

namespace pcx {

// Channels of x that a task takes where they lie in lanes: whole vectors, or all.
index lane_channels(const ConvShape& shape, index lanes);

// Channels of x in lanes instead of those of dy: where these are few.
struct LaneRuns {
  index taps;           // that a run of lanes takes: those of a row, or one
  bool side_by_side;    // taps that are apart in x are copied together
  index runs, vectors;  // of all taps

  LaneRuns(const ConvShape& shape, index channels, index lanes);
};

// Whether that is faster.
template <class T>
bool lanes_take_x(const ConvShape& shape);

// Whether depthwise_weight_grad is.
template <class T>
bool groups_share_lanes(const ConvShape& shape);

// Of all products, those with padding included.
inline double flops_of(const ConvShape& s) { return 2.0 * static_cast<double>(s.y_size() * s.taps() * s.group_in()); }

// Multiply-adds for an output position, those in idle lanes included and what else takes as long.
template <class T>
double direct_products(const ConvShape& shape);

template <class T>
struct WeightGradCut {
  explicit WeightGradCut(const ConvShape& shape);

  const ConvShape& s;
  bool in_lanes;        // lanes_take_x
  const Kernels<T>& k;  // of half as long vectors, where these hold what a row of taps reads
  bool few;     // otherwise: a cache line has all channels of a group: rows of dw are those of all taps in one list
  bool far;     // x is so large that it comes from memory
  bool near;    // all of dy: its panels take turns at some channels of x, so that dw is written along its rows
  index strip;  // channels of x that lie together: two cache lines, or all where there are fewer or they lie in lanes
  ChannelParts parts;
  LaneRuns runs;
  index together;       // parts of a task: groups that lie in the same cache lines take turns at a block
  bool copy_dy;         // into panels
  bool touch_dy;        // dy comes from memory, and its panels in turn would leave out lines
  PixelBlock block;     // the first
  Axes blocks;          // of one image on each axis
  index units, slices;  // blocks of all images; so many share them
  WeightGradPatch<T> patch;
  index panel_step;           // elements between the panels of the copy
  std::vector<index> x_at;    // where `few`: each tap's channels in the patch; where in_lanes: the vectors of all runs
  std::vector<index> x_home;  // where x itself is read; or empty

  index all_parts() const { return s.groups * parts.c_parts * parts.k_parts; }
  index tasks() const { return slices * divide_up(all_parts(), together); }
  index dy_copy() const { return copy_dy ? divide_up(parts.columns, k.panel) * panel_step : 0; }
  index lane_sums() const { return in_lanes ? parts.columns * runs.vectors * k.lanes : 0; }
  index scratch() const { return patch.size() + k.lanes + dy_copy() + together * lane_sums(); }  // elements
  index workers() const;  // that can share the work

  PixelBlock unit(index number) const;
  // Whether an output's tap lies inside x.
  bool inside(int a, index output, index tap) const {
    const index at = output * s.stride[a] + tap * s.dilation[a] - s.pad_before[a];
    return at >= 0 && at < s.in[a];
  }

 private:
  ChannelParts parts_of(index channels, index columns) const;  // so many at most
  index strips() const { return divide_up(parts.channels, strip); }
  WeightGradPatch<T> patch_for(const PixelBlock& b) const;
  void list_channels();
  void list_vectors();
  PixelBlock block_of(index pixels) const;
  index near_pixels() const;
  PixelBlock first_block() const;
  index slice_count() const;
};

// The arrays, seen from the first channels of a part; db is null where it is not asked of this part.
template <class T>
struct PartArrays {
  const T* x;
  const T* dy;
  T* dw;
  T* db;

  PartArrays(const ConvShape& s, const ChannelPart& part, const T* all_x, const T* all_dy, const WeightSums<T>& sums) {
    const index column = part.group * s.group_out() + part.k0;
    x = all_x + part.group * s.group_in() + part.c0;
    dy = all_dy + column;
    dw = sums.dw + part.c0 * s.out_channels + column;
    db = sums.db && part.c0 == 0 ? sums.db + column : nullptr;
  }
};

}  // namespace pcx
