// Which of the direct ways is the fastest, and how fast: a model of the time of one picture in cycles of a processor
// that does two vectors of multiply-adds in each, fitted to measurements of 800 random shapes on an AVX2 processor; for
// few output channels and groups, of 800 more; of 1300 on one with AVX-512.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/parts.h"
#include "ops/scatter.h"

namespace pcx {

namespace {

constexpr double call = 1450;                  // before the first product
constexpr double scattered = 1.1;              // times as much as products take, next to those of a correlation
constexpr double dot = 2, dot_column = 5.5;    // columns whose products are summed over lanes: a vector, a column
constexpr double term = 0.85;                  // a vector added, or read, or written
constexpr double row_call = 61;                // of shift_add
constexpr double near_elements = 4096;         // of partial results that are added in one call, as in scatter.cpp
constexpr double emitted = 0.8, cell = 10;     // an element of y from its sum; a cell of a phase
constexpr double apart_cell = 5;               // where nothing is summed
constexpr double copied = 0.17, placed = 3.1;  // an element of x; a position
// The row kernel: a part; a row; a vector of pixels by one weight, and its load; a result and a position on their way
// out; an element of x.
constexpr double row_part = 200, row = 122, row_product = 1.25, row_load = 1.15, row_result = 1.9, row_position = 2.6;
constexpr double row_copied = 0.26;
// Depthwise: a vector's multiply-add; a vector copied, and where channels of groups are dealt out; a row of pixels, and
// of its vectors.
constexpr double column_product = 0.8, column_copied = 3, column_dealt = 10, column_row = 300, column_vector = 15;
constexpr double far_weights = 4096;  // of columns summed over lanes: more of them leave the first-level cache
constexpr double found = 1.15;        // times as much is found, next to Winograd's algorithm: memory
constexpr double made = 1;            // an element of the weight that is packed

// What depends on the vectors: what a register tile takes besides its products, in channels; a panel of one vector,
// next to half a panel of two; a column that a correlation sums over lanes; a run of x; each residue of a correlation.
// Those of 64 bytes were measured on Cascade Lake.
struct Pace {
  double tile, one_vector, column, run, part;
};
constexpr Pace narrow_pace{4.5, 1.2, 4, 0, 1400}, wide_pace{9, 1.3, 6.8, 2.9, 500};

const Pace& pace() { return kernels<float>().wide() ? wide_pace : narrow_pace; }

double columns_cost(const Kernels<float>& k, index columns) {
  const index full = columns / k.panel * k.panel, left = columns - full;
  return static_cast<double>(full) + (left == 0 ? 0 : left <= k.lanes ? pace().one_vector * k.lanes : k.panel);
}

double products(const Kernels<float>& k, double rows, double depth, double columns) {
  return rows * columns * (depth + pace().tile) / (2 * k.lanes);
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
  const double depth = static_cast<double>(p.in_channels), lines = static_cast<double>(ad.out * ah.out);
  const bool apart = plan.apart(p);
  double sums = 0, terms = 0, stored = 0;
  for (const ScatterPass& pass : plan.passes) {
    sums += pass.over_lanes ? pixels * static_cast<double>(pass.columns) * (dot * depth / (2 * k.lanes) + dot_column)
                            : scattered * products(k, pixels, depth, columns_cost(k, pass.columns));
  }
  for (const ScatterPhase& phase : plan.phases) {
    const double vectors = std::ceil(static_cast<double>(phase.length) / k.lanes);
    terms += wide * vectors * term * static_cast<double>(phase.terms.size() + (phase.part_length > 0) + 2);
    stored +=
        (apart ? apart_cell : cell) * wide * static_cast<double>(p.groups == 1 ? 1 : phase.length / p.out_channels);
  }
  const double emits = emitted * static_cast<double>(aw.out * p.out_channels);
  // Rows whose partial results lie near are added in one call.
  const double near = std::max(1.0, std::floor(near_elements / (wide * static_cast<double>(plan.stride))));
  const double calls = row_call * static_cast<double>(plan.phases.size()) / near;
  const double added = apart ? 0 : inside(ad) * inside(ah) * (calls + terms);
  return call + static_cast<double>(p.groups) * (sums + added + lines * (emits + stored));
}

// Of the elements of x that a correlation reads, those beside its positions included.
double slots(const Correlation& p) {
  double slots = static_cast<double>(p.in_channels);
  for (const CorrelationAxis& a : p.axis)
    slots *= static_cast<double>(a.positions + (a.taps - 1) * std::abs(a.tap_step));
  return slots;
}

// Few output channels: a row is so many vectors of pixels.
double row_cycles(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  const bool turned = turns(p);
  const index length = p.axis[turned ? 1 : 2].positions;
  const double rows = static_cast<double>(p.axis[0].positions * p.axis[turned ? 2 : 1].positions);
  const double vectors = rows * static_cast<double>(divide_up(length, k.lanes));
  const double depth = static_cast<double>(p.taps() * p.in_channels), out = static_cast<double>(p.out_channels);
  const double sums = vectors * depth * (row_product * out + row_load) / 2;
  const double results = static_cast<double>(p.positions()) * (row_result * out + row_position);
  return row_part + static_cast<double>(p.groups) * (sums + results + row_copied * slots(p) + row * rows);
}

// A few channels a group: vectors of output channels, and columns of x for each.
double depthwise_cycles(const Correlation& p) {
  const double vectors = static_cast<double>(divide_up(p.groups * p.out_channels, kernels<float>().lanes));
  const double in = static_cast<double>(p.in_channels),
               rows = static_cast<double>(p.axis[0].positions * p.axis[1].positions);
  const double sums = column_product * static_cast<double>(p.positions() * p.taps()) * in;
  const double copied = (p.in_channels * p.out_channels == 1 ? column_copied : column_dealt) * slots(p);
  return pace().part + column_row * rows + vectors * (sums + copied + column_vector * rows);
}

// Panels of output channels, or a few that are summed over lanes.
double channels_cycles(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  const double positions = static_cast<double>(p.positions()), depth = static_cast<double>(p.taps() * p.in_channels);
  const double out = static_cast<double>(p.out_channels), dot_share = depth * out > far_weights ? 0.45 : 0.75;
  const index run_taps = chunks_of(p, sizeof(float)).run_taps, length = run_taps * p.in_channels;
  const double runs = static_cast<double>(p.taps() / run_taps),
               panels = static_cast<double>(divide_up(p.out_channels, k.panel));
  const double vectors = runs * static_cast<double>(divide_up(length, k.lanes));
  const double sums = over_lanes<float>(p, p.out_channels)
                          ? positions * (vectors * out / 2 / dot_share + pace().column * out + 12)
                          : products(k, positions, depth, columns_cost(k, p.out_channels));
  const double begun = positions * panels * pace().run * runs;
  return pace().part + static_cast<double>(p.groups) * (sums + begun + copied * slots(p) + placed * positions);
}

template <class T>
bool rows_can(const Correlation& p) {
  const Kernels<T>& k = kernels<T>();
  return p.out_channels <= k.narrow && p.in_channels < k.lanes;
}

struct Fastest {
  Way way;
  double cycles;
};

// Of all ways that there are in this type; how long they take is told of float32.
template <class T>
Fastest fastest_of(const Correlation& given) {
  const Correlation p = ascending(given);
  Fastest best{Way::channels, channels_cycles(p)};
  auto consider = [&](bool can, Way way, double cycles) {
    if (can && cycles < best.cycles) best = {way, cycles};
  };
  consider(rows_can<T>(p), Way::rows, row_cycles(p));
  consider(depthwise_can<T>(p), Way::depthwise, depthwise_cycles(p));
  return best;
}

double cycles_of(const Correlation& p) { return fastest_of<float>(p).cycles; }

double cycles_of(const std::vector<Correlation>& parts) {
  double cycles = call;
  for (const Correlation& part : parts) cycles += cycles_of(part);
  return cycles;
}

double packing_cycles(const Correlation& p) {
  return made * static_cast<double>(p.groups * p.taps() * p.in_channels * p.out_channels);
}

}  // namespace

double correlate_cycles(const Correlation& part, bool kept) {
  return found * cycles_of(part) + (kept ? 0 : packing_cycles(part) / pictures_of_call);
}

double direct_cycles(const ConvShape& s, Direction direction, bool kept) {
  const std::vector<Correlation> parts = parts_of(s, direction);
  double cycles = cycles_of(parts), packing = 0;
  if (scatter_can(s, direction)) cycles = std::min(cycles, scatter_cycles(scatter_of(s, direction)));
  for (const Correlation& part : parts) packing += packing_cycles(part);
  return found * cycles + (kept ? 0 : packing / pictures_of_call);
}

template <class T>
bool scatter_suits(const ConvShape& s, Direction direction) {
  if (!scatter_can(s, direction)) return false;
  return scatter_cycles(scatter_of(s, direction)) < cycles_of(parts_of(s, direction));
}

// A call asks several times for one problem, and small ones would feel it: the last answer is kept.
template <class T>
Way way_of(const Correlation& problem) {
  struct Last {
    Correlation problem;
    const KernelTable* table = nullptr;
    Way way;
  };
  static_assert(std::has_unique_object_representations_v<Correlation>, "compared as bytes");
  thread_local Last last;
  if (last.table != &active_table() || std::memcmp(&last.problem, &problem, sizeof problem) != 0)
    last = {problem, &active_table(), fastest_of<T>(problem).way};
  return last.way;
}

template Way way_of<float>(const Correlation&);
template Way way_of<double>(const Correlation&);
template bool scatter_suits<float>(const ConvShape&, Direction);
template bool scatter_suits<double>(const ConvShape&, Direction);

}  // namespace pcx
