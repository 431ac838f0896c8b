// How depthwise convolution cuts its work.
#pragma once
#include <cstdlib>
#include <numeric>

#include "ops/correlation.h"

namespace pcx {

// Blocks of positions and of output channels (a multiple of the lanes): a function of the problem alone. `high` rows of
// positions are seen at once; the rows of x for `held` of them are held.
struct DepthwiseCut {
  Axes block, blocks;
  index channels, channel_blocks, high, held;
  bool vectors_apart;  // in columns: all columns of a vector of channels lie together, not all vectors of a column

  index units(const Correlation& p) const { return p.batch * blocks[0] * blocks[1] * blocks[2]; }
  index shared_by(const Correlation& p, index tasks) const;  // threads at most; one where the work is little
};
template <class T>
DepthwiseCut depthwise_cut(const Correlation& problem);
template <class T>
DepthwiseCut depthwise_grad_cut(const Correlation& problem);

// Where a block of positions begins, and how far it goes.
struct DepthwiseBlock {
  index image;
  Axes start, size;
};
DepthwiseBlock depthwise_block(const Correlation& problem, const DepthwiseCut& cut, index unit);

// Places of x that `high` positions see.
index ring_of(const CorrelationAxis& axis, index high);

// Whether places of x are seen from several positions.
inline bool seen_again(const CorrelationAxis& a) { return (a.taps - 1) * std::abs(a.tap_step) >= a.step; }

// The same of rows of x and rows of positions.
inline bool seen_again(const Correlation& p) { return seen_again(p.axis[0]) || seen_again(p.axis[1]); }

// Whether `channels` of pixels of so many find place all over the first-level cache, or over half of it.
template <class T>
bool spreads(index pixel, index channels) {
  constexpr index page_bytes = 4096, line_bytes = 64, sets = page_bytes / line_bytes, size = sizeof(T);
  return pixel * size % line_bytes != 0 ||
         2 * channels * size / line_bytes >= std::gcd(pixel * size / line_bytes, sets);
}

}  // namespace pcx
