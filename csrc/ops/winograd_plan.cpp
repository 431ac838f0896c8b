#include "ops/winograd_plan.h"

#include "base/division.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace pcx {

namespace {

constexpr index longest_chunk = 64, lane_chunk = 16;  // of a sum, or of one lane's
// Shorter ones keep rounding errors within the bounds of precision="default" where transforms enlarge them (squared) by
// so much. Sums over few channels are as far off as any, and those by two axes further than by three.
constexpr double much = 6.3 * 6.3, very_much = 7 * 7;
constexpr index block_bytes = 400 << 10;  // of a block's transformed input and products: they stay in the L2 cache
constexpr index most_tiles = 192, least_tiles = 72, many_blocks = 12;
constexpr index lane_block_bytes = 200 << 10, least_lane_tiles = 8;  // over lanes: the weight is small
constexpr index most_bytes = 48 << 20;   // however many channels there are, while a register tile has all its rows
constexpr index line = 16;               // floats of a cache line
constexpr index far_floats = 128 << 10;  // of a picture that leaves the caches of a core little else
constexpr index small_floats = 3072;     // of an array between two axes: it and another one stay in the L1 cache

// An odd number of cache lines: the elements of a tile then lie in different cache sets.
index spread(index floats) { return (divide_up(floats, line) | 1) * line; }

}  // namespace

index residues_of(const CorrelationAxis& axis) { return axis.step / std::gcd(axis.step, axis.tap_step); }

WinogradScheme winograd_scheme(int tile, const CorrelationAxis& axis) {
  if (tile == 1) return {1, 1, static_cast<int>(axis.taps), axis.taps, axis.taps};
  // F(3, 5) would leave little of the rounding errors that are allowed to another axis; two parts of F(3, 3) leave
  // enough for F(4, 5).
  return winograd_scheme(axis.taps, residues_of(axis), tile, [&](index kernel) {
    return winograd_axis_for<float>(tile, kernel) && !(tile == 3 && kernel == 5);
  });
}

bool winograd_over_lanes(const Correlation& p, const Tiles& tiles) {
  for (int a = 0; a < 3; ++a) {
    if (tiles[a] == 1 && p.axis[a].taps > 1) return false;  // whose parts may be left out
  }
  return kernels<float>().over_lanes(p.out_channels, p.in_channels, false);
}

WinogradPlan::WinogradPlan(const Correlation& correlation, const Tiles& tiles_on)
    : problem(correlation), elements(1), parts(1) {
  const Kernels<float>& k = kernels<float>();
  for (int a = 0; a < 3; ++a) {
    CorrelationAxis& axis = problem.axis[a];
    if (axis.tap_step < 0) axis.first += (axis.taps - 1) * axis.tap_step, axis.tap_step = -axis.tap_step;
    scheme[a] = winograd_scheme(tiles_on[a], axis);
    transform[a] = winograd_axis_for<float>(scheme[a].tile, scheme[a].kernel);
    transformed += transform[a] != nullptr;
    size[a] = scheme[a].size();
    spacing[a] = transform[a] ? axis.tap_step / std::gcd(axis.step, axis.tap_step) : 1;
    row[a] = divide_up(divide_up(axis.positions, spacing[a]), scheme[a].tile);
    count[a] = std::min(spacing[a], axis.positions) * row[a];
    elements *= size[a];
    parts *= scheme[a].parts;
    amplification *= transform[a] ? transform[a]->amplification : 1;
    uneven = uneven || (transform[a] && scheme[a].is_short(scheme[a].parts - 1));
    const index reach = axis.first + (axis.positions - 1) * axis.step + (axis.taps - 1) * axis.tap_step;
    edged = edged || (!transform[a] && axis.taps > 1 && (axis.first < 0 || reach >= axis.in));
  }
  over_lanes = winograd_over_lanes(problem, tiles_on);
  const index longest = over_lanes ? lane_chunk * k.lanes : longest_chunk_of_sum();
  shortened = !over_lanes && longest < longest_chunk && depth() > longest;
  chunk = round_up(divide_up(depth(), divide_up(depth(), longest)), line);
  chunks = divide_up(depth(), chunk);
  chunk_row = chunk;
  panel = over_lanes ? problem.out_channels : k.whole_width(problem.out_channels);
  panels = divide_up(problem.out_channels, k.panel);
  const index tile_bytes = elements * (chunks * chunk_row + panels * panel) * static_cast<index>(sizeof(float));
  const index most = std::min(over_lanes ? std::clamp(lane_block_bytes / tile_bytes, least_lane_tiles, most_tiles)
                                         : std::clamp(block_bytes / tile_bytes, least_tiles, most_tiles),
                              std::max<index>(k.tile, most_bytes / tile_bytes));
  blocks = divide_up(tiles(), most);
  if (blocks > 1 && blocks < many_blocks) blocks = round_up(blocks, 2);  // two threads share an odd number badly
  block = std::min(tiles(), round_up(divide_up(tiles(), blocks), k.tile));
  blocks = divide_up(tiles(), block);
  const index weight_bytes = elements * chunks * chunk_row * panels * panel * static_cast<index>(sizeof(float));
  const index shared = std::max(block_bytes, weight_bytes) / tile_bytes;  // tiles that take no more than they save
  fitting = blocks > 1 ? 1 : std::max<index>(1, std::min(most, shared) / block);
  pictures = even_part(std::max<index>(1, problem.batch), fitting);
  input_element = spread(pictures * block * chunk_row);
  product_element = spread(pictures * block * panel);
  const auto& [d, h, w] = problem.axis;
  far = problem.groups * problem.in_channels * d.in * h.in * w.in > far_floats;
  strip = std::clamp(small_floats / elements / line * line, line, longest_chunk);
  together = std::max<index>(1, small_floats / (elements * panel));
}

index WinogradPlan::longest_chunk_of_sum() const {
  if (amplification <= much || amplification > default_amplification) return longest_chunk;
  const bool very = amplification > very_much;
  if (depth() <= longest_chunk / 2) return very && transformed < 3 ? longest_chunk / 4 : longest_chunk / 2;
  return depth() <= (very ? 2 : 1) * longest_chunk ? longest_chunk / 2 : longest_chunk;
}

index WinogradPlan::following_parts(index part) const {
  const WinogradScheme& s = scheme[2];
  if (problem.groups > 1 || problem.axis[2].tap_step != 1) return 1;
  return std::min(s.residues - part % s.residues, s.parts - part);
}

// Tiles of a block are neighbours: on the first axis on which they differ they are a range, on those after it all.
WinogradPlan::Zeros WinogradPlan::read_by(index number) const {
  Zeros zeros{false, false, {}, last_parts(), {}};
  Axes from = place(number * block), to = place(std::min((number + 1) * block, tiles()) - 1);
  bool apart = false;
  for (int a = 0; a < 3; ++a) {
    if (apart) from[a] = 0, to[a] = count[a] - 1;
    apart = apart || from[a] != to[a];
    if (transform[a]) continue;
    const CorrelationAxis& axis = problem.axis[a];
    const index before = -(axis.first + to[a] * axis.step), room = axis.in - 1 - axis.first - from[a] * axis.step;
    zeros.first[a] = std::clamp<index>(before > 0 ? divide_up(before, axis.tap_step) : 0, 0, zeros.last[a]);
    zeros.last[a] = std::clamp<index>(room > 0 ? room / axis.tap_step : 0, zeros.first[a], zeros.last[a]);
    zeros.padding = zeros.padding || zeros.first[a] > 0 || zeros.last[a] < scheme[a].parts - 1;
  }
  return zeros;
}

void WinogradPlan::find_last(index element, Zeros& zeros) const {
  const Axes at{element / (size[1] * size[2]), element / size[2] % size[1], element % size[2]};
  zeros.at_end = false;
  for (int a = 0; a < 3; ++a) {
    zeros.at_last[a] = transform[a] && at[a] == size[a] - 1;
    zeros.at_end = zeros.at_end || zeros.at_last[a];
  }
}

WinogradPlan::Summed WinogradPlan::without_zeros(const Zeros& zeros, index number) const {
  const index begin = number * chunk, end = std::min(begin + chunk, depth());
  auto is_zero = [&](index part) {
    const Axes at = part_at(part);
    for (int a = 0; a < 3; ++a) {
      if (at[a] < zeros.first[a] || at[a] > zeros.last[a] || (zeros.at_last[a] && scheme[a].is_short(at[a])))
        return true;
    }
    return false;
  };
  index first = begin / problem.in_channels, last = (end - 1) / problem.in_channels;
  while (first < last && is_zero(first)) ++first;
  while (last > first && is_zero(last)) --last;
  if (is_zero(first)) return {0, 0};
  const index from = std::max(begin, first * problem.in_channels);
  return {from - begin, std::min(end, (last + 1) * problem.in_channels) - from};
}

// Of a tile, for all elements of its transform.
double WinogradPlan::depths(Zeros zeros) const {
  double sum = 0;
  for (int mask = 0; mask < (uneven ? 8 : 1); ++mask) {
    index times = 1, depth_there = 0;
    for (int a = 0; a < 3; ++a) {
      const bool last = mask >> a & 1;
      zeros.at_last[a] = last;
      times *= !uneven || !transform[a] ? (last ? 0 : size[a]) : last ? 1 : size[a] - 1;
    }
    zeros.at_end = mask > 0;
    for (index number = 0; times > 0 && number < chunks; ++number) depth_there += summed(zeros, number).depth;
    sum += static_cast<double>(times * depth_there);
  }
  return sum;
}

double WinogradPlan::products() const {
  if (!edged) return static_cast<double>(tiles()) * depths(padding_of(0));
  double sum = 0;
  for (index b = 0; b < blocks; ++b)
    sum += static_cast<double>(std::min(block, tiles() - b * block)) * depths(read_by(b));
  return sum;
}

double WinogradPlan::share_read() const {
  return edged ? products() / (static_cast<double>(tiles()) * depths({false, false, {}, last_parts(), {}})) : 1;
}

}  // namespace pcx
