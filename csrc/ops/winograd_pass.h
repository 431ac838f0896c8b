// One axis of a transform on a small array with three axes: what input, filter and output have in common.
#pragma once
#include "ops/winograd_plan.h"

namespace pcx {

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

}  // namespace pcx
