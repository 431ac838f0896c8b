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

// In multiply-adds: a product, a chunk of a sum on its way to memory, an element of a transform for one channel and
// axis, an element of the transformed weight, read and made. In cycles: a call of the products' kernel, a strip of
// channels on its way through one axis.
constexpr double product_cost = 1.05, chunk_cost = 9, transform_cost = 8.8, weight_read_cost = 3, weight_made_cost = 45;
constexpr double call_cycles = 40, strip_cycles = 210;
constexpr double direct_cost = 1.2;                            // of one multiply-add
constexpr double direct_read_cost = 2, direct_made_cost = 12;  // of an element of the weight

struct Choice {
  Tiles tiles;
  double cost;
};

double transformed_cost(const WinogradPlan& plan) {
  const Correlation& p = plan.problem;
  const double lanes = kernels<float>().lanes, cycle = 2 * lanes, axes = plan.transformed;
  const double columns = std::ceil(static_cast<double>(p.out_channels) / lanes) * lanes;
  const double tiles = static_cast<double>(plan.tiles()), rows = std::max(tiles, 4.0);
  const double depth = static_cast<double>(plan.depth()), chunks = static_cast<double>(plan.chunks);
  const double calls = chunks * static_cast<double>(plan.panels * plan.blocks);
  const double strips =
      chunks * std::ceil(static_cast<double>(std::min(plan.chunk, plan.depth())) / static_cast<double>(plan.strip));
  const double products = rows * columns * (product_cost * depth + chunk_cost * chunks) + cycle * call_cycles * calls;
  const double transforms = tiles * axes * transform_cost * depth + weight_read_cost * depth * columns;
  return static_cast<double>(plan.elements) * (products + transforms) + cycle * strip_cycles * axes * tiles * strips;
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

// Whether these tiles exist and keep the rounding errors within bounds.
bool allowed(const Correlation& p, const Tiles& tiles, double most) {
  double amplification = 1;
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], p.axis[a].taps);
    if (scheme.parts == 0) return false;
    amplification *= axis_amplification(scheme);
  }
  return amplification <= most;
}

Choice best(const Correlation& p, bool fast) {
  Choice choice{{1, 1, 1}, 0};
  const double amplification = fast ? fast_amplification : default_amplification;
  auto most = [&](int a) { return p.axis[a].taps > 1 ? largest_tile : 1; };
  for (int d = 1; d <= most(0); ++d) {
    for (int h = 1; h <= most(1); ++h) {
      for (int w = 1; w <= most(2); ++w) {
        const Tiles tiles{d, h, w};
        if (d * h * w == 1 || !allowed(p, tiles, amplification)) continue;
        const double cost = transformed_cost(WinogradPlan(p, tiles));
        if (choice.cost == 0 || cost < choice.cost) choice = {tiles, cost};
      }
    }
  }
  return choice;
}

}  // namespace

const char* winograd_obstacle(const Correlation& problem) {
  bool any = false;
  for (const CorrelationAxis& axis : problem.axis) {
    if (axis.step != 1 || axis.out_step != 1) return "Winograd's algorithm needs stride 1";
    if (axis.taps < 1 || axis.taps > longest_kernel)
      return "Winograd's algorithm exists here for kernel sizes 1 to 9 on each axis";
    any = any || axis.taps > 1;
  }
  if (problem.in_channels == 0) return "Winograd's algorithm needs a channel to sum over";
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1";
}

Tiles winograd_tiles(const Correlation& problem, bool fast) { return best(problem, fast).tiles; }

bool winograd_pays(const Correlation& problem, const Tiles& tiles, bool kept) {
  const double lanes = kernels<float>().lanes;
  const double columns = std::ceil(static_cast<double>(problem.out_channels) / lanes) * lanes;
  const double products = static_cast<double>(problem.taps() * problem.in_channels) * columns;
  const double made = kept ? 0 : weight_made_cost * weight_elements(problem, tiles) - direct_made_cost * products;
  return transformed_cost(WinogradPlan(problem, tiles)) + made <
         products * (direct_cost * static_cast<double>(problem.positions()) + direct_read_cost);
}

double winograd_making_share(const Correlation& problem, const Tiles& tiles) {
  return weight_made_cost * weight_elements(problem, tiles) / transformed_cost(WinogradPlan(problem, tiles));
}

}  // namespace pcx
