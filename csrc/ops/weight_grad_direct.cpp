// dw[t][c][k] = sum over pixels of x[pixel * stride + t][c] * dy[pixel][k], block by block of pixels. dy is copied into
// panels and x into strips of channels, so that what the kernel reads lies together.
#include <algorithm>
#include <vector>

#include "base/touch.h"
#include "ops/weight_grad_lanes.h"

namespace pcx {

namespace {

// One part of the channels, one slice of the pixels.
template <class T>
class Part {
 public:
  Part(const WeightGradCut<T>& cut, const ChannelPart& part, const T* x, const T* dy, const WeightSums<T>& sums,
       T* scratch, index /*turn*/)
      : cut_(cut),
        s_(cut.s),
        part_(part),
        at_(s_, part, x, dy, sums),
        dy_pixel_(cut.copy_dy ? cut.k.panel : s_.out_channels),
        patch_(scratch),
        panels_(scratch + cut.patch.size()),
        rows_(static_cast<std::size_t>(2 * cut_.block.rows() * tap_rows())),
        counts_(static_cast<std::size_t>(tap_rows())) {
    sum_.dy_pixel = dy_pixel_;
    sum_.dw_stride = s_.out_channels;
    sum_.overwrite = true;
  }

  // Adds the sums over a block; the first one overwrites what was there.
  void add(const PixelBlock& block) {
    if (sum_.overwrite && at_.db) std::fill_n(at_.db, part_.columns, T(0));
    block_ = block;
    add_block();
    sum_.overwrite = false;
  }

  void finish() const {}

 private:
  index tap_rows() const { return cut_.few ? 1 : s_.kernel[0] * s_.kernel[1]; }

  void add_block() {
    const index row = s_.out[2] * s_.out_channels, panel = cut_.k.panel;
    const T* const dy =
        at_.dy +
        (((block_.image * s_.out[0] + block_.start[0]) * s_.out[1] + block_.start[1]) * s_.out[2] + block_.start[2]) *
            s_.out_channels;
    if (cut_.copy_dy) pack_panels(dy, block_, row, s_.out_channels, part_.columns, panel, cut_.panel_step, panels_);
    dy_row_ = cut_.copy_dy ? block_.cols() * panel : row;
    const WeightGradHome home(s_, block_);
    if (cut_.few && !cut_.x_home.empty() && home.inside())
      stay(home);
    else
      copy_x();
    dy_panels_ = cut_.copy_dy ? panels_ : dy;
    for (index r = 0; cut_.touch_dy && part_.c0 == 0 && r < block_.rows(); ++r)
      touch(dy + r * dy_row_, block_.cols(), dy_pixel_, part_.columns);
    if (at_.db) add_to_bias();
    const index together = cut_.near ? part_.columns : panel;
    for (first_ = 0; first_ < part_.columns; first_ += together) {
      last_ = std::min(first_ + together, part_.columns);
      if (cut_.few)
        add_all_taps();
      else
        add_strips();
    }
  }

  // x is read where it is.
  void stay(const WeightGradHome& home) {
    x_ = at_.x + home.first();
    sum_.x_at = cut_.x_home.data();
    sum_.x_pixel = home.pixel();
    for (index r = 0; r < block_.rows(); ++r) {
      rows_[r] = home.row(r);
      rows_[cut_.block.rows() + r] = r * dy_row_;
      if (cut_.far) touch(x_ + rows_[r], block_.cols(), sum_.x_pixel, part_.channels);
    }
    counts_[0] = block_.rows();
  }

  void copy_x() {
    cut_.patch.fill(at_.x, block_, part_.channels, patch_);
    x_ = patch_;
    sum_.x_at = cut_.few ? cut_.x_at.data() : nullptr;
    sum_.x_pixel = cut_.patch.pixel();
    list_rows();
  }

  // Where the rows of x and dy start: with few channels of all, else of those that a tap finds inside x.
  void list_rows() {
    const index most = cut_.block.rows(), h = block_.extents[1], d = block_.extents[0];
    for (index tap = 0; tap < tap_rows(); ++tap) {
      index* const x = rows_.data() + 2 * most * tap;
      index count = 0;
      for (index r = 0; r < block_.rows(); ++r) {
        const index at_h = r % h, at_d = r / h % d;
        if (!cut_.few && !(cut_.inside(1, block_.start[1] + at_h, tap % s_.kernel[1]) &&
                           cut_.inside(0, block_.start[0] + at_d, tap / s_.kernel[1])))
          continue;
        x[count] = cut_.patch.row(r / (h * d), at_d, at_h);
        x[most + count++] = r * dy_row_;
      }
      counts_[static_cast<std::size_t>(tap)] = count;
    }
  }

  const T* panel_from(index k) const { return dy_panels_ + (cut_.copy_dy ? k / cut_.k.panel * cut_.panel_step : k); }
  index panel_columns(index k) const { return std::min<index>(cut_.k.panel, part_.columns - k); }

  void add_to_bias() const {
    const index together = cut_.copy_dy ? cut_.k.panel : part_.columns;
    for (index k = 0; k < part_.columns; k += together) {
      const index columns = std::min(together, part_.columns - k);
      for (index r = 0; r < block_.rows(); ++r)
        cut_.k.column_sum({panel_from(k) + r * dy_row_, at_.db + k, block_.cols(), dy_pixel_, columns});
    }
  }

  void add_all_taps() {
    sum_.channels = static_cast<int>(cut_.x_at.size());
    add(x_, 0, 0, block_.cols(), at_.dw);
  }

  void add_strips() {
    for (index c = 0; c < part_.channels; c += cut_.strip) {
      const index channels = std::min(cut_.strip, part_.channels - c);
      add_taps(x_ + cut_.patch.strip(c / cut_.strip), channels, at_.dw + c * s_.out_channels);
    }
  }

  void add_taps(const T* strip, index channels, T* dw) {
    sum_.channels = static_cast<int>(channels);
    for (index tap = 0; tap < tap_rows(); ++tap) {
      for (index w = 0; w < s_.kernel[2]; ++w, dw += s_.group_in() * s_.out_channels) {
        index begin = 0, end = block_.cols();
        while (begin < end && !cut_.inside(2, block_.start[2] + begin, w)) ++begin;
        while (begin < end && !cut_.inside(2, block_.start[2] + end - 1, w)) --end;
        add(strip + cut_.patch.tap(tap / s_.kernel[1], tap % s_.kernel[1], w), tap, begin, end, dw);
      }
    }
  }

  // Columns [begin, end) of the rows of `tap` in the list, times the panels of dy that take part.
  void add(const T* x, index tap, index begin, index end, T* dw) {
    sum_.rows = counts_[static_cast<std::size_t>(tap)];
    sum_.cols = end - begin;
    if (!sum_.overwrite && sum_.rows * sum_.cols == 0) return;
    sum_.x = x + begin * sum_.x_pixel;
    sum_.x_rows = rows_.data() + 2 * cut_.block.rows() * tap;
    sum_.dy_rows = sum_.x_rows + cut_.block.rows();
    for (index k = first_; k < last_; k += cut_.k.panel) {
      sum_.columns = static_cast<int>(panel_columns(k));
      sum_.dy = panel_from(k) + begin * dy_pixel_;
      sum_.dw = dw + k;
      cut_.k.pixel_sum(sum_);
    }
  }

  const WeightGradCut<T>& cut_;
  const ConvShape& s_;
  const ChannelPart part_;
  const PartArrays<T> at_;
  const index dy_pixel_;  // elements from pixel to pixel, in the copy or in dy
  T* const patch_;
  T* const panels_;
  std::vector<index> rows_, counts_;  // for each row of taps: starts in x, starts in dy; how many
  PixelBlock block_{};
  const T* x_ = nullptr;          // of the block: the copy, or x
  const T* dy_panels_ = nullptr;  // the same
  index dy_row_ = 0;              // elements from row to row there
  index first_ = 0, last_ = 0;    // columns of dy that take part
  PixelSum<T> sum_{};
};

// Some parts of the channels, that take turns at the blocks of a slice.
template <class T>
struct Task {
  const WeightGradCut<T>& cut;
  const T* x;
  const T* dy;
  WeightSums<T> sums;
  T* scratch;
  index number;

  template <class Part>
  void sum() const {
    const index slice = number % cut.slices, first = number / cut.slices * cut.together;
    const index last = std::min(first + cut.together, cut.all_parts());
    std::vector<Part> parts;
    parts.reserve(static_cast<std::size_t>(last - first));
    for (index i = first; i < last; ++i)
      parts.emplace_back(cut, ChannelPart(cut.s, cut.parts, i), x, dy, sums, scratch, i - first);
    for (index unit = cut.units * slice / cut.slices; unit < cut.units * (slice + 1) / cut.slices; ++unit) {
      const PixelBlock block = cut.unit(unit);
      for (Part& part : parts) part.add(block);
    }
    for (const Part& part : parts) part.finish();
  }
};

}  // namespace

template <class T>
Work direct_weight_grad_work(const ConvShape& shape) {
  const WeightGradCut<T> cut(shape);
  const index blocks = divide_up(cut.units, cut.slices) + cut.slices;
  const index own = cut.slices > 1 ? cut.slices * (shape.w_size() + shape.out_channels) : 0;
  return {flops_of(cut.s) / 2, cut.block.pixels() + blocks, own * index(sizeof(T)), cut.scratch() * index(sizeof(T)),
          cut.workers()};
}

template <class T>
void direct_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dw, T* db) {
  const WeightGradCut<T> cut(shape);
  const int workers = workers_for(cut.workers(), flops_of(cut.s) / 2);
  Buffer<T> scratch(workers * cut.scratch());
  const SliceSums<T> sums(shape, cut.slices, {dw, db});
  parallel_for(cut.tasks(), workers, [&](index task, int worker) {
    const Task<T> one{cut, x, dy, sums.of(task % cut.slices), scratch.data() + worker * cut.scratch(), task};
    if (cut.in_lanes)
      one.template sum<LanePart<T>>();
    else
      one.template sum<Part<T>>();
  });
  sums.add_up(workers);
}

template Work direct_weight_grad_work<float>(const ConvShape&);
template Work direct_weight_grad_work<double>(const ConvShape&);
template void direct_weight_grad(const ConvShape&, const float*, const float*, float*, float*);
template void direct_weight_grad(const ConvShape&, const double*, const double*, double*, double*);

}  // namespace pcx
