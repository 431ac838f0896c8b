// Gram matrix: g[c][k] = sum over positions of x[c] x[k]. Only c >= k is computed, in rectangles of channels; the
// mirror fills the rest, so g is symmetric to the last bit. Positions are cut into slices with a g of their own, added
// in order; the cut depends on one image alone, so neither threads nor the batch change a bit.
// Rectangles on the diagonal are multiplied where the pixels stand, or from a copy without the other channels, in
// blocks of positions that stay in L1 while every tile passes. For the others a block is copied twice, as rows of
// positions and as panels of channels, and multiplied by panel_product: read in place, pixels a power of two apart
// share few sets of the cache.
#include <algorithm>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index part_bytes = 512;         // of a pixel, on a side of a rectangle
constexpr index block_bytes = 16 << 10;   // of pixels on the diagonal: with tiles of g they fit L1 ...
constexpr index least_positions = 48;     // ... but tiles that sum fewer wait for g too often
constexpr index panel_bytes = 16 << 10;   // of a panel: it stays in L1 while the rows of a rectangle pass
constexpr index line = 64;                // bytes between rows of positions, so that they differ in their cache set
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
    const index bytes = static_cast<index>(sizeof(T)), most = part_bytes / bytes;
    part_ = s_.channels <= most ? s_.channels : divide_up(even_part(s_.channels, most), k_.panel) * k_.panel;
    const index parts = divide_up(s_.channels, part_);
    rectangles_ = parts * (parts + 1) / 2;
    block_ = std::max(least_positions, block_bytes / (part_ * bytes));
    depth_ = panel_bytes / (k_.panel * bytes);
    row_stride_ = depth_ + line / bytes;
    scratch_ = part_ * part_ + (parts > 1 ? std::max(part_ * (row_stride_ + depth_), block_ * part_) : 0);
    slices_ = slices();
  }

  void run() const {
    const int workers = s_.batch * flops() < parallel_flops ? 1 : workers_for(s_.batch * rectangles_ * slices_);
    Buffer<T> scratch(scratch_ * workers);
    if (slices_ == 1) {
      parallel_for(s_.batch * rectangles_, workers, [&](index task, int worker) {
        const index image = task / rectangles_;
        const Rectangle r = rectangle(task % rectangles_);
        sum(r, image, 0, s_.positions, g_ + image * matrix(), scratch.data() + worker * scratch_);
        finish(r, g_ + image * matrix());
      });
      return;
    }
    Buffer<T> others((slices_ - 1) * matrix());  // of every slice but the first, which has g itself
    for (index image = 0; image < s_.batch; ++image) {
      T* g = g_ + image * matrix();
      parallel_for(rectangles_ * slices_, workers, [&](index task, int worker) {
        const index slice = task % slices_;
        sum(rectangle(task / slices_), image, s_.positions * slice / slices_, s_.positions * (slice + 1) / slices_,
            slice ? others.data() + (slice - 1) * matrix() : g, scratch.data() + worker * scratch_);
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

  // `scratch` begins with a rectangle of g, whose rows are side by side whatever g has between them.
  void sum(const Rectangle& r, index image, index begin, index end, T* g, T* scratch) const {
    const T* x = x_ + (image * s_.positions + begin) * s_.channels;
    if (r.diagonal())
      sum_diagonal(r, x, end - begin, scratch, scratch + part_ * part_);
    else
      sum_apart(r, x, end - begin, scratch, scratch + part_ * part_);
    for (index c = 0; c < r.rows; ++c) {
      std::copy_n(scratch + c * part_, r.columns, g + (r.row + c) * s_.channels + r.column);
    }
  }

  void sum_diagonal(const Rectangle& r, const T* x, index positions, T* y, T* pixels) const {
    std::fill_n(y, r.rows * part_, T(0));
    for (index p = 0; p < positions; p += block_, x += block_ * s_.channels) {
      const index block = std::min(block_, positions - p);
      const T* from = x;
      if (s_.channels > part_) {
        for (index i = 0; i < block; ++i) std::copy_n(x + i * s_.channels + r.row, r.rows, pixels + i * part_);
        from = pixels;
      }
      for (index k = 0; k < r.rows; k += k_.panel) {
        // The first rows of a panel end inside its first vector.
        const index columns = std::min<index>(k_.panel, r.rows - k), inner = std::min<index>(r.rows, k + k_.lanes);
        add_block(from, block, k, inner, k, std::min<index>(columns, k_.lanes), y);
        if (inner < r.rows) add_block(from, block, inner, r.rows, k, columns, y);
      }
    }
  }

  // `scratch` holds rows of positions and a panel of channels.
  void sum_apart(const Rectangle& r, const T* x, index positions, T* y, T* scratch) const {
    T *rows = scratch, *panel = rows + part_ * row_stride_;
    const index cut = std::max<index>(1, divide_up(positions, depth_));
    for (index i = 0; i < cut; ++i) {
      const index begin = positions * i / cut;
      const T* from = x + begin * s_.channels;
      PanelProduct<T> product{};
      product.x = rows;
      product.w = panel;
      product.depth = positions * (i + 1) / cut - begin;
      product.rows = r.rows;
      product.x_stride = row_stride_;
      product.y_stride = part_;
      product.width = k_.panel;
      product.accumulate = i > 0;
      k_.transpose(from + r.row, s_.channels, rows, row_stride_, product.depth, r.rows);
      for (index k = 0; k < r.columns; k += k_.panel) {
        fill_panel(from + r.column + k, product.depth, std::min<index>(k_.panel, r.columns - k), panel);
        product.y = y + k;
        k_.panel_product(product);
      }
    }
  }

  void fill_panel(const T* x, index positions, index columns, T* panel) const {
    for (index p = 0; p < positions; ++p, x += s_.channels, panel += k_.panel) {
      std::copy_n(x, columns, panel);
      std::fill_n(panel + columns, k_.panel - columns, T(0));
    }
  }

  void add_block(const T* x, index positions, index first, index last, index column, index columns, T* y) const {
    PixelSum<T> sum{};
    sum.x = x + first;
    sum.dy = x + column;
    sum.dw = y + first * part_ + column;
    sum.rows = 1;
    sum.cols = positions;
    sum.x_pixel = sum.dy_pixel = sum.dw_stride = part_;
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
  index part_, rectangles_, block_, depth_, row_stride_, scratch_, slices_;
};

}  // namespace

template <class T>
void gram(const GramShape& shape, const T* x, bool normalize, T* g) {
  if (shape.batch * shape.channels > 0) Gram<T>(shape, x, normalize, g).run();
}

template void gram(const GramShape&, const float*, bool, float*);
template void gram(const GramShape&, const double*, bool, double*);

}  // namespace pcx
