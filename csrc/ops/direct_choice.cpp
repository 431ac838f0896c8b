// Which of the direct ways is faster, correlate or scatter, and how fast: a model of the time of one picture in cycles
// of a processor that does two vectors of multiply-adds in each, fitted to measurements of 800 random shapes on an AVX2
// processor.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/parts.h"
#include "ops/scatter.h"

namespace pcx {

namespace {

constexpr double call = 1450;                  // before the first product
constexpr double tile = 4.5;                   // what a register tile takes besides its products, in channels
constexpr double one_vector = 1.2;             // a panel of one vector, next to half a panel of two
constexpr double dot_column = 1.3;             // columns whose products are summed over lanes
constexpr double term = 0.54;                  // a vector added, or read, or written
constexpr double row_call = 21;                // of shift_add
constexpr double emitted = 1.2, line = 4;      // an element of y from its sum; a cell
constexpr double part = 1400;                  // each residue of a correlation
constexpr double copied = 0.17, placed = 3.1;  // an element of x; a position
constexpr double found = 1.15;                 // times as much is found, next to Winograd's algorithm: memory
constexpr double made = 16;                    // of an element of the weight that is packed, in multiply-adds

double columns_cost(const Kernels<float>& k, index columns) {
  const index full = columns / k.panel * k.panel, left = columns - full;
  return static_cast<double>(full) + (left == 0 ? 0 : left <= k.lanes ? one_vector * k.lanes : k.panel);
}

double products(const Kernels<float>& k, double rows, double depth, double columns) {
  return rows * columns * (depth + tile) / (2 * k.lanes);
}

// Taps of all pixels on an axis that lead into y.
double inside(const ScatterAxis& a) {
  index count = 0;
  for (index t = 0; t < a.taps; ++t) {
    const index first = a.first + t * a.tap_step;  // where it leads from pixel 0
    const index begin = first < 0 ? (-first + a.step - 1) / a.step : 0;
    const index end = first < a.out ? std::min(a.in, (a.out - 1 - first) / a.step + 1) : 0;
    count += std::max<index>(0, end - begin);
  }
  return static_cast<double>(count);
}

double scatter_cycles(const Scatter& p) {
  const Kernels<float>& k = kernels<float>();
  const ScatterPlan plan = ScatterPlan::of<float>(p);
  const auto& [ad, ah, aw] = p.axis;
  const double pixels = static_cast<double>(p.pixels()), wide = static_cast<double>(aw.in + plan.reach);
  double columns = 0, terms = 0;
  for (const ScatterPass& pass : plan.passes) {
    columns +=
        pass.columns <= k.narrow ? dot_column * static_cast<double>(pass.columns) : columns_cost(k, pass.columns);
  }
  for (const ScatterPhase& phase : plan.phases) {
    const double vectors = std::ceil(static_cast<double>(phase.length) / k.lanes);
    terms += row_call + wide * vectors * term * static_cast<double>(phase.terms.size() + (phase.part_length > 0) + 2);
  }
  const double y = static_cast<double>(ad.out * ah.out * p.out_channels) * static_cast<double>(aw.out);
  return call + products(k, pixels, static_cast<double>(p.in_channels), columns) + inside(ad) * inside(ah) * terms +
         emitted * y + line * static_cast<double>(ad.out * ah.out) * wide;
}

double cycles_of(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  double slots = static_cast<double>(p.in_channels);
  for (const CorrelationAxis& a : p.axis)
    slots *= static_cast<double>(a.positions + (a.taps - 1) * std::abs(a.tap_step));
  const double positions = static_cast<double>(p.positions()), depth = static_cast<double>(p.taps() * p.in_channels);
  const double out = static_cast<double>(p.out_channels);
  const double sums = p.out_channels > k.narrow ? products(k, positions, depth, columns_cost(k, p.out_channels))
                      : p.in_channels < k.lanes ? positions * (depth * out / (2 * k.lanes) / 0.8 + 3 * out + 4)
                                                : positions * (depth * out / (2 * k.lanes) / 0.75 + 4 * out + 12);
  return part + static_cast<double>(p.groups) * (sums + copied * slots + placed * positions);
}

double cycles_of(const std::vector<Correlation>& parts) {
  double cycles = call;
  for (const Correlation& part : parts) cycles += cycles_of(part);
  return cycles;
}

double packing_cycles(const Correlation& p) {
  const index lanes = kernels<float>().lanes, columns = round_up(p.out_channels, lanes);
  return made * static_cast<double>(p.groups * p.taps() * p.in_channels * columns / (2 * lanes));
}

}  // namespace

double correlate_cycles(const Correlation& part, bool kept) {
  return found * cycles_of(part) + (kept ? 0 : packing_cycles(part));
}

double direct_cycles(const ConvShape& s, Direction direction, bool kept) {
  const std::vector<Correlation> parts = parts_of(s, direction);
  double cycles = cycles_of(parts), packing = 0;
  if (scatter_can(s, direction)) cycles = std::min(cycles, scatter_cycles(scatter_of(s, direction)));
  for (const Correlation& part : parts) packing += packing_cycles(part);
  return found * cycles + (kept ? 0 : packing);
}

template <class T>
bool scatter_suits(const ConvShape& s, Direction direction) {
  if (!scatter_can(s, direction)) return false;
  return scatter_cycles(scatter_of(s, direction)) < cycles_of(parts_of(s, direction));
}

template bool scatter_suits<float>(const ConvShape&, Direction);
template bool scatter_suits<double>(const ConvShape&, Direction);

}  // namespace pcx
