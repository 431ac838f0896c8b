// Weight gradient: dw[t][c][k] = sum over pixels of x[pixel * stride + t][c] * dy[pixel][k]. The output is cut by
// channels, the pixels into slices that each have a dw of their own; slices are added in order, so the sum does not
// depend on threads. (The choice between algorithms for this direction belongs here.)
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index group_channels = 128;     // of x and of dy that one task takes
constexpr index block_bytes = 384 << 10;  // of x and dy that a block of pixels touches: it stays in L2
constexpr index longest_row = 512;        // pixels; longer rows are cut
constexpr index slices_bytes = 32 << 20;  // of all private dw together
constexpr index least_tasks = 16;
constexpr double slice_flops = 4e6, parallel_flops = 15e6;

index divide_up(index a, index b) { return (a + b - 1) / b; }
index even_part(index whole, index most) { return divide_up(whole, divide_up(whole, most)); }

struct Range {
  index begin, end;
  bool empty() const { return begin >= end; }
};

template <class T>
class WeightGrad {
 public:
  WeightGrad(const ConvShape& shape, const T* x, const T* dy, T* dw)
      : s_(shape), k_(kernels<T>()), x_(x), dy_(dy), dw_(dw) {
    c_part_ = even_part(s_.group_in(), group_channels);
    k_part_ = s_.group_out() <= group_channels
                  ? s_.group_out()
                  : divide_up(even_part(s_.group_out(), group_channels), k_.panel) * k_.panel;
    c_parts_ = divide_up(s_.group_in(), c_part_);
    k_parts_ = divide_up(s_.group_out(), k_part_);
    cols_ = even_part(s_.out[2], longest_row);
    const index pixel_bytes = (c_part_ + k_part_) * static_cast<index>(sizeof(T));
    rows_ = std::clamp<index>(block_bytes / (pixel_bytes * cols_), 1, s_.out[1]);
    blocks_ = {s_.out[0], divide_up(s_.out[1], rows_), divide_up(s_.out[2], cols_)};
    units_ = s_.batch * blocks_[0] * blocks_[1] * blocks_[2];
    slices_ = slices();
  }

  void run() {
    const index size = s_.w_size();
    Buffer<T> own(slices_ > 1 ? slices_ * size : 0);
    T* sums = slices_ > 1 ? own.data() : dw_;
    const index tasks = slices_ * s_.groups * c_parts_ * k_parts_;
    const int workers = flops() < parallel_flops ? 1 : workers_for(tasks);
    parallel_for(slices_, workers, [&](index slice, int) { std::fill_n(sums + slice * size, size, T(0)); });
    parallel_for(tasks, workers, [&](index task, int) { compute(task, sums); });
    if (slices_ > 1) reduce(own.data(), workers);
  }

 private:
  double flops() const { return 2.0 * s_.y_size() * s_.taps() * s_.group_in(); }

  index slices() const {
    const index parts = s_.groups * c_parts_ * k_parts_;
    const index affordable = slices_bytes / std::max<index>(1, s_.w_size() * static_cast<index>(sizeof(T)));
    const index worth = static_cast<index>(flops() / slice_flops);
    return std::max<index>(1, std::min({divide_up(least_tasks, parts), affordable, worth, units_}));
  }

  void compute(index task, T* sums) const {
    const index slice = task % slices_, rest = task / slices_;
    const index k_part = rest % k_parts_, c_part = rest / k_parts_ % c_parts_, group = rest / k_parts_ / c_parts_;
    const index c0 = c_part * c_part_, k0 = k_part * k_part_;
    const index channels = std::min(c_part_, s_.group_in() - c0), columns = std::min(k_part_, s_.group_out() - k0);
    const T* x = x_ + group * s_.group_in() + c0;
    const T* dy = dy_ + group * s_.group_out() + k0;
    T* dw = sums + slice * s_.w_size() + c0 * s_.out_channels + group * s_.group_out() + k0;
    const index begin = units_ * slice / slices_, end = units_ * (slice + 1) / slices_;
    for (index unit = begin; unit < end; ++unit) {
      for (index k = 0; k < columns; k += k_.panel) {
        add_block(unit, x, dy + k, dw + k, channels, std::min<index>(k_.panel, columns - k));
      }
    }
  }

  // Output positions of [start, start + size) on axis a whose tap lies inside x.
  Range inside(int a, index start, index size, index tap) const {
    const index shift = tap * s_.dilation[a] - s_.pad_before[a], stride = s_.stride[a];
    const index begin = shift < 0 ? divide_up(-shift, stride) : 0;
    const index end = shift < s_.in[a] ? (s_.in[a] - 1 - shift) / stride + 1 : 0;
    return {std::max(start, begin), std::min(start + size, end)};
  }

  void add_block(index unit, const T* x, const T* dy, T* dw, index channels, index columns) const {
    const index w0 = unit % blocks_[2] * cols_, h0 = unit / blocks_[2] % blocks_[1] * rows_;
    const index d = unit / (blocks_[2] * blocks_[1]) % blocks_[0],
                image = unit / (blocks_[2] * blocks_[1] * blocks_[0]);
    const index cols = std::min(cols_, s_.out[2] - w0), rows = std::min(rows_, s_.out[1] - h0);
    PixelSum<T> sum{};
    sum.x_pixel = s_.stride[2] * s_.in_channels;
    sum.x_row = s_.stride[1] * s_.in[2] * s_.in_channels;
    sum.dy_pixel = s_.out_channels;
    sum.dy_row = s_.out[2] * s_.out_channels;
    sum.dw_stride = s_.out_channels;
    sum.channels = static_cast<int>(channels);
    sum.columns = static_cast<int>(columns);
    for (index td = 0; td < s_.kernel[0]; ++td) {
      const index xd = d * s_.stride[0] + td * s_.dilation[0] - s_.pad_before[0];
      if (xd < 0 || xd >= s_.in[0]) continue;
      for (index th = 0; th < s_.kernel[1]; ++th) {
        const Range h = inside(1, h0, rows, th);
        if (h.empty()) continue;
        const index xh = h.begin * s_.stride[1] + th * s_.dilation[1] - s_.pad_before[1];
        for (index tw = 0; tw < s_.kernel[2]; ++tw) {
          const Range w = inside(2, w0, cols, tw);
          if (w.empty()) continue;
          const index xw = w.begin * s_.stride[2] + tw * s_.dilation[2] - s_.pad_before[2];
          sum.rows = h.end - h.begin;
          sum.cols = w.end - w.begin;
          sum.x = x + (((image * s_.in[0] + xd) * s_.in[1] + xh) * s_.in[2] + xw) * s_.in_channels;
          sum.dy = dy + (((image * s_.out[0] + d) * s_.out[1] + h.begin) * s_.out[2] + w.begin) * s_.out_channels;
          sum.dw = dw + ((td * s_.kernel[1] + th) * s_.kernel[2] + tw) * s_.group_in() * s_.out_channels;
          k_.pixel_sum(sum);
        }
      }
    }
  }

  void reduce(const T* sums, int workers) const {
    constexpr index part = 1 << 14;
    const index size = s_.w_size();
    parallel_for(divide_up(size, part), workers, [&](index task, int) {
      const index begin = task * part, count = std::min(part, size - begin);
      std::copy_n(sums + begin, count, dw_ + begin);
      for (index slice = 1; slice < slices_; ++slice) {
        const T* from = sums + slice * size + begin;
        for (index i = 0; i < count; ++i) dw_[begin + i] += from[i];
      }
    });
  }

  const ConvShape& s_;
  const Kernels<T>& k_;
  const T* x_;
  const T* dy_;
  T* dw_;
  index c_part_, k_part_, c_parts_, k_parts_, cols_, rows_, units_, slices_;
  Axes blocks_;
};

// db = the sum of dy over all pixels: an outer product with a pixel that is always one. Slices as above.
template <class T>
void bias_grad(const ConvShape& s, const T* dy, T* db) {
  constexpr index slice_pixels = 4096;
  const Kernels<T>& k = kernels<T>();
  const index channels = s.out_channels, pixels = s.y_size() / channels, slices = divide_up(pixels, slice_pixels);
  Buffer<T> sums(slices * channels);
  std::fill_n(sums.data(), slices * channels, T(0));
  const T one = 1;
  const int workers = s.y_size() < (1 << 20) ? 1 : workers_for(slices);
  parallel_for(slices, workers, [&](index slice, int) {
    PixelSum<T> sum{};
    sum.x = &one;
    sum.rows = 1;
    sum.cols = std::min(slice_pixels, pixels - slice * slice_pixels);
    sum.dy_pixel = channels;
    sum.channels = 1;
    for (index c = 0; c < channels; c += k.panel) {
      sum.dy = dy + slice * slice_pixels * channels + c;
      sum.dw = sums.data() + slice * channels + c;
      sum.columns = static_cast<int>(std::min<index>(k.panel, channels - c));
      k.pixel_sum(sum);
    }
  });
  std::fill_n(db, channels, T(0));
  for (index slice = 0; slice < slices; ++slice) {
    for (index c = 0; c < channels; ++c) db[c] += sums.data()[slice * channels + c];
  }
}

}  // namespace

template <class T>
void conv_weight_grad(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw, T* db) {
  if (tiles != Tiles{1, 1, 1}) throw std::invalid_argument("weight gradients have no Winograd algorithm");
  if (shape.y_size() == 0 || shape.x_size() == 0) {
    std::fill_n(dw, shape.w_size(), T(0));
  } else {
    WeightGrad<T>(shape, x, dy, dw).run();
  }
  if (!db) return;
  if (shape.y_size() == 0)
    std::fill_n(db, shape.out_channels, T(0));
  else
    bias_grad(shape, dy, db);
}

template void conv_weight_grad(const ConvShape&, const Tiles&, const float*, const float*, float*, float*);
template void conv_weight_grad(const ConvShape&, const Tiles&, const double*, const double*, double*, double*);

}  // namespace pcx
