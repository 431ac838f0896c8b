// When Winograd's algorithm can do a problem, with which tiles, and when it pays: a model of the time in multiply-adds,
// fitted to measurements (`python -m bench.choice`), among the tiles whose rounding errors keep the contract.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "ops/winograd.h"
#include "ops/winograd_plan.h"

namespace pcx {

namespace {

constexpr index longest_kernel = 9;
constexpr int largest_tile = 6;

// By how much transforms may enlarge rounding errors (squared): 7 times keeps 1.5e-5 of the result's rms, which
// precision="default" promises; 26 times keeps 1e-4.
constexpr double default_amplification = 49, fast_amplification = 26 * 26;

// What one element of a transform costs for one channel and axis, next to one multiply-add of a product; a strip of
// channels of a tile on its way in or out; an element of the transformed weight, read and made; a chunk of the sum on
// its way to memory.
constexpr double transform_cost = 9, strip_cost = 400, weight_read_cost = 6, weight_made_cost = 60, chunk_cost = 5;
constexpr double direct_cost = 1.1, direct_weight_cost = 2;  // of one multiply-add; of an element of the weight
constexpr double strip = 16;

struct Choice {
  Tiles tiles;
  double cost;
};

double transformed_cost(const Correlation& p, const std::array<WinogradScheme, 3>& scheme) {
  const Kernels<float>& k = kernels<float>();
  double tiles = 1, elements = 1, parts = 1, axes = 0;
  for (int a = 0; a < 3; ++a) {
    tiles *= std::ceil(static_cast<double>(p.axis[a].positions) / scheme[a].tile);
    elements *= static_cast<double>(scheme[a].size());
    parts *= scheme[a].parts;
    axes += scheme[a].tile > 1;
  }
  const double columns = std::ceil(static_cast<double>(p.out_channels) / k.lanes) * k.lanes;
  const double depth = parts * static_cast<double>(p.in_channels), rows = std::max(tiles, 4.0);
  const double sums = rows * columns * (depth + chunk_cost * std::ceil(depth / 64));
  const double transforms = transform_cost * axes * tiles * (depth + static_cast<double>(p.out_channels));
  const double strips = tiles * (std::ceil(depth / strip) + std::ceil(columns / strip));
  return elements * (sums + transforms + weight_read_cost * depth * columns) + strip_cost * axes * strips;
}

double weight_elements(const Correlation& p, const Tiles& tiles) {
  double elements = static_cast<double>(p.in_channels * p.out_channels);
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], p.axis[a].taps);
    elements *= static_cast<double>(scheme.size() * scheme.parts);
  }
  return elements;
}

double axis_amplification(const WinogradScheme& scheme) {
  const WinogradAxis<float>* axis = winograd_axis_for<float>(scheme.tile, scheme.kernel);
  return axis ? axis->amplification : 1;
}

Choice best(const Correlation& p, bool fast) {
  Choice choice{{1, 1, 1}, 0};
  std::array<std::array<WinogradScheme, largest_tile + 1>, 3> schemes;
  for (int a = 0; a < 3; ++a) {
    for (int tile = 1; tile <= largest_tile; ++tile) schemes[a][tile] = winograd_scheme(tile, p.axis[a].taps);
  }
  const double allowed = fast ? fast_amplification : default_amplification;
  for (int d = 1; d <= largest_tile; ++d) {
    for (int h = 1; h <= largest_tile; ++h) {
      for (int w = 1; w <= largest_tile; ++w) {
        const std::array<WinogradScheme, 3> scheme{schemes[0][d], schemes[1][h], schemes[2][w]};
        double amplification = 1;
        bool possible = d * h * w > 1;
        for (const WinogradScheme& s : scheme) {
          possible = possible && s.parts > 0;
          amplification *= axis_amplification(s);
        }
        if (!possible || amplification > allowed) continue;
        const double cost = transformed_cost(p, scheme);
        if (choice.cost == 0 || cost < choice.cost) choice = {{d, h, w}, cost};
      }
    }
  }
  return choice;
}

}  // namespace

const char* winograd_obstacle(const Correlation& problem) {
  bool any = false;
  for (const CorrelationAxis& axis : problem.axis) {
    const bool dense = axis.step == 1 && axis.out_step == 1 && (axis.taps == 1 || std::abs(axis.tap_step) == 1);
    if (!dense) return "Winograd's algorithm needs stride 1 and dilation 1";
    if (axis.taps < 1 || axis.taps > longest_kernel)
      return "Winograd's algorithm exists here for kernel sizes 1 to 9 on each axis";
    any = any || axis.taps > 1;
  }
  if (problem.in_channels == 0) return "Winograd's algorithm needs a channel to sum over";
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1";
}

Tiles winograd_tiles(const Correlation& problem, bool fast) { return best(problem, fast).tiles; }

bool winograd_pays(const Correlation& problem, const Tiles& tiles, bool kept) {
  std::array<WinogradScheme, 3> scheme;
  for (int a = 0; a < 3; ++a) scheme[a] = winograd_scheme(tiles[a], problem.axis[a].taps);
  const Kernels<float>& k = kernels<float>();
  const double columns = std::ceil(static_cast<double>(problem.out_channels) / k.lanes) * k.lanes;
  const double products = static_cast<double>(problem.taps() * problem.in_channels) * columns;
  const double made = kept ? 0 : weight_made_cost * weight_elements(problem, tiles) - direct_weight_cost * products;
  return transformed_cost(problem, scheme) + made <
         products * (direct_cost * static_cast<double>(problem.positions()) + direct_weight_cost);
}

}  // namespace pcx
