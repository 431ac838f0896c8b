// The rows of x that a block of depthwise convolution has in columns.
#pragma once
#include <vector>

#include "base/buffer.h"
#include "ops/depthwise_cut.h"
#include "ops/tap_columns.h"

namespace pcx {

// Rows of x in columns, each kept as long as rows of taps need it. They lie close together: where pixels are a power of
// two apart, their lines would share a few places of the first-level cache. One for each worker.
template <class T>
class ColumnRows {
 public:
  // Rows of padding are left out, or where `padding` is set made of zeros.
  ColumnRows(const Correlation& problem, const DepthwiseCut& cut, bool padding);

  // From now on channels [first, first + channels) of the outputs of a block; what is computed from them is written at
  // `y`.
  void begin(const T* x, const DepthwiseBlock& block, index first, index channels, const T* y);
  // What every row of taps sees at positions (d, h), (d, h + 1), ...: rows() pointers for each, null where padding is
  // left out. Returns for how many, `most` and cut.high at most: where other rows are left out it stops.
  index look(index d, index h, index most);
  const T* const* seen() const { return seen_.data(); }
  // Of the rows() pointers of the last positions: [begin, end) without the padding at both ends that is left out.
  struct There {
    index begin, end;
  };
  There there() const { return there_; }
  // Whether x comes from far away. Where that begins which positions (d, h + 1) see of it and (d, h) do not, or those
  // further on in a signal: a pointer for each pixel of a position, following_step() elements from one to the next.
  bool far() const { return far_; }
  const std::vector<const T*>& following(index d, index h);
  index following_step() const { return home_step_; }

  index bytes() const { return size_ * static_cast<index>(sizeof(T)); }
  index rows() const { return rows_; }
  index step() const { return home_ ? home_step_ : step_; }  // elements between columns
  const std::vector<TapRun>& runs() const { return home_ ? home_runs_ : runs_; }
  index vector() const { return vector_; }  // elements between vectors of a column

 private:
  template <class Body>
  void each_part(Body&& body) const;
  bool stays_home(const DepthwiseBlock& block, index first);
  void look_at(index d, index h, const T** seen);
  void fill(const T* x, T* to) const;
  void pad(T* to) const;

  const Correlation& p_;
  const TapColumns taps_;
  const index step_, vector_;
  const index rows_, deep_, ring_;  // rows that a position sees; depths held, and rows of each
  const index tap_place_;           // places in the ring from a row of taps to the next
  const index plane_, row_;         // elements of a row in one plane, and in all
  const bool padding_, may_stay_, far_;
  const index home_step_;  // elements from one column to the next in x
  index size_;             // elements in all
  Buffer<T> buffer_;
  T* data_ = nullptr;
  std::vector<index> held_;  // which row of x each place holds
  std::vector<const T*> seen_, following_;
  std::vector<std::int32_t> from_;  // the channel of x for each lane, where channels are not taken as they come
  std::vector<TapRun> runs_, home_runs_;
  const T* x_ = nullptr;
  index channels_ = 0, column_ = 0, end_ = 0;  // end_: of the block's rows
  struct Padded {                              // what the padding of all places is for
    const T* data;
    index column, channels;

    bool operator==(const Padded& o) const { return data == o.data && column == o.column && channels == o.channels; }
  } padded_{};
  There there_{};
  bool home_ = false;  // x is read where it stands, for the kernel leaves out what padding the block's rows meet
};

}  // namespace pcx
