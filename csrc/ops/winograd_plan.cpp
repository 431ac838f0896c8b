#include "ops/winograd_plan.h"

#include <algorithm>
#include <cstdlib>

namespace pcx {

namespace {

constexpr index longest_chunk = 64;
constexpr index block_bytes = 400 << 10;  // of a block's transformed input and products: they stay in the L2 cache
constexpr index most_tiles = 192, least_tiles = 72;
constexpr index most_bytes = 48 << 20;  // however many channels there are, while a register tile has all its rows
constexpr index line = 16;              // floats of a cache line
constexpr index far_floats = 2 << 20;   // of a picture that the caches of a core do not hold
constexpr index small_floats = 3072;    // of an array between two axes: it and another one stay in the L1 cache

index divide_up(index a, index b) { return (a + b - 1) / b; }
index round_up(index a, index b) { return divide_up(a, b) * b; }

// An odd number of cache lines: the elements of a tile then lie in different cache sets.
index spread(index floats) { return (divide_up(floats, line) | 1) * line; }

}  // namespace

WinogradScheme winograd_scheme(int tile, index taps) {
  if (tile == 1) return {1, 1, static_cast<int>(taps)};
  for (int parts = 1; parts < taps; ++parts) {
    const index kernel = divide_up(taps, parts);
    if (kernel > 1 && winograd_axis_for<float>(tile, kernel)) return {tile, static_cast<int>(kernel), parts};
  }
  return {tile, 0, 0};
}

WinogradPlan::WinogradPlan(const Correlation& correlation, const Tiles& tiles_on)
    : problem(correlation), elements(1), parts(1) {
  const Kernels<float>& k = kernels<float>();
  for (int a = 0; a < 3; ++a) {
    CorrelationAxis& axis = problem.axis[a];
    if (axis.tap_step < 0) axis.first += (axis.taps - 1) * axis.tap_step;
    scheme[a] = winograd_scheme(tiles_on[a], axis.taps);
    transform[a] = winograd_axis_for<float>(scheme[a].tile, scheme[a].kernel);
    transformed += transform[a] != nullptr;
    size[a] = scheme[a].size();
    spacing[a] = axis.taps > 1 ? std::abs(axis.tap_step) : 1;
    row[a] = divide_up(divide_up(axis.positions, spacing[a]), scheme[a].tile);
    count[a] = std::min(spacing[a], axis.positions) * row[a];
    elements *= size[a];
    parts *= scheme[a].parts;
  }
  chunk = round_up(divide_up(depth(), divide_up(depth(), longest_chunk)), line);
  chunks = divide_up(depth(), chunk);
  chunk_row = chunk;
  panel = k.whole_width(problem.out_channels);
  panels = divide_up(problem.out_channels, k.panel);
  const index tile_bytes = elements * (chunks * chunk_row + panels * panel) * static_cast<index>(sizeof(float));
  const index most = std::min(std::clamp(block_bytes / tile_bytes, least_tiles, most_tiles),
                              std::max<index>(k.tile, most_bytes / tile_bytes));
  blocks = divide_up(tiles(), most);
  block = std::min(tiles(), round_up(divide_up(tiles(), blocks), k.tile));
  blocks = divide_up(tiles(), block);
  input_element = spread(block * chunk_row);
  product_element = spread(block * panel);
  const auto& [d, h, w] = problem.axis;
  far = problem.groups * problem.in_channels * d.in * h.in * w.in > far_floats;
  strip = std::clamp(small_floats / elements / line * line, line, longest_chunk);
  together = std::max<index>(1, small_floats / (elements * panel));
}

}  // namespace pcx
