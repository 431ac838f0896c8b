// How depthwise convolution cuts its work, and the rows of x that a block of it has in columns.
#pragma once
#include <vector>

#include "base/buffer.h"
#include "ops/tap_columns.h"

namespace pcx {

// Blocks of positions and of output channels (a multiple of the lanes): a function of the problem alone.
struct DepthwiseCut {
  Axes block, blocks;
  index channels, channel_blocks;

  index units(const Correlation& p) const { return p.batch * blocks[0] * blocks[1] * blocks[2]; }
  index shared_by(const Correlation& p, index tasks) const;  // threads at most; one where the work is little
};
double depthwise_products(const Correlation& problem);
template <class T>
DepthwiseCut depthwise_cut(const Correlation& problem);

// Where a block of positions begins, and how far it goes.
struct DepthwiseBlock {
  index image;
  Axes start, size;
};
DepthwiseBlock depthwise_block(const Correlation& problem, const DepthwiseCut& cut, index unit);

// Rows of x in columns, each kept as long as rows of taps need it. One for each worker.
template <class T>
class ColumnRows {
 public:
  // Rows of padding are left out, or where `padding` is set made of zeros.
  ColumnRows(const Correlation& problem, const DepthwiseCut& cut, bool padding);

  // From now on channels [first, first + channels) of the outputs, from picture `image`, positions from `column` on.
  void begin(const T* x, index image, index first, index channels, index column);
  // What every row of taps sees at positions (d, h): rows() pointers, null where padding is left out.
  const T* const* at(index d, index h);

  index bytes() const { return size_ * static_cast<index>(sizeof(T)); }
  index rows() const { return static_cast<index>(seen_.size()); }
  const TapColumns& taps() const { return taps_; }

 private:
  void fill(const T* x, index ahead, T* to) const;

  const Correlation& p_;
  const TapColumns taps_;
  const index lanes_, ring_, plane_, row_;  // rows of one depth tap; elements of a row in one plane, and in all
  const bool padding_;
  index size_;  // elements in all
  Buffer<T> data_;
  std::vector<index> held_;  // which row of x each place holds
  std::vector<const T*> seen_;
  std::vector<std::int32_t> from_;  // the channel of x for each lane, where channels are not taken as they come
  const T* x_ = nullptr;
  index channels_ = 0, column_ = 0;
};

}  // namespace pcx
