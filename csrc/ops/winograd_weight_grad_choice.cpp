// When Winograd's algorithm can do a weight gradient, when it pays, and with which tiles of dy. The gradient sums over
// the batch, so the batch counts here.
#include <algorithm>

#include "ops/weight_grad.h"
#include "ops/winograd.h"
#include "ops/winograd_pass.h"

namespace pcx {

namespace {

constexpr index least_channels = 16, least_products = 512;  // of x and of dy, fewer do not pay for the transforms
constexpr index least_tiles = 16;  // the sums of each element go through memory once for all tiles

}  // namespace

const char* winograd_weight_grad_obstacle(const ConvShape& s) {
  bool any = false;
  for (int a = 0; a < 3; ++a) {
    if (s.stride[a] != 1 || (s.kernel[a] > 1 && s.dilation[a] != 1))
      return "Winograd's algorithm needs stride 1 and dilation 1";
    if (s.kernel[a] != 1 && s.kernel[a] != 3)
      return "Winograd's algorithm exists here for kernel sizes 1 and 3 on each axis";
    any = any || s.kernel[a] > 1;
  }
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1";
}

bool winograd_weight_grad_pays(const ConvShape& s, const Tiles& tiles) {
  const index positions = s.batch * s.out[0] * s.out[1] * s.out[2];
  return std::min(s.group_in(), s.group_out()) >= least_channels && s.group_in() * s.group_out() >= least_products &&
         positions >= least_tiles * tiles[0] * tiles[1] * tiles[2];
}

Tiles winograd_weight_grad_tiles(const ConvShape& s) {
  Tiles tiles{1, 1, 1};
  for (int a = 0; a < 3; ++a) {
    if (s.kernel[a] == 1) continue;
    index least = 0;
    for (int tile : {2, 4}) {
      const index products = divide_up(s.out[a], tile) * (tile + s.kernel[a] - 1);
      if (least == 0 || products < least) {
        least = products;
        tiles[a] = tile;
      }
    }
  }
  return tiles;
}

}  // namespace pcx
