// When Winograd's algorithm can do a weight gradient, when it pays, and with which tiles of dy: a model of the time in
// multiply-adds, fitted to measurements, among the tiles whose rounding errors keep the contract. The gradient sums
// over the batch, so the batch counts here.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/weight_grad_cut.h"
#include "ops/winograd.h"
#include "ops/winograd_weight_grad_plan.h"

namespace pcx {

namespace {

constexpr index longest_kernel = 9;
constexpr int largest_tile = 6;

// By how much transforms may enlarge rounding errors (squared): 11 times keeps 1.5e-5 of the result's rms. Of kernels
// of more than 3 taps, which lean on high powers of the points, the worst tap is 1.5 times as far off.
constexpr double allowed_amplification = 121, worst_tap = 2.25;
// Sums over few tiles are as far off again on an axis of larger transforms: 2D tiles of 5 x 5 were by 1.7e-5.
constexpr index few_tiles = 384;
constexpr int large_size = 7;
constexpr double of_few_tiles = 1.44;

// Next to one multiply-add of a product: an element of the transform of a tile, for each channel of a whole strip; an
// element of a block's products on its way back; a multiply-add of the direct algorithm. All of it times as much where
// channels are lopsided. With vectors of 64 bytes a multiply-add of the direct algorithm is charged for half-way
// between processors that do two of them a cycle (1.0), and Zen 4, which does one (2.2; transforms are as fast): of 60
// layers there what is taken takes 1.09 times as long as the faster of both, where it had been 1.19.
struct Costs {
  double transform, back, direct, lopsided;
};
constexpr Costs narrow_costs{24, 17, 1.1, 1}, wide_costs{36, 17, 1.4, 1.2};
constexpr index block_tiles = 128;

struct Choice {
  Tiles tiles;
  double cost;
};

double columns_of(const ConvShape& s) {
  const index lanes = kernels<float>().lanes;
  return static_cast<double>(round_up(s.group_out(), lanes));
}

const Costs& costs() { return kernels<float>().wide() ? wide_costs : narrow_costs; }

index tiles_of(const ConvShape& s, const std::array<WinogradScheme, 3>& scheme) {
  index tiles = s.batch;
  for (int a = 0; a < 3; ++a) {
    const index apart = scheme[a].kernel > 1 ? s.dilation[a] / std::gcd(s.stride[a], s.dilation[a]) : 1;
    tiles *= std::min(apart, s.out[a]) * divide_up(divide_up(s.out[a], apart), scheme[a].tile);
  }
  return tiles;
}

double cost_of(const ConvShape& s, const std::array<WinogradScheme, 3>& scheme) {
  const index tiles = tiles_of(s, scheme);
  index elements = 1, parts = 1;
  double products = static_cast<double>(s.group_in()) * columns_of(s);  // of a tile
  for (int a = 0; a < 3; ++a) {
    products *= scheme[a].products();
    elements *= scheme[a].size();
    parts *= scheme[a].parts;
  }
  const double channels = static_cast<double>(parts * round_up(s.group_in(), 16) + round_up(s.group_out(), 16));
  const double multiplied =
      products * (static_cast<double>(tiles) + costs().back * static_cast<double>(divide_up(tiles, block_tiles)));
  const double transformed = static_cast<double>(elements) * costs().transform * static_cast<double>(tiles) * channels;
  return (lopsided(s.group_in(), s.group_out()) ? costs().lopsided : 1) * (multiplied + transformed);
}

double amplification_of(const WinogradScheme& scheme, bool few) {
  const WinogradAxis<float>* axis = winograd_axis_for<float>(scheme.kernel, scheme.tile);
  if (!axis) return 1;
  return axis->amplification * (axis->tile > 3 ? worst_tap : 1) *
         (few && axis->size() >= large_size ? of_few_tiles : 1);
}

bool allowed(const ConvShape& s, const std::array<WinogradScheme, 3>& scheme) {
  const bool few = tiles_of(s, scheme) < few_tiles;
  double amplification = 1;
  for (const WinogradScheme& axis : scheme) {
    if (axis.parts == 0) return false;
    amplification *= amplification_of(axis, few);
  }
  return amplification <= allowed_amplification;
}

Choice best(const ConvShape& s) {
  Choice choice{{1, 1, 1}, 0};
  for (int d = 1; d <= largest_tile; ++d) {
    for (int h = 1; h <= largest_tile; ++h) {
      for (int w = 1; w <= largest_tile; ++w) {
        const Tiles tiles{d, h, w};
        std::array<WinogradScheme, 3> scheme;
        for (int a = 0; a < 3; ++a) scheme[a] = winograd_weight_grad_scheme(tiles[a], s, a);
        if (d * h * w == 1 || !allowed(s, scheme)) continue;
        const double cost = cost_of(s, scheme);
        if (choice.cost == 0 || cost < choice.cost) choice = {tiles, cost};
      }
    }
  }
  return choice;
}

}  // namespace

const char* winograd_weight_grad_obstacle(const ConvShape& s) {
  bool any = false;
  for (int a = 0; a < 3; ++a) {
    const index taps = divide_up(s.kernel[a], s.stride[a] / std::gcd(s.stride[a], s.dilation[a]));
    if (taps > longest_kernel)
      return "Winograd's algorithm exists here for kernel sizes 1 to 9 on each axis, over the stride";
    any = any || taps > 1;
  }
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1, and of more than the stride";
}

Tiles winograd_weight_grad_tiles(const ConvShape& s) { return best(s).tiles; }

bool winograd_weight_grad_pays(const ConvShape& s, const Tiles& tiles) {
  std::array<WinogradScheme, 3> scheme;
  for (int a = 0; a < 3; ++a) scheme[a] = winograd_weight_grad_scheme(tiles[a], s, a);
  const double positions = static_cast<double>(s.y_size() / s.out_channels);
  return cost_of(s, scheme) < costs().direct * positions * direct_products<float>(s);
}

}  // namespace pcx
