// When Winograd's algorithm can do a problem, and with which tiles: those of which a model of the time, fitted to
// measurements on processors with AVX2 and with AVX-512, says the least, among those whose rounding errors keep the
// contract.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/division.h"
#include "ops/parts.h"
#include "ops/winograd.h"
#include "ops/winograd_plan.h"

namespace pcx {

namespace {

constexpr index longest_kernel = 9;
constexpr int largest_tile = 6;

// By how much transforms may enlarge rounding errors (squared), as default_amplification: 26 times keeps 1e-4.
constexpr double fast_amplification = 26 * 26;

// In multiply-adds: a product, a chunk of a sum on its way to memory, an element of a transform for one channel and
// axis, an element of the transformed weight that is read, and made, and both where all of them leave the caches. In
// cycles: a call of the products' kernel, a strip of channels of one part of the kernel on its way through one axis.
// Of narrow vectors, that of a chunk is from 5,000 measurements on Zen 3, where it had been half of that and Winograd's
// algorithm was taken too often for few channels. All of vectors of 64 bytes are a compromise between 1200 layers on a
// Zen 4, where the mean loss is 1.5%, and what 11,000 measurements on a Sapphire Rapids had come to: of layers that are
// called again and again, of several that take turns, as those of a network do, and of weights packed in the call.
// A transformed weight of up to `near` elements is read from the nearest cache, of `far` from memory; between them
// stand the other caches. Those that are read from far away come while the products of others are summed, as far as
// these take as long.
// `sharing`: pictures whose tiles share a weight in a block, if they are small, since a choice may not depend on the
// batch. With so many one picture alone loses about as much as eight do.
struct Costs {
  double product, chunk, transform, read, read_far, made, made_far, call_cycles, strip_cycles, near, far, sharing;
};
constexpr Costs narrow_costs{0.9, 24, 6, 4.5, 12, 36, 36, 15, 190, 8 << 20, 8 << 20, 1.5};
constexpr Costs wide_costs{0.95, 15, 8, 2.5, 9, 50, 50, 20, 100, 1 << 20, 6 << 20, 1.6};
constexpr double short_chunk = 0.35;     // times as much for each after the first where they are shortened
constexpr double lane_sum_vectors = 3;   // to add up the lanes of a sum
constexpr double lane_transform = 0.65;  // times as much for a transform in the small blocks of sums over lanes
// Cycles: an element of a tile on its way back, however few channels it has, with so many axes; one that is left as it
// is counts, too, if it is the last.
constexpr std::array<double, 4> lane_result{0, 2, 4, 11};
constexpr index large_size = 7;
constexpr double large_axis = 1.15;  // and times as much for each axis of such a size, of narrow vectors
constexpr double border = 12;        // an element of a tile there that crosses the border within its rows
constexpr double first_cycles = 4000;
// A weight that is kept takes memory as long as a layer lives. Where it is large and a picture has many tiles, those of
// size 7 gain a twentieth and make it a sixth larger: they are charged for that.
constexpr index large_weight = 4 << 20, many_tiles = 128;  // elements
constexpr double memory_charge = 1.07;
constexpr double ragged = 1.7;        // times as much for a transform of channels that are no whole vectors
constexpr double strided = 1.05;      // times as much for a strided picture, of whose lines a residue uses a part;
constexpr double few_strided = 1.13;  // and where it has few channels, or vectors are of 64 bytes
constexpr index few_channels = 16;
constexpr double wide_lopsided = 1.15;    // times as much with vectors of 64 bytes, as where there are groups
constexpr double joined_positions = 1.2;  // times as much where they are: rows of results are short
constexpr double joined_few = 1.5;        // and where they have few channels: most of a vector is idle in transforms
constexpr double spread_cost = 12;        // an element of a result whose neighbours are of other residues

const Costs& costs() { return kernels<float>().wide() ? wide_costs : narrow_costs; }

double far_share(double elements) {  // of a transformed weight
  const Costs& cost = costs();
  if (elements <= cost.near) return 0;
  return elements >= cost.far ? 1 : std::log(elements / cost.near) / std::log(cost.far / cost.near);
}

double between(double near, double far, double share) { return near + (far - near) * share; }

// An element of one tile, of all output channels.
double sums_cost(const WinogradPlan& plan, double columns, double depth) {
  const Costs& cost = costs();
  double chunks = static_cast<double>(plan.chunks);
  if (plan.shortened) chunks = 1 + short_chunk * (chunks - 1);
  if (!plan.over_lanes) return columns * (cost.product * depth + cost.chunk * chunks);
  const double lanes = kernels<float>().lanes, vectors = std::ceil(depth / lanes);
  return columns * lanes * (cost.product * vectors + lane_sum_vectors * chunks);
}

// Tiles that cross the border on the width axis.
double border_tiles(const WinogradPlan& plan) {
  const CorrelationAxis& a = plan.problem.axis[2];
  const index reach = a.first + (plan.row[2] * plan.scheme[2].tile - 1) * a.step + (a.taps - 1) * a.tap_step;
  const index ends = (a.first < 0) + (reach >= a.in);
  return static_cast<double>(plan.tiles()) *
         std::min(1.0, static_cast<double>(ends) / static_cast<double>(plan.row[2]));
}

double lane_transform_factor(const WinogradPlan& plan) {
  double factor = lane_transform;
  for (int a = 0; a < 3; ++a) {
    if (plan.size[a] >= large_size && !kernels<float>().wide() && !plan.problem.is_joined()) factor *= large_axis;
  }
  return factor;
}

// Of one group, in multiply-adds.
double transformed_cost(const WinogradPlan& plan) {
  const Correlation& p = plan.problem;
  const index lanes = kernels<float>().lanes, whole = divide_up(p.in_channels, lanes) * lanes;
  const Costs& cost = costs();
  const double cycle = 2.0 * static_cast<double>(lanes), axes = plan.transformed;
  const double columns = static_cast<double>(plan.over_lanes ? p.out_channels : round_up(p.out_channels, lanes));
  const double tiles = static_cast<double>(plan.tiles()),
               together = std::min(cost.sharing, static_cast<double>(plan.fitting));
  const double rows = std::max(tiles, 4 / together);
  const double elements = static_cast<double>(plan.elements), chunks = static_cast<double>(plan.chunks);
  const double depth = plan.products() / (elements * tiles), read = plan.share_read();
  const double calls = chunks * static_cast<double>(plan.panels * plan.blocks) / together;
  const double channels = static_cast<double>(plan.parts * whole) * (whole == p.in_channels ? 1 : ragged);
  const index following = plan.transform[2] ? plan.following_parts(0) : 1;  // tiles of one pixel gain little by it
  const double strips = static_cast<double>(std::max(divide_up(plan.parts, following), plan.chunks) *
                                            divide_up(std::min(following * p.in_channels, plan.chunk), plan.strip));
  const double weights = static_cast<double>(p.groups) * elements * depth * columns;
  const double far = std::max(cost.read, cost.read_far - cost.product * rows);
  const double weight_read = between(cost.read, far, far_share(weights));
  const double products = rows * sums_cost(plan, columns, depth) + cycle * cost.call_cycles * calls;
  double transforms = tiles * axes * cost.transform * channels * read;
  if (plan.over_lanes) {
    const int back = std::min(3, plan.transformed + (plan.scheme[2].tile == 1));
    transforms *= lane_transform_factor(plan);
    transforms += border * border_tiles(plan) * channels + cycle * lane_result[static_cast<std::size_t>(back)] * tiles;
  }
  transforms += weight_read / together * depth * columns;
  return elements * (products + transforms) + cycle * cost.strip_cycles * axes * tiles * strips * read;
}

index weight_elements(const Correlation& p, const Tiles& tiles) {
  index elements = p.in_channels * p.out_channels;
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], p.axis[a]);
    elements *= scheme.size() * scheme.parts;
  }
  return elements;
}

double memory_factor(const WinogradPlan& plan, index elements) {
  if (elements <= large_weight || plan.tiles() < many_tiles) return 1;
  return *std::max_element(plan.size.begin(), plan.size.end()) >= large_size ? memory_charge : 1;
}

double making_cost(const Correlation& p, const Tiles& tiles) {  // of one group
  const double elements = static_cast<double>(weight_elements(p, tiles));
  return between(costs().made, costs().made_far, far_share(elements)) * elements;
}

// The results at both ends of a tile are further off than those between them, most of all where it is much longer than
// the kernel. F(5, 2) on both axes of input gradients with stride 2 was off by up to 1.9e-5.
double axis_amplification(const WinogradScheme& scheme) {
  constexpr double far_ends = 1.22 * 1.22;
  const WinogradAxis<float>* axis = winograd_axis_for<float>(scheme.tile, scheme.kernel);
  return axis ? axis->amplification * (scheme.tile - scheme.kernel >= 3 ? far_ends : 1) : 1;
}

// Whether each axis of these tiles serves some part, and every part's rounding errors stay within bounds.
bool allowed(const std::vector<Correlation>& parts, const Tiles& tiles, double most) {
  Tiles served{1, 1, 1};
  for (const Correlation& p : parts) {
    const Tiles own = winograd_part_tiles(p, tiles);
    double amplification = relative_terms(parts, p);
    for (int a = 0; a < 3; ++a) {
      served[a] = std::max(served[a], own[a]);
      amplification *= axis_amplification(winograd_scheme(own[a], p.axis[a]));
    }
    if (amplification > most) return false;
  }
  return served == tiles;
}

double strided_factor(const Correlation& p) {
  const bool any = p.axis[0].step * p.axis[1].step * p.axis[2].step > 1;
  return !any ? 1 : p.in_channels < few_channels || kernels<float>().wide() ? few_strided : strided;
}

double lopsided_factor(const Correlation& p) {
  const bool any = p.groups > 1 || lopsided(p.in_channels, p.out_channels);
  return any && kernels<float>().wide() ? wide_lopsided : 1;
}

double part_cycles(const Correlation& p, const Tiles& tiles, bool kept) {
  const Tiles own = winograd_part_tiles(p, tiles);
  if (p.positions() == 0) return 0;
  if (own == Tiles{1, 1, 1}) return correlate_cycles(p, kept);
  const WinogradPlan plan(p, own);
  double cost = transformed_cost(plan) * strided_factor(p) * lopsided_factor(p);
  if (p.is_joined()) cost *= joined_positions * (p.in_channels < few_channels ? joined_few : 1);
  if (!kept) cost += making_cost(p, own) / pictures_of_call;
  if (kept) cost *= memory_factor(plan, weight_elements(p, own));
  if (p.axis[0].out_step * p.axis[1].out_step * p.axis[2].out_step > 1)
    cost += spread_cost * static_cast<double>(p.positions() * p.out_channels);
  return first_cycles + static_cast<double>(p.groups) * cost / (2 * kernels<float>().lanes);
}

}  // namespace

Tiles winograd_part_tiles(const Correlation& part, const Tiles& tiles) {
  Tiles own = tiles;
  for (int a = 0; a < 3; ++a) {
    if (winograd_scheme(tiles[a], part.axis[a]).parts == 0) own[a] = 1;
  }
  return own;
}

const char* winograd_obstacle(const std::vector<Correlation>& parts) {
  bool any = false;
  for (const Correlation& part : parts) {
    for (const CorrelationAxis& axis : part.axis) {
      const index taps = divide_up(axis.taps, residues_of(axis));
      if (taps < 1 || taps > longest_kernel)
        return "Winograd's algorithm exists here for kernel sizes 1 to 9 on each axis, over the stride";
      any = any || taps > 1;
    }
    if (part.in_channels == 0) return "Winograd's algorithm needs a channel to sum over";
  }
  return any ? nullptr : "Winograd's algorithm needs an axis with a kernel of more than 1, and of more than the stride";
}

double winograd_cycles(const std::vector<Correlation>& parts, const Tiles& tiles, bool kept) {
  double cycles = 0;
  for (const Correlation& part : parts) cycles += part_cycles(part, tiles, kept);
  return cycles;
}

Tiles winograd_tiles(const std::vector<Correlation>& parts, bool fast, bool kept) {
  Tiles best{1, 1, 1};
  double least = 0;
  const double amplification = fast ? fast_amplification : default_amplification;
  auto most = [&](int a) {
    for (const Correlation& part : parts) {
      if (part.axis[a].taps > residues_of(part.axis[a])) return largest_tile;
    }
    return 1;
  };
  for (int d = 1; d <= most(0); ++d) {
    for (int h = 1; h <= most(1); ++h) {
      for (int w = 1; w <= most(2); ++w) {
        const Tiles tiles{d, h, w};
        if (d * h * w == 1 || !allowed(parts, tiles, amplification)) continue;
        const double cycles = winograd_cycles(parts, tiles, kept);
        if (least == 0 || cycles < least) best = tiles, least = cycles;
      }
    }
  }
  return best;
}

double winograd_making_share(const Correlation& problem, const Tiles& tiles) {
  return making_cost(problem, tiles) / transformed_cost(WinogradPlan(problem, tiles));
}

}  // namespace pcx
