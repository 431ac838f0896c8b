#include "ops/depthwise_cut.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/tap_columns.h"

namespace pcx {

namespace {

constexpr index forward_bytes = 28 << 10;  // of all rows that are seen at once: the first-level cache
// The same of rows of several depths that are read where they stand, the second: in longer pieces. Depthwise 3x3x3 over
// 20 x 40 x 40 x 48 took 0.85 of the time on a Zen 4, over 16 x 28 x 28 x 128 two thirds.
constexpr index deep_forward_bytes = 72 << 10;
constexpr index grad_bytes = 96 << 10;   // and the second: with long rows there are fewer sums to be put away
constexpr index deep_bytes = 160 << 10;  // where rows of several depths are held
constexpr index most_deep = 16;
constexpr index widest_block = 512;  // bytes of channels; whole lines down to the least that pays for a row
constexpr index least_block = 128;
constexpr index grad_pixels = 56;   // before sums go to memory and come back
constexpr index least_row = 14;     // positions
constexpr index longest_row = 224;  // positions
constexpr index block_flops = 2 << 20;
// Of several threads: less is done by one. A result takes as long as so many operations to be put away; those of a
// residue have others of other threads in their cache lines.
constexpr double worth_flops = 1e6, result_flops = 10;
constexpr index few_tasks = 4;   // at least, where they are worth it
constexpr index least_rows = 8;  // of a block, for each row of taps: more than they share are copied once

// `pixels` are seen at once, in as many rows as that takes and as the columns have place for.
template <class T>
DepthwiseCut cut_into(const Correlation& p, index columns_bytes, index pixels, bool vectors_apart) {
  const index lanes = kernels<T>().lanes, size = sizeof(T), all = p.groups * p.out_channels;
  const index width = p.axis[2].positions;
  DepthwiseCut c{};
  c.vectors_apart = vectors_apart;
  const TapColumns one(p.axis[2], 1);
  auto columns = [&](index positions) { return one.columns + static_cast<index>(one.parts.size()) * (positions - 1); };
  auto bytes = [&](index channels, index positions, index high) {
    return ring_of(p.axis[0], 1) * ring_of(p.axis[1], high) * p.in_channels * columns(positions) * channels * size;
  };
  // What a pixel's columns cost: those beside the row are filled again for the next, and every run of channels takes
  // as long as one more line.
  double least_cost = 0;
  index row = 0;
  for (index widest = widest_block / size; widest >= std::max(lanes, least_block / size); widest /= 2) {
    const index channels = even_part(divide_up(all, lanes), std::max<index>(1, widest / lanes)) * lanes;
    index positions = std::min(width, longest_row);
    while (positions > least_row && bytes(channels, positions, 1) > columns_bytes) --positions;
    positions = even_part(width, positions);
    const double excess = std::max(1.0, 1.0 * bytes(channels, positions, 1) / columns_bytes);
    const double cost = 1.0 * columns(positions) / positions * (1 + 64.0 / (channels * size)) * excess;
    if (row == 0 || cost < least_cost) {
      least_cost = cost;
      row = positions;
      c.channels = channels;
    }
  }
  c.high = 1;
  while (c.high * row < pixels && c.high < p.axis[1].positions && bytes(c.channels, row, c.high + 1) <= columns_bytes) {
    ++c.high;
  }
  const index row_flops = 2 * row * std::min(c.channels, all) * p.taps() * p.in_channels;
  c.channel_blocks = divide_up(all, c.channels);
  index high = std::max(divide_up(block_flops, row_flops), least_rows * p.axis[1].taps);
  if (p.in_channels * p.out_channels == 1 && 2 * p.products() >= worth_flops) {  // rows of x are not copied
    high = std::min(high, divide_up(p.axis[1].positions, divide_up(few_tasks, c.channel_blocks * p.batch)));
  }
  c.block = {1, even_part(p.axis[1].positions, high), row};
  c.held = c.high;
  if (p.axis[0].positions > 1 && seen_again(p.axis[0])) {  // rows are held until all depths that see them are done
    while (c.held < p.axis[1].positions && bytes(c.channels, row, c.held + 1) <= deep_bytes) ++c.held;
    c.block = {even_part(p.axis[0].positions, most_deep), even_part(p.axis[1].positions, c.held), row};
    c.high = std::min(c.high, c.block[1]);
  }
  for (int a = 0; a < 3; ++a) c.blocks[a] = divide_up(p.axis[a].positions, c.block[a]);
  return c;
}

}  // namespace

index ring_of(const CorrelationAxis& axis, index high) {
  const index reach = (high - 1) * axis.step + (axis.taps - 1) * std::abs(axis.tap_step) + 1;
  return std::clamp<index>(axis.in, 1, reach);
}

// Vectors of a whole line read it once for a row of taps: from the second cache, if need be, as fast as it is
// multiplied.
template <class T>
bool spreads(const Correlation& p, index channels) {
  constexpr index line_bytes = 64, sets = 64, short_row = 8, size = sizeof(T);
  const index pixel = p.groups * size, apart = std::gcd(pixel / line_bytes, sets);
  if (pixel % line_bytes != 0) return true;
  if (!kernels<T>().wide()) return 2 * channels * size / line_bytes >= apart;
  return apart < sets / 2 || (apart < sets && p.axis[2].in <= short_row && p.axis[0].taps == 1);
}

template <class T>
DepthwiseCut depthwise_cut(const Correlation& p) {
  const bool home = p.in_channels * p.out_channels == 1 && spreads<T>(p, widest_block / index(sizeof(T)));
  return cut_into<T>(p, p.axis[0].taps > 1 && home ? deep_forward_bytes : forward_bytes, 1, false);
}

template <class T>
DepthwiseCut depthwise_grad_cut(const Correlation& p) {
  return cut_into<T>(p, grad_bytes, grad_pixels, true);
}

bool depthwise_worth_threads(double products, index results) {
  return 2 * products + result_flops * static_cast<double>(results) >= worth_flops;
}

index DepthwiseCut::shared_by(const Correlation& p, index tasks) const {
  const bool residue = p.axis[0].out_step * p.axis[1].out_step * p.axis[2].out_step > 1;
  const index results = p.batch * p.positions() * p.groups * p.out_channels;
  return depthwise_worth_threads(p.products(), residue ? 0 : results) ? tasks : 1;
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

template bool spreads<float>(const Correlation&, index);
template bool spreads<double>(const Correlation&, index);
template DepthwiseCut depthwise_cut<float>(const Correlation&);
template DepthwiseCut depthwise_cut<double>(const Correlation&);
template DepthwiseCut depthwise_grad_cut<float>(const Correlation&);
template DepthwiseCut depthwise_grad_cut<double>(const Correlation&);

}  // namespace pcx
