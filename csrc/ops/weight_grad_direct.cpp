// dw[t][c][k] = sum over pixels of x[pixel * stride + t][c] * dy[pixel][k], block by block of pixels. What a block
// reads is copied first if its pixels lie far apart, which would fall into few sets of the first cache: dy pixel by
// pixel, x by tiles of channels, each in the order in which the kernel reads it.
#include <algorithm>

#include "isa/dispatch.h"
#include "ops/weight_grad.h"

namespace pcx {

namespace {

constexpr index most_channels = 128;      // of x and of dy that one task takes
constexpr index panel_bytes = 16 << 10;   // of a block's dy that stays in the first cache
constexpr index far_apart = 256;          // bytes from pixel to pixel
constexpr index worth_copying = 128;      // products of each element
constexpr index slices_bytes = 32 << 20;  // of all private dw together
constexpr index copies_bytes = 1 << 20;   // of a block, at most
constexpr index line = 64;                // bytes of a cache line
constexpr index least_tasks = 16;
constexpr double slice_flops = 4e6, parallel_flops = 15e6;

struct Range {
  index begin, end;
  index size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

// A rectangle of pixels of some channels.
template <class T>
struct Patch {
  const T* data;
  index row, pixel;
};

// Copies channels [begin, end) of a rectangle; the copy's pixels follow each other `pixel` elements apart.
template <class T>
Patch<T> copied(const Patch<T>& from, index rows, index cols, index begin, index end, index pixel, T* to) {
  for (index r = 0; r < rows; ++r) {
    for (index i = 0; i < cols; ++i) {
      const T* source = from.data + r * from.row + i * from.pixel;
      std::copy(source + begin, source + end, to + (r * cols + i) * pixel);
    }
  }
  return {to, cols * pixel, pixel};
}

// Elements from pixel to pixel of a copy: an odd number of cache lines, so that pixels spread over all cache sets.
template <class T>
index copied_pixel(index channels) {
  const index floats = line / static_cast<index>(sizeof(T));
  return (divide_up(channels, floats) | 1) * floats;
}

template <class T>
class WeightGrad {
 public:
  WeightGrad(const ConvShape& shape, const T* x, const T* dy)
      : s_(shape), k_(kernels<T>()), parts_(shape, most_channels, k_.panel), x_(x), dy_(dy) {
    const index pixels = panel_bytes / (k_.panel * static_cast<index>(sizeof(T)));
    cols_ = even_part(s_.out[2], pixels);
    rows_ = even_part(s_.out[1], std::max<index>(1, pixels / cols_));
    blocks_ = {s_.out[0], divide_up(s_.out[1], rows_), divide_up(s_.out[2], cols_)};
    units_ = s_.batch * blocks_[0] * blocks_[1] * blocks_[2];
    slices_ = slices();
    dy_pixel_ = copied_pixel<T>(parts_.columns);
    const index x_pixels = hull(1, rows_) * hull(2, cols_), taps = s_.kernel[1] * s_.kernel[2];
    auto strided = [](index elements) { return elements * static_cast<index>(sizeof(T)) >= far_apart; };
    copy_x_ = strided(s_.in_channels * s_.stride[2]) && x_pixels * parts_.channels <= copies_bytes / index(sizeof(T)) &&
              taps * parts_.columns * rows_ * cols_ >= worth_copying * x_pixels;
    copy_dy_ = strided(s_.out_channels) && s_.taps() * parts_.channels >= worth_copying;
    x_copy_ = copy_x_ ? x_pixels * parts_.channels : 0;
    dy_copy_ = copy_dy_ ? rows_ * cols_ * dy_pixel_ : 0;
  }

  Work work() const {
    const index bytes = (x_copy_ + dy_copy_) * index(sizeof(T)), blocks = divide_up(units_, slices_) + slices_;
    const index own = slices_ > 1 ? slices_ * s_.w_size() * index(sizeof(T)) : 0;
    const index tasks = slices_ * s_.groups * parts_.c_parts * parts_.k_parts;
    return {flops() / 2, rows_ * cols_ + blocks, own, bytes, flops() < parallel_flops ? 1 : tasks};
  }

  void run(T* dw) {
    const int workers = workers_for(work().workers);
    Buffer<T> scratch(workers * (x_copy_ + dy_copy_));
    sum_slices(s_, parts_, slices_, workers, dw, [&](const ChannelPart& part, index slice, T* sums, int worker) {
      T* const copies = scratch.data() + worker * (x_copy_ + dy_copy_);
      T* const to = sums + part.c0 * s_.out_channels + part.group * s_.group_out() + part.k0;
      const index begin = units_ * slice / slices_, end = units_ * (slice + 1) / slices_;
      for (index unit = begin; unit < end; ++unit) add_block(part, unit, to, copies);
    });
  }

 private:
  double flops() const { return 2.0 * s_.y_size() * s_.taps() * s_.group_in(); }

  index slices() const {
    const index parts = s_.groups * parts_.c_parts * parts_.k_parts;
    const index affordable = slices_bytes / std::max<index>(1, s_.w_size() * static_cast<index>(sizeof(T)));
    const index worth = static_cast<index>(flops() / slice_flops);
    return std::max<index>(1, std::min({divide_up(least_tasks, parts), affordable, worth, units_}));
  }

  // Pixels of x along axis a that `size` neighbouring outputs see.
  index hull(int a, index size) const {
    return std::min(s_.in[a], (size - 1) * s_.stride[a] + (s_.kernel[a] - 1) * s_.dilation[a] + 1);
  }
  Range seen(int a, const Range& outputs) const {
    const index first = outputs.begin * s_.stride[a] - s_.pad_before[a];
    const index last = (outputs.end - 1) * s_.stride[a] + (s_.kernel[a] - 1) * s_.dilation[a] - s_.pad_before[a];
    return {std::clamp<index>(first, 0, s_.in[a]), std::clamp<index>(last + 1, 0, s_.in[a])};
  }
  // Those of some outputs on axis a whose tap lies inside x.
  Range inside(int a, const Range& outputs, index tap) const {
    const index shift = tap * s_.dilation[a] - s_.pad_before[a], stride = s_.stride[a];
    const index begin = shift < 0 ? divide_up(-shift, stride) : 0;
    const index end = shift < s_.in[a] ? (s_.in[a] - 1 - shift) / stride + 1 : 0;
    return {std::max(outputs.begin, begin), std::min(outputs.end, end)};
  }

  // What a block reads of one slice of x: channel tile t is a patch of its own.
  struct Input {
    Range h, w;
    Patch<T> patch;
    index tiles;
    index begin(index channels, index tile) const { return channels * tile / tiles; }
  };

  Input read(const ChannelPart& part, const Range& h, const Range& w, index plane, T* copies) const {
    const index pixel = (plane * s_.in[1] + h.begin) * s_.in[2] + w.begin;
    Input x{
        h,
        w,
        {x_ + pixel * s_.in_channels + part.group * s_.group_in() + part.c0, s_.in[2] * s_.in_channels, s_.in_channels},
        1};
    if (!copy_x_) return x;
    x.tiles = divide_up(part.channels, k_.tile);
    const Patch<T> there = x.patch;
    for (index tile = 0; tile < x.tiles; ++tile) {
      const index begin = x.begin(part.channels, tile), end = x.begin(part.channels, tile + 1);
      copied(there, h.size(), w.size(), begin, end, end - begin, copies + begin * h.size() * w.size());
    }
    x.patch = {copies, 0, 0};
    return x;
  }

  void add_block(const ChannelPart& part, index unit, T* dw, T* copies) const {
    const index w0 = unit % blocks_[2] * cols_, h0 = unit / blocks_[2] % blocks_[1] * rows_;
    const index plane = unit / (blocks_[2] * blocks_[1]), d = plane % s_.out[0], image = plane / s_.out[0];
    const Range h{h0, std::min(h0 + rows_, s_.out[1])}, w{w0, std::min(w0 + cols_, s_.out[2])};
    const Range xh = seen(1, h), xw = seen(2, w);
    if (xh.empty() || xw.empty()) return;
    Patch<T> dy{
        dy_ + ((plane * s_.out[1] + h0) * s_.out[2] + w0) * s_.out_channels + part.group * s_.group_out() + part.k0,
        s_.out[2] * s_.out_channels, s_.out_channels};
    if (copy_dy_) dy = copied(dy, h.size(), w.size(), 0, part.columns, dy_pixel_, copies + x_copy_);
    for (index td = 0; td < s_.kernel[0]; ++td) {
      const index xd = d * s_.stride[0] + td * s_.dilation[0] - s_.pad_before[0];
      if (xd < 0 || xd >= s_.in[0]) continue;
      const Input x = read(part, xh, xw, image * s_.in[0] + xd, copies);
      for (index k = 0; k < part.columns; k += k_.panel) {
        for (index th = 0; th < s_.kernel[1]; ++th) {
          for (index tw = 0; tw < s_.kernel[2]; ++tw) {
            const index tap = (td * s_.kernel[1] + th) * s_.kernel[2] + tw;
            add_tap(part, x, dy, h, w, th, tw, k, dw + tap * s_.group_in() * s_.out_channels + k);
          }
        }
      }
    }
  }

  // The products of one panel with one tap.
  void add_tap(const ChannelPart& part, const Input& x, const Patch<T>& dy, const Range& block_h, const Range& block_w,
               index th, index tw, index k, T* dw) const {
    const Range h = inside(1, block_h, th), w = inside(2, block_w, tw);
    if (h.empty() || w.empty()) return;
    const index xh = h.begin * s_.stride[1] + th * s_.dilation[1] - s_.pad_before[1] - x.h.begin;
    const index xw = w.begin * s_.stride[2] + tw * s_.dilation[2] - s_.pad_before[2] - x.w.begin;
    PixelSum<T> sum{};
    sum.rows = h.size();
    sum.cols = w.size();
    sum.dy = dy.data + (h.begin - block_h.begin) * dy.row + (w.begin - block_w.begin) * dy.pixel + k;
    sum.dy_pixel = dy.pixel;
    sum.dy_row = dy.row;
    sum.dw_stride = s_.out_channels;
    sum.columns = static_cast<int>(std::min<index>(k_.panel, part.columns - k));
    for (index tile = 0; tile < x.tiles; ++tile) {
      const index begin = x.begin(part.channels, tile), channels = x.begin(part.channels, tile + 1) - begin;
      Patch<T> patch = x.patch;
      if (copy_x_) patch = {patch.data + begin * x.h.size() * x.w.size(), x.w.size() * channels, channels};
      sum.x = patch.data + xh * patch.row + xw * patch.pixel;
      sum.x_pixel = s_.stride[2] * patch.pixel;
      sum.x_row = s_.stride[1] * patch.row;
      sum.channels = static_cast<int>(channels);
      sum.dw = dw + begin * s_.out_channels;
      k_.pixel_sum(sum);
    }
  }

  const ConvShape& s_;
  const Kernels<T>& k_;
  const ChannelParts parts_;
  const T* x_;
  const T* dy_;
  index cols_, rows_, units_, slices_;
  Axes blocks_;
  bool copy_x_, copy_dy_;
  index dy_pixel_, x_copy_, dy_copy_;
};

}  // namespace

template <class T>
Work direct_weight_grad_work(const ConvShape& shape) {
  return WeightGrad<T>(shape, nullptr, nullptr).work();
}

template Work direct_weight_grad_work<float>(const ConvShape&);
template Work direct_weight_grad_work<double>(const ConvShape&);

template <class T>
void direct_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dw) {
  WeightGrad<T>(shape, x, dy).run(dw);
}

template void direct_weight_grad(const ConvShape&, const float*, const float*, float*);
template void direct_weight_grad(const ConvShape&, const double*, const double*, double*);

}  // namespace pcx
