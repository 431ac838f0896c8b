// Gram matrix: g[c][k] = sum over positions of x[c] x[k]. Only c >= k is computed, in rectangles of channels; the
// mirror fills the rest, so g is symmetric to the last bit. Positions are cut into slices with a g of their own, added
// in a fixed order; the cut depends on one image alone, so neither threads nor the batch change a bit.
// Every panel of channels is multiplied by those below it, a block of positions at a time. A block is copied into
// panels first: side by side the positions of two panels stay in L1, and are enough for a tile to wait seldom for its
// piece of g. Read in place, pixels a power of two apart would share few sets of the cache.
#include <algorithm>
#include <cstring>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index part_bytes = 1024;          // of a pixel, on a side of a rectangle
constexpr index panel_bytes = 16 << 10;     // of a panel: it stays in L1 while those below it pass
constexpr index in_place_bytes = 192;       // of a pixel: the panels of few channels are read where they stand ...
constexpr index in_place_block = 24 << 10;  // ... in blocks that stay in L1 as they are
constexpr index line = 64;                  // bytes between panels, so that their pixels differ in their cache set
constexpr index slices_bytes = 32 << 20;    // of all private g together
constexpr index least_tasks = 16;
constexpr double slice_flops = 4e6;

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
    part_ = divide_up(even_part(s_.channels, most), k_.panel) * k_.panel;
    const index parts = divide_up(s_.channels, part_);
    rectangles_ = parts * (parts + 1) / 2;
    depth_ = in_place() ? in_place_block / (s_.channels * bytes) : panel_bytes / (k_.panel * bytes);
    panel_step_ = depth_ * k_.panel + line / bytes;
    panels_ = in_place() ? 0 : (parts > 1 ? 2 : 1) * part_ / k_.panel * panel_step_;
    slices_ = slices();
  }

  void run() const {
    const int workers = s_.batch * flops() < parallel_flops ? 1 : workers_for(s_.batch * rectangles_ * slices_);
    Buffer<T> panels(panels_ * workers);
    if (slices_ == 1) {
      Buffer<T> sums(part_ * part_ * workers);
      parallel_for(s_.batch * rectangles_, workers, [&](index task, int worker) {
        const index image = task / rectangles_;
        const Rectangle r = rectangle(task % rectangles_);
        T* y = sums.data() + worker * part_ * part_;
        sum(r, image, 0, s_.positions, y, panels.data() + worker * panels_);
        for (index c = 0; c < r.rows; c += k_.panel)
          finish(r, c, std::min(r.rows, c + k_.panel), y, g_ + image * matrix());
      });
      return;
    }
    Buffer<T> sums(rectangles_ * slices_ * part_ * part_);
    const index strips = part_ / k_.panel;
    for (index image = 0; image < s_.batch; ++image) {
      parallel_for(rectangles_ * slices_, workers, [&](index task, int worker) {
        const index slice = task % slices_;
        sum(rectangle(task / slices_), image, s_.positions * slice / slices_, s_.positions * (slice + 1) / slices_,
            sums.data() + task * part_ * part_, panels.data() + worker * panels_);
      });
      parallel_for(rectangles_ * strips, workers, [&](index task, int) {
        const Rectangle r = rectangle(task / strips);
        const index first = task % strips * k_.panel;
        finish(r, first, std::min(r.rows, first + k_.panel), sums.data() + task / strips * slices_ * part_ * part_,
               g_ + image * matrix());
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

  bool in_place() const { return s_.channels * static_cast<index>(sizeof(T)) <= in_place_bytes; }

  // Rows of y are side by side, whatever g has between them; above the diagonal it is left as it was.
  void sum(const Rectangle& r, index image, index begin, index end, T* y, T* panels) const {
    const index depth = even_part(std::max<index>(1, end - begin), depth_);
    for (index p = begin; p < end; p += depth) {
      const T* x = x_ + (image * s_.positions + p) * s_.channels;
      const index positions = std::min(depth, end - p);
      if (in_place()) {
        sum_block(r, {x, x, k_.panel, s_.channels, positions}, p == begin, y);
        continue;
      }
      T *rows = panels, *columns = r.diagonal() ? rows : rows + part_ / k_.panel * panel_step_;
      fill(x + r.row, positions, r.rows, rows);
      if (!r.diagonal()) fill(x + r.column, positions, r.columns, columns);
      sum_block(r, {rows, columns, panel_step_, k_.panel, positions}, p == begin, y);
    }
    if (begin == end) std::fill_n(y, r.rows * part_, T(0));
  }

  struct Panels {
    const T *rows, *columns;
    index step, pixel, positions;  // step from panel to panel
  };

  void sum_block(const Rectangle& r, const Panels& panels, bool first, T* y) const {
    for (index k = 0; k < r.columns; k += k_.panel) {
      for (index c = r.diagonal() ? k : 0; c < r.rows; c += k_.panel) {
        PixelSum<T> sum{};
        sum.x = panels.rows + c / k_.panel * panels.step;
        sum.dy = panels.columns + k / k_.panel * panels.step;
        sum.dw = y + c * part_ + k;
        sum.rows = 1;
        sum.cols = panels.positions;
        sum.x_pixel = sum.dy_pixel = panels.pixel;
        sum.dw_stride = part_;
        sum.channels = static_cast<int>(std::min<index>(k_.panel, r.rows - c));
        sum.columns = static_cast<int>(std::min<index>(k_.panel, r.columns - k));
        sum.overwrite = first;
        if (r.diagonal() && c == k)
          multiply_by_itself(sum);
        else
          k_.pixel_sum(sum);
      }
    }
  }

  // Of a panel with itself, the first rows end inside its first vector.
  void multiply_by_itself(PixelSum<T> sum) const {
    PixelSum<T> narrow = sum;
    narrow.channels = std::min(sum.channels, k_.lanes);
    narrow.columns = std::min(sum.columns, k_.lanes);
    k_.pixel_sum(narrow);
    if (sum.channels <= k_.lanes) return;
    sum.x += k_.lanes;
    sum.dw += k_.lanes * part_;
    sum.channels -= k_.lanes;
    k_.pixel_sum(sum);
  }

  // Copies pixels of `channels` from x into panels, the last of them filled up with zeros.
  void fill(const T* x, index positions, index channels, T* panels) const {
    switch (k_.panel * sizeof(T)) {
      case 128:
        return fill_with<128>(x, positions, channels, panels);
      case 64:
        return fill_with<64>(x, positions, channels, panels);
      case 32:
        return fill_with<32>(x, positions, channels, panels);
      default:
        return fill_with<16>(x, positions, channels, panels);
    }
  }

  template <index Bytes>  // of a pixel in a panel: a copy of known size is a few moves
  void fill_with(const T* x, index positions, index channels, T* panels) const {
    constexpr index panel = Bytes / static_cast<index>(sizeof(T));
    const index whole = channels / panel, rest = channels % panel;
    for (index p = 0; p < positions; ++p, x += s_.channels, panels += panel) {
      for (index k = 0; k < whole; ++k) std::memcpy(panels + k * panel_step_, x + k * panel, Bytes);
      if (!rest) continue;
      std::copy_n(x + whole * panel, rest, panels + whole * panel_step_);
      std::fill_n(panels + whole * panel_step_ + rest, panel - rest, T(0));
    }
  }

  // Rows [first, last) of g, of one panel, and their mirror, from the rectangles that the slices left in y.
  void finish(const Rectangle& r, index first, index last, const T* y, T* g) const {
    const index n = s_.channels;
    for (index c = first; c < last; ++c) {
      const index columns = r.diagonal() ? c + 1 : r.columns;
      T* to = g + (r.row + c) * n + r.column;
      if (slices_ == 1) {
        std::copy_n(y + c * part_, columns, to);
      } else {
        std::fill_n(to, columns, T(0));
        k_.column_sum({y + c * part_, to, slices_, part_ * part_, columns});
      }
      for (index k = 0; divisor_ != 1 && k < columns; ++k) to[k] /= divisor_;
      for (index k = first; r.diagonal() && k < c; ++k) g[(r.column + k) * n + r.row + c] = to[k];
    }
    const index mirrored = r.diagonal() ? first : r.columns;
    if (first >= last || mirrored == 0) return;
    k_.transpose(g + (r.row + first) * n + r.column, n, g + r.column * n + r.row + first, n, last - first, mirrored);
  }

  const GramShape s_;
  const Kernels<T>& k_;
  const T* x_;
  T* g_;
  const T divisor_;
  index part_, rectangles_, depth_, panel_step_, panels_, slices_;
};

}  // namespace

template <class T>
void gram(const GramShape& shape, const T* x, bool normalize, T* g) {
  if (shape.batch * shape.channels > 0) Gram<T>(shape, x, normalize, g).run();
}

template void gram(const GramShape&, const float*, bool, float*);
template void gram(const GramShape&, const double*, bool, double*);

}  // namespace pcx
