// Weight gradient by Winograd's algorithm: a tile of dy is a small filter that slides over a tile of x, and gives
// `kernel` sums on each axis: F(kernel, tile). Each element of the two transforms is a matrix product over tiles,
// dw = output[sum over tiles of filter[dy tile] . input[x tile]], so that the sum is transformed once.
#include <algorithm>
#include <atomic>

#include "base/buffer.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/weight_grad.h"
#include "ops/winograd.h"
#include "ops/winograd_pass.h"

namespace pcx {

namespace {

constexpr index most_channels = 128;    // of x and of dy that one task takes
constexpr index block_bytes = 3 << 20;  // of the transforms of a block of tiles
constexpr index most_tiles = 256, least_tiles = 32;
constexpr index scratch_bytes = 60 << 20;  // of all workers together
constexpr index least_tasks = 16, slice_tiles = 64;
constexpr index line = 16;  // floats of a cache line
constexpr double parallel_products = 4e6;

// Elements from tile to tile: an odd number of cache lines, so that tiles spread over all cache sets.
index spread(index channels) { return (divide_up(channels, line) | 1) * line; }

class WinogradWeightGrad {
 public:
  WinogradWeightGrad(const ConvShape& shape, const Tiles& tiles, const float* x, const float* dy)
      : s_(shape), k_(kernels<float>()), parts_(shape, most_channels, k_.panel), tile_(tiles), x_(x), dy_(dy) {
    index count = s_.batch;
    for (int a = 0; a < 3; ++a) {
      size_[a] = tile_[a] + s_.kernel[a] - 1;
      count_[a] = divide_up(s_.out[a], tile_[a]);
      count *= count_[a];
      scheme_[a] = winograd_axis_for<float>(static_cast<int>(s_.kernel[a]), tile_[a]);
      transformed_ += scheme_[a] != nullptr;
    }
    tiles_ = count;
    elements_ = size_[0] * size_[1] * size_[2];
    x_tile_ = spread(parts_.channels);
    dy_tile_ = spread(parts_.columns);
    const index tile_bytes = elements_ * (x_tile_ + dy_tile_) * static_cast<index>(sizeof(float));
    const index groups = s_.groups * parts_.c_parts * parts_.k_parts;
    slices_ = std::max<index>(1, std::min(divide_up(least_tasks, groups), tiles_ / slice_tiles));
    const index slice = divide_up(tiles_, slices_);
    block_ = even_part(slice, std::clamp(block_bytes / tile_bytes, least_tiles, most_tiles));
    at_once_ = elements_ > 64 ? 16 : 32;
  }

  Work work() const {
    const index tasks = slices_ * s_.groups * parts_.c_parts * parts_.k_parts;
    const index bytes = scratch_size() * index(sizeof(float)), affordable = std::max<index>(1, scratch_bytes / bytes);
    const index own = slices_ > 1 ? slices_ * s_.w_size() * index(sizeof(float)) : 0;
    const index blocks = divide_up(divide_up(tiles_, slices_), block_);
    const double products = 1.0 * tiles_ * elements_ * s_.in_channels * s_.group_out();
    const index sharing = products < parallel_products ? 1 : std::min(tasks, affordable);
    return {products, block_ + blocks + slices_, own, bytes, sharing};
  }

  // Whether all sums were finite.
  bool run(float* dw) {
    const index scratch = scratch_size();
    const int workers = workers_for(work().workers);
    Buffer<float> buffer(scratch * workers);
    std::atomic<bool> finite{true};
    sum_slices(s_, parts_, slices_, workers, dw, [&](const ChannelPart& part, index slice, float* sums, int worker) {
      if (!compute(part, slice, sums, buffer.data() + worker * scratch)) finite = false;
    });
    return finite;
  }

 private:
  index scratch_size() const { return sums_size() + block_ * elements_ * (x_tile_ + dy_tile_) + 3 * small_size(); }
  index sums_size() const { return elements_ * parts_.channels * parts_.columns; }
  index small_size() const { return elements_ * std::max(at_once_, parts_.columns); }

  bool compute(const ChannelPart& part, index slice, float* dw, float* scratch) const {
    float* const sums = scratch;
    float* const x = sums + sums_size();
    float* const dy = x + block_ * elements_ * x_tile_;
    float* const small = dy + block_ * elements_ * dy_tile_;
    std::fill_n(sums, elements_ * part.channels * part.columns, 0.0f);
    const index end = tiles_ * (slice + 1) / slices_;
    for (index first = tiles_ * slice / slices_; first < end; first += block_) {
      const index count = std::min(block_, end - first);
      for (index t = 0; t < count; ++t) {
        transform_x(part, first + t, x + t * x_tile_, small);
        transform_dy(part, first + t, dy + t * dy_tile_, small);
      }
      multiply(part, count, x, dy, sums);
    }
    return transform_back(part, sums, dw, small);
  }

  // The tensor that a tile is taken from, at the first channel of the part.
  struct Source {
    const float* data;
    Axes extents, strides, start;
    index channels;
  };

  Source source(const float* data, const Axes& extents, index all_channels, index first_channel, index channels,
                index image, const Axes& start) const {
    const Axes strides{extents[1] * extents[2] * all_channels, extents[2] * all_channels, all_channels};
    return {data + image * extents[0] * strides[0] + first_channel, extents, strides, start, channels};
  }

  Axes tile_start(index tile) const {
    const index w = tile % count_[2], h = tile / count_[2] % count_[1], d = tile / (count_[1] * count_[2]) % count_[0];
    return {d * tile_[0], h * tile_[1], w * tile_[2]};
  }
  index image_of(index tile) const { return tile / (count_[0] * count_[1] * count_[2]); }

  void transform_x(const ChannelPart& part, index tile, float* to, float* small) const {
    Axes start = tile_start(tile);
    for (int a = 0; a < 3; ++a) start[a] -= s_.pad_before[a];
    transform(
        source(x_, s_.in, s_.in_channels, part.group * s_.group_in() + part.c0, part.channels, image_of(tile), start),
        size_, &WinogradAxis<float>::input, to, block_ * x_tile_, small);
  }

  void transform_dy(const ChannelPart& part, index tile, float* to, float* small) const {
    transform(source(dy_, s_.out, s_.out_channels, part.group * s_.group_out() + part.k0, part.columns, image_of(tile),
                     tile_start(tile)),
              {tile_[0], tile_[1], tile_[2]}, &WinogradAxis<float>::filter, to, block_ * dy_tile_, small);
  }

  using Pass = void (*WinogradAxis<float>::*)(const TransformPass<float>&);

  // Element e goes to to + e * element.
  void transform(const Source& source, const Axes& extents, Pass pass, float* to, index element, float* small) const {
    bool inside = true;
    index shift = 0;
    for (int a = 0; a < 3; ++a) {
      inside = inside && source.start[a] >= 0 && source.start[a] + extents[a] <= source.extents[a];
      shift += source.start[a] * source.strides[a];
    }
    float* const buffers[] = {small + small_size(), small + 2 * small_size()};
    for (index c = 0; c < source.channels; c += at_once_) {
      const index channels = std::min(at_once_, source.channels - c);
      const float* from = source.data + shift + c;
      Axes strides = source.strides, now = extents;
      if (!inside) {
        copy_patch(source, extents, c, channels, small);
        from = small;
        strides = dense(extents, channels);
      }
      int left = transformed_;
      for (int a : {2, 1, 0}) {
        if (!scheme_[a]) continue;
        --left;
        const Axes lines = now;
        now[a] = size_[a];
        float* const goal = left ? buffers[left % 2] : to + c;
        const Axes goal_strides = dense(now, left ? channels : element);
        (scheme_[a]->*pass)(winograd_pass(a, from, strides, goal, goal_strides, lines, channels));
        from = goal;
        strides = goal_strides;
      }
    }
  }

  // What a tile at the border reads, with zeros outside.
  static void copy_patch(const Source& source, const Axes& extents, index c, index channels, float* to) {
    auto inside = [&](int a, index i) { return i >= 0 && i < source.extents[a]; };
    for (index d = source.start[0]; d < source.start[0] + extents[0]; ++d) {
      for (index h = source.start[1]; h < source.start[1] + extents[1]; ++h) {
        const bool row = inside(0, d) && inside(1, h);
        for (index w = source.start[2]; w < source.start[2] + extents[2]; ++w, to += channels) {
          if (row && inside(2, w))
            std::copy_n(source.data + d * source.strides[0] + h * source.strides[1] + w * source.strides[2] + c,
                        channels, to);
          else
            std::fill_n(to, channels, 0.0f);
        }
      }
    }
  }

  // sums[element][c][k] += the products of `count` tiles
  void multiply(const ChannelPart& part, index count, const float* x, const float* dy, float* sums) const {
    PixelSum<float> sum{};
    sum.rows = 1;
    sum.cols = count;
    sum.x_pixel = x_tile_;
    sum.dy_pixel = dy_tile_;
    sum.dw_stride = part.columns;
    sum.channels = static_cast<int>(part.channels);
    for (index e = 0; e < elements_; ++e) {
      sum.x = x + e * block_ * x_tile_;
      for (index k = 0; k < part.columns; k += k_.panel) {
        sum.columns = static_cast<int>(std::min<index>(k_.panel, part.columns - k));
        sum.dy = dy + e * block_ * dy_tile_ + k;
        sum.dw = sums + e * part.channels * part.columns + k;
        k_.pixel_sum(sum);
      }
    }
  }

  bool transform_back(const ChannelPart& part, const float* sums, float* dw, float* small) const {
    const Axes taps{s_.kernel[1] * s_.kernel[2], s_.kernel[2], 1};
    Axes dw_strides;
    for (int a = 0; a < 3; ++a) dw_strides[a] = taps[a] * s_.group_in() * s_.out_channels;
    bool finite = true;
    for (index c = 0; c < part.channels; ++c) {
      const float* from = sums + c * part.columns;
      float* const to = dw + (part.c0 + c) * s_.out_channels + part.group * s_.group_out() + part.k0;
      Axes strides = dense(size_, part.channels * part.columns), now = size_;
      int left = transformed_;
      for (int a : {0, 1, 2}) {
        if (!scheme_[a]) continue;
        --left;
        now[a] = s_.kernel[a];
        float* const goal = left ? small + left * small_size() : to;
        const Axes goal_strides = left ? dense(now, part.columns) : dw_strides;
        const auto pass = winograd_pass(a, from, strides, goal, goal_strides, now, part.columns);
        if (left)
          scheme_[a]->output(pass);
        else if (!scheme_[a]->last(pass))
          finite = false;
        from = goal;
        strides = goal_strides;
      }
    }
    return finite;
  }

  const ConvShape& s_;
  const Kernels<float>& k_;
  const ChannelParts parts_;
  const Tiles tile_;
  const float* x_;
  const float* dy_;
  Axes size_{}, count_{};
  std::array<const WinogradAxis<float>*, 3> scheme_{};
  int transformed_ = 0;
  index tiles_, elements_, x_tile_, dy_tile_, slices_, block_, at_once_;
};

}  // namespace

Work winograd_weight_grad_work(const ConvShape& shape, const Tiles& tiles) {
  return WinogradWeightGrad(shape, tiles, nullptr, nullptr).work();
}

bool winograd_weight_grad(const ConvShape& shape, const Tiles& tiles, const float* x, const float* dy, float* dw) {
  return WinogradWeightGrad(shape, tiles, x, dy).run(dw);
}

}  // namespace pcx
