// Which of the direct ways is the fastest, and how fast: a model of the time of one picture in cycles of a processor
// that does two vectors of multiply-adds in each. Fitted to measurements of each way on random shapes: with vectors of
// 64 bytes 1300 and 700 on Cascade Lake; with narrower ones 1600 on Zen 3 and 700 on Cascade Lake.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/correlate_cut.h"
#include "ops/depthwise.h"
#include "ops/known.h"
#include "ops/parts.h"
#include "ops/patch.h"
#include "ops/scatter.h"
#include "ops/window.h"

namespace pcx {

namespace {

constexpr double call = 1450, part = 1400;  // before the first product, and for each residue of a correlation
// Scattering: a column that is summed over lanes, its vectors and itself; a vector added, or read, or written; a call
// of shift_add; how many partial results are added in one, as in scatter.cpp; an element of y from its sum, a cell or a
// pixel of one, a line of them.
constexpr double dot = 1, dot_column = 10, term = 1.3, row_call = 185, near_elements = 4096;
constexpr double emitted = 0.6, cell = 2.6, line_stored = 60;
// The same in planes; times as much beside the other ways, so that they are taken where they are clearly faster.
constexpr double plane_term = 1.3, plane_call = 60, plane_stored = 2, planes_doubted = 1.2;
constexpr index widest_planes = 4, least_planes = 1 << 16;  // output channels; products of a picture
constexpr double copied = 0.17;                             // an element of x
constexpr double far_weights = 6144;  // of columns that are summed over lanes: more of them leave the nearest cache
constexpr double far_product = 1.5;   // which takes so many times as long
// The row kernel: a vector of pixels by one weight; four elements of y, or of a pixel of x, on their way out or in; a
// row of a panel; a row of x; the zeros beside it, for each channel; each residue.
constexpr double row_part = 900, row_product = 1.1, row_out = 3.2, row_in = 1.4, row = 125, row_filled = 80,
                 row_edge = 24;
constexpr index widest_rows = 32;  // output channels: with more of them y is written in pieces that are too far apart
// Depthwise: a vector's multiply-add; a vector copied, and where channels of groups are dealt out, from up to two
// vectors or one by one; a row of pixels, and of its vectors.
constexpr double column_product = 0.8, column_copied = 3, column_dealt = 6, column_by_lane = 10, column_row = 300,
                 column_vector = 15;
constexpr index long_row = 16;  // positions from which they are taken from vectors
constexpr double found = 1.15;  // times as much is found, next to Winograd's algorithm: memory
constexpr double reread = 0.3;  // an element of x for each residue but the first: x is larger than the near caches
constexpr double made = 1.5;    // an element of the weight that is packed

// What depends on the vectors: what a register tile takes besides its products, in channels, and a run of x; a panel of
// one vector, next to half a panel of two; a column that is summed over lanes, a vector of x, its product with a
// column, a run; a pixel that is copied, and a row of them; a vector of pixels in the row kernel; a vector of a
// scattered cell; by how much depthwise takes longer where a group reads one channel.
struct Pace {
  double tile, run, one_vector, column, dot_load, dot_product, dot_run, pixel, filled, row_load, swept, columns;
};
constexpr Pace narrow_pace{4.5, 0.6, 1.2, 6, 1.4, 0.55, 0, 3, 42, 1, 2.5, 1.1};
constexpr Pace wide_pace{10, 0.85, 1.3, 4.5, 1.45, 0.9, 1.6, 2, 35, 2, 5.2, 1.6};

const Pace& pace() { return kernels<float>().wide() ? wide_pace : narrow_pace; }

double columns_cost(const Kernels<float>& k, index columns) {
  const index full = columns / k.panel * k.panel, left = columns - full;
  return static_cast<double>(full) + (left == 0 ? 0 : left <= k.lanes ? pace().one_vector * k.lanes : k.panel);
}

double products(const Kernels<float>& k, double rows, double depth, double columns) {
  return rows * columns * (depth + pace().tile) / (2 * k.lanes);
}

// Of `count` pixels or positions on an axis: how many taps of theirs lie within the extent.
template <class Axis>
double inside(const Axis& a, index count, index extent) {
  index taps = 0;
  for (index t = 0; t < a.taps; ++t) {
    const index first = a.first + t * a.tap_step;
    const index begin = first < 0 ? divide_up(-first, a.step) : 0;
    const index end = first < extent ? std::min(count, (extent - 1 - first) / a.step + 1) : 0;
    taps += std::max<index>(0, end - begin);
  }
  return static_cast<double>(taps);
}

// With pixels in lanes: x turned row by row, products as those of the row kernel, planes added by vectors.
double plane_cycles(const Scatter& p) {
  const Kernels<float>& k = kernels<float>();
  const auto& [ad, ah, aw] = p.axis;
  const double rows = static_cast<double>(ad.in * ah.in), wide = static_cast<double>(aw.in);
  const double columns = static_cast<double>(p.tap_rows() * p.row_columns());
  const double calls = static_cast<double>(divide_up(p.tap_rows() * p.row_columns(), k.narrow));
  const double vectors = rows * std::ceil(wide / k.lanes), depth = static_cast<double>(p.in_channels);
  const double sums = vectors * depth * (row_product * columns + pace().row_load * calls) / 2;
  const double turned =
      rows * (row_filled + row_in * wide * static_cast<double>(divide_up(p.in_channels, 4))) + row * rows * calls;
  const index phases = std::min(aw.taps, aw.step / std::gcd(aw.step, aw.tap_step)) * p.out_channels;
  const double line = std::ceil((wide + static_cast<double>(aw.reach() / aw.step)) / k.lanes);
  const double added = plane_term * line * static_cast<double>(p.row_columns() + 2 * phases);
  const double sums_of_rows =
      inside(ad, ad.in, ad.out) * inside(ah, ah.in, ah.out) * (plane_call * static_cast<double>(phases) + added);
  const double stored = static_cast<double>(ad.out * ah.out * phases) * (line_stored + plane_stored * wide);
  const double each = sums + turned + columns * vectors + sums_of_rows + stored;
  return call + part + static_cast<double>(p.groups) * each;
}

double scatter_cycles(const Scatter& p) {
  if (p.planar) return planes_doubted * plane_cycles(p);
  const Kernels<float>& k = kernels<float>();
  const ScatterPlan plan = ScatterPlan::of<float>(p);
  const auto& [ad, ah, aw] = p.axis;
  const double pixels = static_cast<double>(p.pixels()), wide = static_cast<double>(aw.in + plan.reach);
  const double depth = static_cast<double>(p.in_channels), lines = static_cast<double>(ad.out * ah.out);
  const bool apart = plan.apart(p);
  double sums = 0, terms = 0, stored = 0;
  for (const ScatterPass& pass : plan.passes) {
    sums += pass.over_lanes ? pixels * static_cast<double>(pass.columns) * (dot * depth / (2 * k.lanes) + dot_column)
                            : products(k, pixels, depth, columns_cost(k, pass.columns));
  }
  for (const ScatterPhase& phase : plan.phases) {
    const double vectors = std::ceil(static_cast<double>(phase.length) / k.lanes);
    terms += wide * vectors * term * static_cast<double>(phase.terms.size() + (phase.part_length > 0) + 2);
    stored += line_stored + cell * wide * static_cast<double>(p.groups == 1 ? 1 : phase.length / p.out_channels);
    if (!apart) stored += pace().swept * wide * static_cast<double>(plan.cell / k.lanes);
  }
  const double emits = emitted * static_cast<double>(aw.out * p.out_channels);
  // Rows whose partial results lie near are added in one call.
  const double near = std::max(1.0, std::floor(near_elements / (wide * static_cast<double>(plan.stride))));
  const double calls = row_call * static_cast<double>(plan.phases.size()) / near;
  const double added = apart ? 0 : inside(ad, ad.in, ad.out) * inside(ah, ah.in, ah.out) * (calls + terms);
  return call + part + static_cast<double>(p.groups) * (sums + added + lines * (emits + stored));
}

// The row kernel with any number of output channels, so many at a time as it takes.
double row_cycles(const Correlation& given) {
  const Kernels<float>& k = kernels<float>();
  const Correlation p = flattened(given);
  const std::size_t along = turns(p) ? 1 : 2, across = 3 - along;
  const CorrelationAxis& line = p.axis[along];
  const double rows = static_cast<double>(p.axis[0].positions * p.axis[across].positions);
  const double vectors = rows * static_cast<double>(divide_up(line.positions, k.lanes));
  const double depth = static_cast<double>(p.taps() * p.in_channels), out = static_cast<double>(p.out_channels);
  const double groups = static_cast<double>(p.groups),
               panels = static_cast<double>(divide_up(p.out_channels, k.narrow));
  const double sums = vectors * depth * (row_product * out + pace().row_load * panels) / 2;
  const index width = even_part(p.out_channels, k.narrow);
  const double outs = row_out * static_cast<double>(p.positions()) * panels * static_cast<double>(divide_up(width, 4));
  // Rows of x go in by fours of channels, unless they lie as they should.
  const bool together = groups_together(p, chunks_of(p, sizeof(float)));
  const index channels = together ? p.groups * p.in_channels : p.in_channels, pixel = p.groups * p.in_channels;
  const double slots = static_cast<double>(WindowAxis::slots_for(line, line.positions));
  const double runs = static_cast<double>(std::min(line.step, line.taps));
  const double fours = along == 2 && pixel * line.step == 1 ? 0 : static_cast<double>(divide_up(channels, 4));
  const bool edged =
      line.first < 0 || line.first + (line.positions - 1) * line.step + (line.taps - 1) * line.tap_step >= line.in;
  const double edges = edged ? row_edge * static_cast<double>(channels) : 0;
  const double filled = static_cast<double>(rows_packed(p)) * (row_filled * runs + edges + row_in * slots * fours);
  return row_part + groups * (sums + outs + row * rows * panels) + (together ? 1 : groups) * filled;
}

// Pixels of x that a correlation reads, those beside its positions included.
double read_pixels(const Correlation& p) {
  index pixels = 1;
  for (const CorrelationAxis& a : p.axis) pixels *= PatchAxis::slots_for(a, a.positions);
  return static_cast<double>(pixels);
}

// A vector of a column: channels of x that follow each other, or one of each group for all that come of it.
double column_cycles(const Correlation& p, index lanes) {
  if (p.in_channels * p.out_channels == 1) return column_copied;
  const index last = std::min(lanes, p.groups * p.out_channels) - 1;
  const bool near = last / p.out_channels * p.in_channels < 2 * lanes && p.axis[2].positions >= long_row;
  return near ? column_dealt : column_by_lane;
}

// A few channels a group: vectors of output channels, and columns of x for each; no rows of padding.
double depthwise_cycles(const Correlation& p) {
  const index lanes = kernels<float>().lanes;
  const double vectors = static_cast<double>(divide_up(p.groups * p.out_channels, lanes));
  const double in = static_cast<double>(p.in_channels),
               rows = static_cast<double>(p.axis[0].positions * p.axis[1].positions);
  const auto& [ad, ah, aw] = p.axis;
  const double row_taps = inside(ad, ad.positions, ad.in) * inside(ah, ah.positions, ah.in);
  const double sums = column_product * row_taps * static_cast<double>(aw.positions * aw.taps) * in;
  const double moved = column_cycles(p, lanes) * read_pixels(p) * in;
  const double longer = p.in_channels == 1 ? pace().columns : 1;
  return part + longer * (column_row * rows + vectors * (sums + moved + column_vector * rows));
}

// What a correlation copies into patches.
double patch_cycles(const Correlation& p, const Chunks& chunks) {
  const Axes all{p.axis[0].positions, p.axis[1].positions, p.axis[2].positions};
  if (run_taps_at_home(p, chunks, last_over_lanes<float>(p)) && !meets_padding(p, {}, all)) return 0;
  const CorrelationAxis& line = p.axis[2];
  const bool apart = side_by_side(p, chunks);
  const double rows = static_cast<double>(PatchAxis::slots_for(p.axis[0], p.axis[0].positions) *
                                          PatchAxis::slots_for(p.axis[1], p.axis[1].positions));
  const double slots = static_cast<double>(PatchAxis::slots_for(line, line.positions, apart));
  const double pieces = static_cast<double>(slots < static_cast<double>(line.taps * line.positions) ? 1 : line.taps);
  return rows * (pace().filled * pieces + slots * (pace().pixel + copied * static_cast<double>(p.in_channels)));
}

// Panels of output channels, or a few that are summed over lanes.
double channels_cycles(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  const Chunks chunks = chunks_of(p, sizeof(float));
  const double positions = static_cast<double>(p.positions()), depth = static_cast<double>(p.taps() * p.in_channels);
  const double out = static_cast<double>(p.out_channels), runs = static_cast<double>(p.taps() / chunks.run_taps);
  double sums;
  if (over_lanes<float>(p, p.out_channels)) {
    const double vectors = runs * static_cast<double>(divide_up(chunks.run_taps * p.in_channels, k.lanes));
    const double product = std::max(pace().dot_load, pace().dot_product * out);
    const double far = depth * out > far_weights ? far_product : 1;
    sums = positions * (vectors * product * far + pace().dot_run * runs + pace().column * out);
  } else {
    const double panels = static_cast<double>(divide_up(p.out_channels, k.panel));
    sums = products(k, positions, depth, columns_cost(k, p.out_channels)) + positions * panels * pace().run * runs;
  }
  return part + static_cast<double>(p.groups) * (sums + patch_cycles(p, chunks));
}

struct Fastest {
  Way way;
  double cycles;
};

// Of all ways that there are in this type, of an ascending problem; how long they take is told of float32.
template <class T>
Fastest fastest_of(const Correlation& p) {
  if (p.positions() * p.out_channels == 0) return {Way::channels, 0};
  Fastest best{Way::channels, channels_cycles(p)};
  auto consider = [&](bool can, Way way, double cycles) {
    if (can && cycles < best.cycles) best = {way, cycles};
  };
  consider(p.out_channels <= widest_rows, Way::rows, row_cycles(p));
  consider(depthwise_can<T>(p), Way::depthwise, depthwise_cycles(p));
  return best;
}

template <class T>
Fastest fastest_known(const Correlation& problem) {
  return Known<T, Correlation, Fastest>::find(problem,
                                              [](const Correlation& p) { return fastest_of<T>(ascending(p)); });
}

double cycles_of(const Correlation& p) { return fastest_known<float>(p).cycles; }

double elements_read(const Correlation& p) {
  return static_cast<double>(p.axis[0].in * p.axis[1].in * p.axis[2].in * p.groups * p.in_channels);
}

double cycles_of(const std::vector<Correlation>& parts) {
  double cycles = call;
  for (const Correlation& residue : parts) {
    cycles += cycles_of(residue);
    if (&residue != &parts[0]) cycles += reread * elements_read(residue);
  }
  return cycles;
}

double packing_cycles(const Correlation& p) {
  return made * static_cast<double>(p.groups * p.taps() * p.in_channels * p.out_channels);
}

}  // namespace

double correlate_cycles(const Correlation& problem, bool kept) {
  return found * cycles_of(problem) + (kept ? 0 : packing_cycles(problem) / pictures_of_call);
}

double direct_cycles(const ConvShape& s, Direction direction, bool kept) {
  const std::vector<Correlation> parts = parts_of(s, direction);
  double cycles = cycles_of(parts), packing = 0;
  if (scatter_can(s, direction)) cycles = std::min(cycles, scatter_cycles(scatter_of(s, direction)));
  for (const Correlation& residue : parts) packing += packing_cycles(residue);
  return found * cycles + (kept ? 0 : packing / pictures_of_call);
}

bool scatter_in_planes(const Scatter& p) {
  const index products = p.pixels() * p.in_channels * p.tap_rows() * p.row_columns();
  return p.out_channels <= widest_planes && products >= least_planes && plane_cycles(p) < scatter_cycles(p);
}

template <class T>
bool scatter_suits(const ConvShape& s, Direction direction) {
  if (!scatter_can(s, direction)) return false;
  struct Problem {
    ConvShape shape;
    index direction;
  };
  Problem problem{s, static_cast<index>(direction)};
  problem.shape.batch = 1;
  return Known<T, Problem, bool>::find(problem, [direction](const Problem& p) {
    return scatter_cycles(scatter_of(p.shape, direction)) < cycles_of(parts_of(p.shape, direction));
  });
}

template <class T>
Way way_of(const Correlation& problem) {
  return fastest_known<T>(problem).way;
}

template Way way_of<float>(const Correlation&);
template Way way_of<double>(const Correlation&);
template bool scatter_suits<float>(const ConvShape&, Direction);
template bool scatter_suits<double>(const ConvShape&, Direction);

}  // namespace pcx
