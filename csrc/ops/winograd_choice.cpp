// When Winograd's algorithm can do a problem, when it pays, and with which tiles.
#include <cstdlib>

#include "ops/winograd.h"

namespace pcx {

namespace {

constexpr int default_tiles[] = {2, 4};  // F(6, 3) is less exact than precision="default" promises
constexpr index least_channels = 32;     // fewer do not pay for the transforms of the picture

// A transformed filter has four times the bytes of the filter. Where it is kept, a few tiles pay for reading it; where
// it is made for one call, there must be enough of them to pay for writing it too, to memory if it is large.
constexpr index least_positions_kept = 36, least_positions = 196, least_positions_large = 784;
constexpr index large_filter = 1 << 16;  // in_channels * out_channels

index divide_up(index a, index b) { return (a + b - 1) / b; }

}  // namespace

const char* winograd_obstacle(const Correlation& problem) {
  bool any = false;
  for (const CorrelationAxis& axis : problem.axis) {
    const bool dense = axis.step == 1 && axis.out_step == 1 && (axis.taps == 1 || std::abs(axis.tap_step) == 1);
    if (!dense) return "Winograd's algorithm needs stride 1 and dilation 1";
    if (axis.taps != 1 && axis.taps != 3)
      return "Winograd's algorithm exists here for kernel sizes 1 and 3 on each axis";
    any = any || axis.taps == 3;
  }
  if (problem.in_channels == 0) return "Winograd's algorithm needs a channel to sum over";
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1";
}

bool winograd_pays(const Correlation& problem, bool kept) {
  const bool large = problem.in_channels * problem.out_channels > large_filter;
  const index positions = kept ? least_positions_kept : large ? least_positions_large : least_positions;
  return problem.in_channels >= least_channels && problem.out_channels >= least_channels &&
         problem.positions() >= positions;
}

Tiles winograd_tiles(const Correlation& problem) {
  Tiles tiles{1, 1, 1};
  const bool deep = problem.axis[0].taps > 1 && problem.axis[1].taps > 1 && problem.axis[2].taps > 1;
  for (int a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = problem.axis[a];
    if (axis.taps == 1) continue;
    index least = 0;
    for (int tile : default_tiles) {
      if (deep && a == 0 && tile > 2) break;  // F(4, 3) on all three axes has an error of 2e-5 at 64 channels
      const index products = divide_up(axis.positions, tile) * (tile + axis.taps - 1);
      if (least == 0 || products < least) {
        least = products;
        tiles[a] = tile;
      }
    }
  }
  return tiles;
}

}  // namespace pcx
