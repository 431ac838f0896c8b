// Gram matrix: g[c][k] = sum over positions of x[c] x[k]. Only c >= k is computed, in rectangles of channels; the
// mirror fills the rest, so g is symmetric to the last bit. Positions are cut into slices with a g of their own, added
// in order; the cut depends on one image alone, so neither threads nor the batch change a bit.
#include <algorithm>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index part_channels = 128;      // a side of a rectangle
constexpr index block_bytes = 256 << 10;  // of x that a block of positions touches: it stays in L2
constexpr index slices_bytes = 32 << 20;  // of all private g together
constexpr index least_tasks = 16;
constexpr double slice_flops = 4e6, parallel_flops = 15e6;

index divide_up(index a, index b) { return (a + b - 1) / b; }
index even_part(index whole, index most) { return divide_up(whole, divide_up(whole, most)); }

template <class T>
class Gram {
 public:
  Gram(const GramShape& shape, const T* x, bool normalize, T* g)
      : s_(shape),
        k_(kernels<T>()),
        x_(x),
        g_(g),
        divisor_(normalize ? static_cast<T>(s_.positions * s_.channels) : 1) {
    part_ = s_.channels <= part_channels ? s_.channels
                                         : divide_up(even_part(s_.channels, part_channels), k_.panel) * k_.panel;
    const index parts = divide_up(s_.channels, part_);
    rectangles_ = parts * (parts + 1) / 2;
    block_ = std::max<index>(16, block_bytes / ((parts > 1 ? 2 : 1) * part_ * static_cast<index>(sizeof(T))));
    slices_ = slices();
  }

  void run() const {
    const int workers = s_.batch * flops() < parallel_flops ? 1 : workers_for(s_.batch * rectangles_ * slices_);
    if (slices_ == 1) {
      parallel_for(s_.batch * rectangles_, workers, [&](index task, int) {
        const index image = task / rectangles_;
        const Rectangle r = rectangle(task % rectangles_);
        sum(r, image, 0, s_.positions, g_ + image * matrix());
        finish(r, g_ + image * matrix());
      });
      return;
    }
    Buffer<T> others((slices_ - 1) * matrix());  // of every slice but the first, which has g itself
    for (index image = 0; image < s_.batch; ++image) {
      T* g = g_ + image * matrix();
      parallel_for(rectangles_ * slices_, workers, [&](index task, int) {
        const index slice = task % slices_;
        sum(rectangle(task / slices_), image, s_.positions * slice / slices_, s_.positions * (slice + 1) / slices_,
            slice ? others.data() + (slice - 1) * matrix() : g);
      });
      parallel_for(rectangles_, workers, [&](index task, int) {
        const Rectangle r = rectangle(task);
        for (index slice = 1; slice < slices_; ++slice) add(r, others.data() + (slice - 1) * matrix(), g);
        finish(r, g);
      });
    }
  }

 private:
  struct Rectangle {
    index row, rows, column, columns;  // row >= column
    bool diagonal() const { return row == column; }
  };

  Rectangle rectangle(index number) const {
    index p = 0;
    while (number > p) number -= ++p;
    const index row = p * part_, column = number * part_;
    return {row, std::min(part_, s_.channels - row), column, std::min(part_, s_.channels - column)};
  }

  index matrix() const { return s_.channels * s_.channels; }
  double flops() const { return 1.0 * s_.positions * s_.channels * s_.channels; }

  index slices() const {
    const index affordable = slices_bytes / (matrix() * static_cast<index>(sizeof(T)));
    const index worth = static_cast<index>(flops() / slice_flops);
    return std::max<index>(1, std::min({divide_up(least_tasks, rectangles_), affordable, worth}));
  }

  void sum(const Rectangle& r, index image, index begin, index end, T* g) const {
    for (index c = r.row; c < r.row + r.rows; ++c) std::fill_n(g + c * s_.channels + r.column, r.columns, T(0));
    for (index p = begin; p < end; p += block_) {
      const index positions = std::min(block_, end - p);
      const T* x = x_ + (image * s_.positions + p) * s_.channels;
      for (index k = r.column; k < r.column + r.columns; k += k_.panel) {
        const index columns = std::min<index>(k_.panel, r.column + r.columns - k);
        if (!r.diagonal()) {
          add_block(x, positions, r.row, r.row + r.rows, k, columns, g);
          continue;
        }
        // On the diagonal the first rows of a panel end inside its first vector.
        const index last = r.row + r.rows, inner = std::min<index>(last, k + k_.lanes);
        add_block(x, positions, k, inner, k, std::min<index>(columns, k_.lanes), g);
        if (inner < last) add_block(x, positions, inner, last, k, columns, g);
      }
    }
  }

  void add_block(const T* x, index positions, index first, index last, index column, index columns, T* g) const {
    PixelSum<T> sum{};
    sum.x = x + first;
    sum.dy = x + column;
    sum.dw = g + first * s_.channels + column;
    sum.rows = 1;
    sum.cols = positions;
    sum.x_pixel = sum.dy_pixel = sum.dw_stride = s_.channels;
    sum.channels = static_cast<int>(last - first);
    sum.columns = static_cast<int>(columns);
    k_.pixel_sum(sum);
  }

  void add(const Rectangle& r, const T* from, T* to) const {
    for (index c = r.row; c < r.row + r.rows; ++c) {
      const index begin = c * s_.channels + r.column;
      for (index i = begin; i < begin + r.columns; ++i) to[i] += from[i];
    }
  }

  void finish(const Rectangle& r, T* g) const {
    const index n = s_.channels;
    if (divisor_ != 1) {
      for (index c = r.row; c < r.row + r.rows; ++c) {
        for (index k = r.column; k < r.column + r.columns; ++k) g[c * n + k] /= divisor_;
      }
    }
    if (!r.diagonal()) {
      k_.transpose(g + r.row * n + r.column, n, g + r.column * n + r.row, n, r.rows, r.columns);
      return;
    }
    for (index c = r.row; c < r.row + r.rows; ++c) {
      for (index k = r.column; k < c; ++k) g[k * n + c] = g[c * n + k];
    }
  }

  const GramShape s_;
  const Kernels<T>& k_;
  const T* x_;
  T* g_;
  const T divisor_;
  index part_, rectangles_, block_, slices_;
};

}  // namespace

template <class T>
void gram(const GramShape& shape, const T* x, bool normalize, T* g) {
  if (shape.batch * shape.channels > 0) Gram<T>(shape, x, normalize, g).run();
}

template void gram(const GramShape&, const float*, bool, float*);
template void gram(const GramShape&, const double*, bool, double*);

}  // namespace pcx
