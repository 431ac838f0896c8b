// How depthwise convolution cuts its work.
#pragma once
#include <cstdlib>

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

// Whether threads share so many products and results.
bool depthwise_worth_threads(double products, index results);

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

// Whether rows of x that several positions see, `channels` of them at a time, are read where they stand: not where
// pixels are so far apart that their lines share few sets of the first-level cache.
template <class T>
bool spreads(const Correlation& problem, index channels);

}  // namespace pcx
