#include "ops/depthwise_block.h"

#include <algorithm>

#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index columns_bytes = 48 << 10;  // of all rows that are held, in a second cache: short rows cost more than it
constexpr index widest_block = 1024;       // bytes of channels; whole lines down to the least that pays for a row
constexpr index least_block = 64;
constexpr index least_row = 14;     // positions
constexpr index longest_row = 224;  // positions
constexpr index block_flops = 2 << 20;
constexpr double parallel_flops = 3e6;  // about 100 us on one core: less is done by one thread
constexpr index least_rows = 8;         // of a block, for each row of taps: more than they share are copied once

index divide_up(index a, index b) { return (a + b - 1) / b; }
index even_part(index whole, index most) { return divide_up(whole, divide_up(whole, most)); }

index ring_of(const CorrelationAxis& axis) { return (axis.taps - 1) * std::abs(axis.tap_step) + 1; }

// Columns of `positions`, with those that the kernel reads beyond.
template <class T>
index columns_of(const CorrelationAxis& axis, index positions) {
  return TapColumns(axis, positions).columns + kernels<T>().depthwise_pixels - 1;
}

}  // namespace

template <class T>
DepthwiseCut depthwise_cut(const Correlation& p) {
  const index lanes = kernels<T>().lanes, size = sizeof(T), all = p.groups * p.out_channels;
  const index rows = p.axis[0].taps * ring_of(p.axis[1]) * p.in_channels;
  const index width = p.axis[2].positions, tile = kernels<T>().depthwise_pixels;
  DepthwiseCut c{};
  auto fits = [&](index positions) {
    return rows * columns_of<T>(p.axis[2], positions) * c.channels * size <= columns_bytes;
  };
  c.channels = std::max(widest_block / size, lanes);
  while (c.channels / 2 >= lanes && (c.channels / 2 >= all || !fits(std::min(width, least_row))) &&
         c.channels * size > least_block) {
    c.channels /= 2;
  }
  index row = std::min(width, longest_row);
  while (row > least_row && !fits(row)) row = std::max(least_row, row - tile);
  row = even_part(width, row);
  if (row < width) row = divide_up(row, tile) * tile;
  const index row_flops = 2 * row * std::min(c.channels, all) * p.taps() * p.in_channels;
  const index high = std::max(divide_up(block_flops, row_flops), least_rows * p.axis[1].taps);
  c.block = {1, even_part(p.axis[1].positions, high), row};
  for (int a = 0; a < 3; ++a) c.blocks[a] = divide_up(p.axis[a].positions, c.block[a]);
  c.channel_blocks = divide_up(all, c.channels);
  return c;
}

index DepthwiseCut::shared_by(const Correlation& p, index tasks) const {
  return 2.0 * depthwise_products(p) < parallel_flops ? 1 : tasks;
}

double depthwise_products(const Correlation& p) {
  return 1.0 * p.batch * p.positions() * p.taps() * p.in_channels * p.groups * p.out_channels;
}

DepthwiseBlock depthwise_block(const Correlation& p, const DepthwiseCut& cut, index unit) {
  DepthwiseBlock b{};
  for (int a = 2; a >= 0; --a) {
    b.start[a] = unit % cut.blocks[a] * cut.block[a];
    b.size[a] = std::min(cut.block[a], p.axis[a].positions - b.start[a]);
    unit /= cut.blocks[a];
  }
  b.image = unit;
  return b;
}

template <class T>
ColumnRows<T>::ColumnRows(const Correlation& problem, const DepthwiseCut& cut, bool padding)
    : p_(problem),
      taps_(p_.axis[2], cut.block[2]),
      lanes_(kernels<T>().lanes),
      ring_(ring_of(p_.axis[1])),
      plane_(taps_.columns * divide_up(cut.channels, lanes_) * lanes_),
      row_(plane_ * p_.in_channels),
      padding_(padding),
      held_(static_cast<std::size_t>(p_.axis[0].taps * ring_)),
      seen_(static_cast<std::size_t>(p_.axis[0].taps * p_.axis[1].taps * p_.in_channels)) {
  const index beyond = kernels<T>().depthwise_pixels * lanes_;
  const index places = p_.axis[0].taps * ring_;
  size_ = (places + (padding ? 1 : 0)) * row_ + beyond;
  data_ = Buffer<T>(size_);
  std::fill_n(data_.data() + places * row_, padding ? row_ : 0, T(0));
  if (p_.in_channels != 1 || p_.out_channels != 1) from_.resize(static_cast<std::size_t>(cut.channels));
}

template <class T>
void ColumnRows<T>::begin(const T* x, index image, index first, index channels, index column) {
  const index pixel = p_.groups * p_.in_channels;
  x_ = x + image * p_.axis[0].in * p_.axis[1].in * p_.axis[2].in * pixel;
  const index x_first = first / p_.out_channels * p_.in_channels;
  x_ += x_first;
  for (index i = 0; i < static_cast<index>(from_.size()) && i < channels; ++i) {
    from_[static_cast<std::size_t>(i)] =
        static_cast<std::int32_t>((first + i) / p_.out_channels * p_.in_channels - x_first);
  }
  channels_ = channels;
  column_ = column;
  std::fill(held_.begin(), held_.end(), index{-1});
}

template <class T>
const T* const* ColumnRows<T>::at(index d, index h) {
  const auto& [ad, ah, aw] = p_.axis;
  const T* padding = padding_ ? data_.data() + static_cast<index>(held_.size()) * row_ : nullptr;
  const T** seen = seen_.data();
  for (index td = 0; td < ad.taps; ++td) {
    const index xd = ad.first + d * ad.step + td * ad.tap_step;
    for (index th = 0; th < ah.taps; ++th) {
      const index xh = ah.first + h * ah.step + th * ah.tap_step;
      if (xd < 0 || xd >= ad.in || xh < 0 || xh >= ah.in) {
        seen = std::fill_n(seen, p_.in_channels, padding);
        continue;
      }
      const index place = td * ring_ + xh % ring_, row = xd * ah.in + xh;
      T* const to = data_.data() + place * row_;
      if (held_[static_cast<std::size_t>(place)] != row) {
        held_[static_cast<std::size_t>(place)] = row;
        const index stride = aw.in * p_.groups * p_.in_channels;
        fill(x_ + row * stride, xh + ah.step < ah.in ? ah.step * stride : 0, to);
      }
      for (index j = 0; j < p_.in_channels; ++j) *seen++ = to + j * plane_;
    }
  }
  return seen_.data();
}

template <class T>
void ColumnRows<T>::fill(const T* x, index ahead, T* to) const {
  const CorrelationAxis& axis = p_.axis[2];
  const index pixel = p_.groups * p_.in_channels, vectors = divide_up(channels_, lanes_);
  PixelColumns<T> part{};
  part.from = from_.empty() ? nullptr : from_.data();
  part.channels = channels_;
  part.columns = taps_.columns;
  part.x_step = axis.step * pixel;
  part.ahead = ahead;
  for (const TapColumns::Part& run : taps_.parts) {
    const index first = run.first + column_ * axis.step;
    // Columns [begin, end) of the part lie inside x; the others are padding.
    const index begin = std::clamp<index>(first < 0 ? divide_up(-first, axis.step) : 0, 0, run.count);
    const index end = std::clamp<index>(first < axis.in ? (axis.in - 1 - first) / axis.step + 1 : 0, begin, run.count);
    for (index j = 0; j < p_.in_channels; ++j) {
      T* const plane = to + j * plane_ + run.column * lanes_;
      for (index v = 0; v < vectors && (begin > 0 || end < run.count); ++v) {
        std::fill_n(plane + v * taps_.columns * lanes_, begin * lanes_, T(0));
        std::fill_n(plane + (v * taps_.columns + end) * lanes_, (run.count - end) * lanes_, T(0));
      }
      part.x = x + (first + begin * axis.step) * pixel + j;
      part.to = plane + begin * lanes_;
      part.pixels = end - begin;
      kernels<T>().fill_columns(part);
    }
  }
}

template DepthwiseCut depthwise_cut<float>(const Correlation&);
template DepthwiseCut depthwise_cut<double>(const Correlation&);
template class ColumnRows<float>;
template class ColumnRows<double>;

}  // namespace pcx
