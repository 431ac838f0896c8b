#include "ops/winograd_weight_grad_plan.h"

#include <algorithm>
#include <numeric>

#include "ops/winograd_weight_grad_tile.h"

namespace pcx {

namespace {

constexpr index block_bytes = 4 << 20;  // of a block's transforms
constexpr index most_tiles = 128, least_tiles = 64;
constexpr index region_bytes = 256 << 10;  // of sums
constexpr index most_region_panels = 4, most_region_strips = 4;
constexpr index run_bytes = 16 << 10;  // of tiles on their way, in the L1 cache
constexpr index most_run = 32;
constexpr index least_tasks = 16;
constexpr index bytes = sizeof(float);

}  // namespace

WinogradScheme winograd_weight_grad_scheme(int tile, const ConvShape& s, int a) {
  const index taps = s.kernel[a], residues = s.stride[a] / std::gcd(s.stride[a], s.dilation[a]);
  if (tile == 1) return {1, 1, static_cast<int>(taps), taps, taps};
  // Five taps of small tiles are two parts, which enlarge rounding errors so little that they go with F(5, 4).
  return winograd_scheme(taps, residues, tile, [&](index kernel) {
    return winograd_axis_for<float>(static_cast<int>(kernel), tile) && !(tile <= 3 && kernel == 5);
  });
}

WinogradWeightGradPlan::WinogradWeightGradPlan(const ConvShape& shape, const Tiles& tiles_on)
    : s(shape), elements(1), parts(1), tiles(shape.batch) {
  const Kernels<float>& k = kernels<float>();
  for (int a = 0; a < 3; ++a) {
    scheme[a] = winograd_weight_grad_scheme(tiles_on[a], s, a);
    transform[a] = winograd_axis_for<float>(scheme[a].kernel, scheme[a].tile);
    transformed += transform[a] != nullptr;
    size[a] = scheme[a].size();
    spacing[a] = transform[a] ? s.dilation[a] / std::gcd(s.stride[a], s.dilation[a]) : 1;
    row[a] = divide_up(divide_up(s.out[a], spacing[a]), scheme[a].tile);
    count[a] = std::min(spacing[a], s.out[a]) * row[a];
    elements *= size[a];
    parts *= scheme[a].parts;
    tiles *= count[a];
  }
  panel = k.panel;
  strips = divide_up(s.group_in(), strip);
  panels = divide_up(s.group_out(), panel);
  const index tile_bytes = elements * (rows() * strip + panels * panel) * bytes;
  const index most = std::clamp(block_bytes / tile_bytes, least_tiles, most_tiles);
  region_panels = even_part(panels, most_region_panels);
  const index fitting = region_bytes / (elements * region_panels * panel * strip * bytes);
  region_strips = even_part(rows(), std::clamp<index>(fitting, 1, most_region_strips));
  slices = regions() >= least_tasks ? 1 : std::clamp<index>(tiles / least_tiles, 1, divide_up(least_tasks, s.groups));
  alone = slices * s.groups > 1;
  block = even_part(divide_up(tiles, slices), most);
  x_element = spread<float>(block * strip);
  dy_element = spread<float>(block * panel);
  run = transformed > 2 ? 1 : std::clamp<index>(run_bytes / (elements * std::max(strip, panel) * bytes), 1, most_run);
}

index WinogradWeightGradPlan::sums_element() const {
  return spread<float>(region_strips * strip * region_panels * panel);
}

index WinogradWeightGradPlan::small_size() const {
  index hull = 1;
  for (int a = 0; a < 3; ++a) hull *= a == 2 ? (run - 1) * scheme[a].tile + size[a] : size[a];
  return std::max(
      {hull * std::max(strip, panel), run * elements * std::max(strip, panel), elements * region_panels * panel});
}

Axes WinogradWeightGradPlan::part_of(index strip_row) const {
  const index part = strip_row / strips;
  return {part / scheme[2].parts / scheme[1].parts, part / scheme[2].parts % scheme[1].parts, part % scheme[2].parts};
}

bool WinogradWeightGradPlan::is_zero(index strip_row, index element) const {
  const Axes part = part_of(strip_row),
             at{element / (size[1] * size[2]), element / size[2] % size[1], element % size[2]};
  for (int a = 0; a < 3; ++a) {
    if (transform[a] && at[a] == size[a] - 1 && scheme[a].is_short(part[a])) return true;
  }
  return false;
}

double WinogradWeightGradPlan::products() const {
  double all = 1;
  for (int a = 0; a < 3; ++a) all *= scheme[a].products();
  return all;
}

}  // namespace pcx
