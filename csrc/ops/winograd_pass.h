// One axis of a transform on a small array with three axes: what input, filter and output have in common.
#pragma once
#include <algorithm>
#include <cstring>

#include "ops/winograd_plan.h"

namespace pcx {

constexpr index channel_line = 16;  // floats of a cache line

// Strides of an array (depth, height, width, channels) without gaps.
inline Axes dense(const Axes& extents, index channels) {
  return {extents[1] * extents[2] * channels, extents[2] * channels, channels};
}

// The pass along `axis`; `lines` are the extents, of which those of the other two axes count.
template <class T>
TransformPass<T> winograd_pass(int axis, const T* in, const Axes& from, T* out, const Axes& to, const Axes& lines,
                               index channels) {
  const int outer = axis == 0 ? 1 : 0, inner = axis == 2 ? 1 : 2;
  return {in,          out,       nullptr,  from[axis], to[axis], lines[outer], from[outer], to[outer], lines[inner],
          from[inner], to[inner], channels, false,      0,        channels};
}

// The tiles of a pass: the other axes have one line for its outer loop, which goes over tiles instead.
inline void over_tiles(TransformPass<float>& pass, index tiles, index in_pitch, index out_pitch) {
  pass.outer = tiles;
  pass.in_outer = in_pitch;
  pass.out_outer = out_pitch;
}

// To the tile that is `by` further.
inline void advance(Axes& tile, index by, const Axes& counts) {
  tile[2] += by;
  for (int a : {2, 1}) {
    if (tile[a] < counts[a]) return;
    tile[a] = 0;
    ++tile[a - 1];
  }
}

inline index dot(const Axes& a, const Axes& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline void copy_channels(const float* from, index channels, float* to) {
  index c = 0;
  for (; c + channel_line <= channels; c += channel_line)
    std::memcpy(to + c, from + c, channel_line * sizeof(float));  // a few vector moves
  if (c < channels) std::copy(from + c, from + channels, to + c);
}

}  // namespace pcx
