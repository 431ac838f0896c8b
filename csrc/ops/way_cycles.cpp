#include "ops/way_cycles.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/correlate_cut.h"
#include "ops/depthwise_flat.h"
#include "ops/mixed.h"
#include "ops/patch.h"
#include "ops/tap_columns.h"
#include "ops/tap_parts.h"
#include "ops/window.h"

namespace pcx {

namespace {

constexpr double part = 1400;  // of each residue of a correlation, before the first product
// Scattering: a column that is summed over lanes, its vectors and itself; a vector added, or read, or written; a call
// of shift_add; how many partial results are added in one, as in scatter.cpp; an element of y from its sum, a cell or a
// pixel of one, a line of them, lines that are stored in one call.
constexpr double dot = 1, dot_column = 10, term = 1.3, row_call = 185, near_elements = 4096;
constexpr double emitted = 0.6, cell = 2.6, line_stored = 15, store_call = 60;
// The same in planes.
constexpr double plane_product = 1.1, plane_term = 1.3, plane_call = 60, plane_stored = 2;
constexpr double few_elements = 32;   // of a pixel: tiles of fewer pixels
constexpr double half_wide = 0.85;    // times as much where the last vector of 64 bytes is half a one
constexpr double copied = 0.17;       // an element of x
constexpr double far_weights = 6144;  // of columns that are summed over lanes: more of them leave the nearest cache
constexpr double far_product = 1.5;   // which takes so many times as long
// One short run whose weights stay in registers: a pixel, a column of it, a vector; results that lie apart.
constexpr double short_pixel = 2, short_column = 1, short_vector = 0.7, short_apart = 3;
// The row kernel: four elements of y, or one, or four of a pixel of x, on their way out or in; a row of a panel; a row
// of x; the zeros beside it, for each channel; each residue.
constexpr double row_part = 900, row_out = 3.2, row_out_single = 1.5, row_in = 1.4, row = 125, row_filled = 80,
                 row_edge = 24;
constexpr index row_registers = 15, widest_tile = 8;  // of a tile of vectors of pixels; its vectors
constexpr double overlapped = 25;                     // products that run beside those of the tile before
// Depthwise: positions that share a load of a column; pixels of a piece from which lanes are dealt out from one vector,
// from up to four.
constexpr index column_tile = 10, dealt_from_one = 6, dealt_from_more = 16;

// Depthwise with fewer channels than lanes: a multiply-add of a vector, whose load crosses lines; a row of positions; a
// row of x that is copied, and a vector of it.
constexpr double flat_product = 1.4, flat_row = 250, flat_piece = 60, flat_copied = 2;

// Outputs as they come: an input of a vector of them, dealt out from one vector of x, two or four; the vector; a row of
// pixels.
struct MixedPace {
  double from_one, from_two, from_four, vector, row;
};
constexpr double mixed_part = 100;  // before the first product
constexpr MixedPace narrow_mixed{0.9, 1.75, 3.9, 3.4, 95}, wide_mixed{1.2, 1.6, 3.1, 3.4, 145};

// What depends on the vectors: what a register tile takes besides its products, in channels, and where a pixel has few
// elements; a run of x, and beside one vector; a panel of that, next to half a panel of two, and of half a vector; a
// column that is summed over lanes, a vector of x, its product with a column, a run; a pixel that is copied, and a row
// of them; in the row kernel a vector of pixels by one weight, the vector, a step of a tile of few sums; a vector of
// pixels for planes; a vector of a scattered cell.
struct Pace {
  double tile, few, run, single_run, single, single_half, column, dot_load, dot_product, dot_run, pixel, filled,
      row_product, row_load, row_wait, plane_load, swept;
};
constexpr Pace narrow_pace{4.5, 3.5, 0.6, 2, 1.2, 1.2, 5, 0.85, 0.42, 2, 3.2, 48, 1, 0.2, 5, 1, 2.5};
constexpr Pace wide_pace{10, 6.5, 0.85, 0.85, 1.8, 1.1, 4.5, 1.45, 0.9, 1.6, 2, 35, 1.35, 2.5, 0, 2, 5.2};

// Depthwise: a vector's multiply-add; a column loaded for some of them; a column copied, dealt out from vectors, or
// lane by lane; a piece of a row of x; a row of positions, and of its vectors; a row of taps of one; by how much all
// takes longer where a group reads one channel.
struct ColumnPace {
  double product, load, copied, dealt, by_lane, piece, row, vector, row_taps, single;
};
constexpr ColumnPace narrow_columns{0.5, 1, 3.5, 3.5, 10, 80, 160, 0, 4, 1};
constexpr ColumnPace wide_columns{1, 0, 3, 6, 10, 0, 250, 15, 5, 1.2};

const Pace& pace() { return kernels<float>().wide() ? wide_pace : narrow_pace; }

double columns_cost(const Kernels<float>& k, index columns) {
  const index full = columns / k.panel * k.panel, left = columns - full, last = left > k.lanes ? left - k.lanes : left;
  const bool half = 2 * last <= k.lanes;
  double lasting = static_cast<double>(k.panel) * (k.wide() && half ? half_wide : 1);
  if (left <= k.lanes) lasting = left == 0 ? 0 : k.lanes * (half ? pace().single_half : pace().single);
  return static_cast<double>(full) + lasting;
}

double products(const Kernels<float>& k, double rows, double depth, double columns) {
  return rows * columns * (depth + (depth <= few_elements ? pace().few : pace().tile)) / (2 * k.lanes);
}

double short_cycles(const Kernels<float>& k, index depth, double columns) {
  return short_pixel + short_column * columns + short_vector * static_cast<double>(divide_up(depth, k.lanes));
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

// A vector of a column: channels of x that follow each other, or one of each group for all that come of it, which are
// taken from vectors where these are few beside the pixels of a piece.
double column_moved(const Correlation& p, const ColumnPace& columns, index pixels) {
  if (p.in_channels * p.out_channels == 1) return columns.copied;
  const index lanes = kernels<float>().lanes, last = std::min(lanes, p.groups * p.out_channels) - 1;
  const index span = last / p.out_channels * p.in_channels + 1;
  const bool dealt = span <= lanes ? pixels >= dealt_from_one : span <= 4 * lanes && pixels >= dealt_from_more;
  return dealt ? columns.dealt : columns.by_lane;
}

// Places of x that the positions of an axis see.
double places_seen(const CorrelationAxis& a) {
  return static_cast<double>(std::min(TapColumns(a, a.positions).columns, a.in));
}

// Slots of a patch that are not padding.
double slots_filled(const CorrelationAxis& a) {
  const index slots = PatchAxis::slots_for(a, a.positions);
  return slots < a.taps * a.positions ? static_cast<double>(std::min(slots, a.in)) : inside(a, a.positions, a.in);
}

// What a correlation copies into patches.
double patch_cycles(const Correlation& p, const Chunks& chunks) {
  if (stays_in_place<float>(p, chunks)) return 0;
  const auto& [ad, ah, line] = p.axis;
  const index held = PatchAxis::slots_for(ad, ad.positions) * PatchAxis::slots_for(ah, ah.positions);
  const double rows = slots_filled(ad) * slots_filled(ah), padding = static_cast<double>(held) - rows;
  const double slots = static_cast<double>(PatchAxis::slots_for(line, line.positions, side_by_side(p, chunks)));
  const double pieces = static_cast<double>(slots < static_cast<double>(line.taps * line.positions) ? 1 : line.taps);
  const double elements = copied * slots * static_cast<double>(p.in_channels);
  return rows * (pace().filled * pieces + slots * pace().pixel + elements) + padding * elements;
}

// Lines of a phase that lie `step` apart in y are stored in one call.
double runs_stored(const Scatter& p) {
  const ScatterAxis& high = p.axis[1];
  return static_cast<double>(p.axis[0].out * std::min(high.step, high.out));
}

}  // namespace

// With pixels in lanes: x turned row by row, products as those of the row kernel, planes added by vectors.
double plane_cycles(const Scatter& p) {
  const Kernels<float>& k = kernels<float>();
  const auto& [ad, ah, aw] = p.axis;
  const double rows = static_cast<double>(ad.in * ah.in), wide = static_cast<double>(aw.in);
  const double columns = static_cast<double>(p.tap_rows() * p.row_columns());
  const double calls = static_cast<double>(divide_up(p.tap_rows() * p.row_columns(), k.narrow));
  const double vectors = rows * std::ceil(wide / k.lanes), depth = static_cast<double>(p.in_channels);
  const double sums = vectors * depth * (plane_product * columns + pace().plane_load * calls) / 2;
  const double turned =
      rows * (row_filled + row_in * wide * static_cast<double>(divide_up(p.in_channels, 4))) + row * rows * calls;
  const index phases = std::min(aw.taps, aw.step / std::gcd(aw.step, aw.tap_step)) * p.out_channels;
  const double line = std::ceil((wide + static_cast<double>(aw.reach() / aw.step)) / k.lanes);
  const double added = plane_term * line * static_cast<double>(p.row_columns() + 2 * phases);
  const double sums_of_rows =
      inside(ad, ad.in, ad.out) * inside(ah, ah.in, ah.out) * (plane_call * static_cast<double>(phases) + added);
  const double stored = static_cast<double>(ad.out * ah.out) * (line_stored + plane_stored * wide);
  const double each = sums + turned + columns * vectors + sums_of_rows +
                      static_cast<double>(phases) * (stored + store_call * runs_stored(p));
  return call_cycles + part + static_cast<double>(p.groups) * each;
}

double scatter_cycles(const Scatter& p) {
  if (p.planar) return plane_cycles(p);
  const Kernels<float>& k = kernels<float>();
  const ScatterPlan plan = ScatterPlan::of<float>(p);
  const auto& [ad, ah, aw] = p.axis;
  const double pixels = static_cast<double>(p.pixels()), wide = static_cast<double>(aw.in + plan.reach);
  const double depth = static_cast<double>(p.in_channels);
  const bool apart = plan.apart(p);
  double sums = 0, terms = 0, stored = 0;
  for (const ScatterPass& pass : plan.passes) {
    const double columns = static_cast<double>(pass.columns);
    sums += !pass.over_lanes                           ? products(k, pixels, depth, columns_cost(k, pass.columns))
            : k.short_run(pass.columns, p.in_channels) ? pixels * short_cycles(k, p.in_channels, columns)
                                                       : pixels * columns * (dot * depth / (2 * k.lanes) + dot_column);
  }
  for (const ScatterPhase& phase : plan.phases) {
    const double vectors = std::ceil(static_cast<double>(phase.length) / k.lanes);
    terms += wide * vectors * term * static_cast<double>(phase.terms.size() + (phase.part_length > 0) + 2);
    const double cells = apart ? static_cast<double>(aw.in) : wide;
    stored += line_stored + cell * cells * static_cast<double>(p.groups == 1 ? 1 : phase.length / p.out_channels);
    if (!apart) stored += pace().swept * wide * static_cast<double>(divide_up(plan.cell, k.lanes));
  }
  const double rows = inside(ad, ad.in, ad.out) * inside(ah, ah.in, ah.out);  // of sums that lead to a line of y
  const double lines = apart ? rows : static_cast<double>(ad.out * ah.out);
  const double pixels_out = apart ? inside(aw, aw.in, aw.out) : static_cast<double>(aw.out);
  const double emits = emitted * pixels_out * static_cast<double>(p.out_channels);
  // Rows whose partial results lie near are added in one call.
  const double near = std::max(1.0, std::floor(near_elements / (wide * static_cast<double>(plan.stride))));
  const double calls = row_call * static_cast<double>(plan.phases.size()) / near;
  const double added = apart ? 0 : rows * (calls + terms);
  const double runs = apart ? inside(ad, ad.in, ad.out) * static_cast<double>(ah.taps) : runs_stored(p);
  const double stores = store_call * static_cast<double>(plan.phases.size()) * runs;
  return call_cycles + part + static_cast<double>(p.groups) * (sums + added + lines * (emits + stored) + stores);
}

// The row kernel with any number of output channels, so many at a time as it takes.
double row_cycles(const Correlation& given) {
  const Kernels<float>& k = kernels<float>();
  const Correlation p = flattened(given);
  const std::size_t along = turns(p) ? 1 : 2, across = 3 - along;
  const CorrelationAxis& line = p.axis[along];
  const double rows = static_cast<double>(p.axis[0].positions * p.axis[across].positions);
  Correlation seen = p;
  if (along == 1) std::swap(seen.axis[1], seen.axis[2]);
  const double needed = share_taken(seen, picture_parts(seen, 2));
  const double depth = needed * static_cast<double>(p.taps() * p.in_channels), groups = static_cast<double>(p.groups);
  const double panels = static_cast<double>(divide_up(p.out_channels, k.narrow));
  const index width = even_part(p.out_channels, k.narrow), vectors = divide_up(line.positions, k.lanes);
  const index tiles = divide_up(vectors, std::clamp<index>(row_registers / (width + 1), 1, widest_tile));
  const double in_tile = static_cast<double>(vectors) / static_cast<double>(tiles);
  const double step = in_tile * (pace().row_product * static_cast<double>(width) + pace().row_load) / 2;
  // Few sums wait for themselves.
  const double waits = std::max(0.0, pace().row_wait - step) * std::max(0.0, depth - overlapped);
  const double sums = rows * panels * static_cast<double>(tiles) * (depth * step + waits);
  const double out = width == 1 ? row_out_single : row_out * static_cast<double>(divide_up(width, 4));
  const double outs = out * static_cast<double>(p.positions()) * panels;
  // Rows of x go in by fours of channels, unless they lie as they should.
  const bool together = groups_together(p, chunks_of(p, sizeof(float)));
  const index channels = together ? p.groups * p.in_channels : p.in_channels, pixel = p.groups * p.in_channels;
  const double slots = static_cast<double>(WindowAxis::slots_for(line, line.positions));
  const double runs = static_cast<double>(std::min(line.step, line.taps));
  const double fours = along == 2 && pixel * line.step == 1 ? 0 : static_cast<double>(divide_up(channels, 4));
  const double edges = sees_padding(line) ? row_edge * static_cast<double>(channels) : 0;
  const double filled = static_cast<double>(rows_packed(p)) * (row_filled * runs + edges + row_in * slots * fours);
  return row_part + groups * (sums + outs + row * rows * panels) + (together ? 1 : groups) * filled;
}

// Depthwise with fewer channels than lanes.
double flat_cycles(const Correlation& p) {
  const auto& [ad, ah, aw] = p.axis;
  const double lanes = kernels<float>().lanes, channels = static_cast<double>(p.groups);
  const double rows = static_cast<double>(ad.positions * ah.positions), pixels = static_cast<double>(aw.positions);
  const double row_taps = inside(ad, ad.positions, ad.in) * inside(ah, ah.positions, ah.in);
  const double copies = static_cast<double>(ad.taps) * places_seen(ah) * static_cast<double>(ad.positions);
  const double vectors = pixels * channels / lanes, seen = (pixels + static_cast<double>(aw.taps)) * channels / lanes;
  return part + row_taps * vectors * static_cast<double>(aw.taps) * flat_product + rows * flat_row +
         copies * (flat_piece + seen * flat_copied);
}

// A few channels a group: vectors of output channels, and columns of x for each; no rows of padding.
double depthwise_cycles(const Correlation& p) {
  if (lies_flat<float>(p)) return flat_cycles(p);
  const Kernels<float>& k = kernels<float>();
  const ColumnPace& pace = k.wide() ? wide_columns : narrow_columns;
  const auto& [ad, ah, aw] = p.axis;
  const TapColumns line(aw, aw.positions);
  const index pieces = static_cast<index>(line.parts.size()), tiles = divide_up(aw.positions, column_tile);
  const double vectors = static_cast<double>(divide_up(p.groups * p.out_channels, k.lanes));
  const double in = static_cast<double>(p.in_channels), rows = static_cast<double>(ad.positions * ah.positions);
  const double row_taps = in * inside(ad, ad.positions, ad.in) * inside(ah, ah.positions, ah.in);
  double loads = 0;
  for (const TapColumns::Run& run : line.runs) loads += static_cast<double>(aw.positions + tiles * (run.taps - 1));
  const double sums = pace.product * static_cast<double>(aw.positions * aw.taps) + pace.load * loads;
  const bool home = p.in_channels * p.out_channels == 1;  // x is read where it stands
  const double filled = home ? 0 : in * places_seen(ad) * places_seen(ah);
  const double moved =
      static_cast<double>(line.columns) * column_moved(p, pace, line.columns / std::max<index>(1, pieces));
  const double by_vector = row_taps * sums + filled * moved + pace.vector * rows;
  const double by_row = pace.row + pace.row_taps * in * static_cast<double>(ad.taps * ah.taps);
  const double cycles = vectors * by_vector + filled * pace.piece * static_cast<double>(pieces) + rows * by_row;
  return part + (p.in_channels == 1 ? pace.single : 1) * cycles;
}

// Outputs of single pixels, as they come.
double mixed_cycles(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  const MixedPace& pace = k.wide() ? wide_mixed : narrow_mixed;
  const MixedPeriod period(p, k.lanes);
  double each = 0;
  for (index first = 0; first < period.outputs; first += k.lanes) {
    const index seen = divide_up(period.span(first, k.lanes, p.in_channels), k.lanes);
    const double dealt = seen == 1 ? pace.from_one : seen == 2 ? pace.from_two : pace.from_four;
    each += pace.vector + dealt * static_cast<double>(p.in_channels);
  }
  const Correlation flat = flattened(p);
  const double rows = static_cast<double>(flat.axis[0].positions * flat.axis[1].positions);
  const double periods = static_cast<double>(p.positions()) / static_cast<double>(period.pixels);
  return mixed_part + rows * pace.row + periods * each;
}

// Panels of output channels, or a few that are summed over lanes.
double channels_cycles(const Correlation& p) {
  const Kernels<float>& k = kernels<float>();
  const Chunks chunks = chunks_of(p, sizeof(float));
  const bool lanes = over_lanes<float>(p, p.out_channels);
  const std::optional<TapSets> turns = turns_of<float>(p, chunks);
  const double needed = turns ? turns->share_left() + turns->share_waited(std::min(chunks.channels, p.in_channels))
                              : share_taken(p, picture_parts(p, parted_axes<float>(p)));
  const double positions = static_cast<double>(p.positions()), out = static_cast<double>(p.out_channels);
  const double depth = needed * static_cast<double>(p.taps() * p.in_channels);
  const double runs = needed * static_cast<double>(p.taps() / chunks.run_taps);
  double sums;
  if (lanes) {
    const double vectors = runs * static_cast<double>(divide_up(chunks.run_taps * p.in_channels, k.lanes));
    const double product = std::max(pace().dot_load, pace().dot_product * out);
    const double far = depth * out > far_weights ? far_product : 1;
    const index length = p.taps() * p.in_channels;
    const bool apart = p.groups * p.axis[2].out_step > 1;
    const double each = p.taps() == chunks.run_taps && k.short_run(p.out_channels, length)
                            ? short_cycles(k, length, out) + (apart ? short_apart : 0)
                            : vectors * product * far + pace().dot_run * runs + pace().column * out;
    sums = positions * each;
  } else {
    const double panels = static_cast<double>(divide_up(p.out_channels, k.panel));
    const double run = p.out_channels <= k.lanes ? pace().single_run : pace().run;
    sums = products(k, positions, depth, columns_cost(k, p.out_channels)) + positions * panels * run * runs;
  }
  return part + static_cast<double>(p.groups) * (sums + (turns && !crowded<float>(p) ? 0 : patch_cycles(p, chunks)));
}

}  // namespace pcx
