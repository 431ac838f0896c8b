// Which of the direct ways is the fastest, and how fast, by way_cycles.cpp.
#include <algorithm>

#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/known.h"
#include "ops/mixed.h"
#include "ops/parts.h"
#include "ops/scatter.h"
#include "ops/way_cycles.h"

namespace pcx {

namespace {

constexpr index widest_planes = 4, least_planes = 1 << 16;  // output channels; products of a picture
constexpr index widest_rows = 32;  // output channels: with more of them y is written in pieces that are too far apart
constexpr double found = 1.15;     // times as much is found, next to Winograd's algorithm: memory
constexpr double reread = 0.3;     // an element of x for each residue but the first: x is larger than the near caches
constexpr double residue = 1200;   // a correlation next to the first
constexpr double made = 1.5;       // an element of the weight that is packed
constexpr double listed = 900;     // patches, lists of pixels and of runs, which scattering does without

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
  if (mixed_can<T>(p)) consider(true, Way::mixed, mixed_cycles(p));
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
  double cycles = call_cycles;
  for (const Correlation& part : parts) {
    cycles += cycles_of(part);
    if (&part != &parts[0]) cycles += residue + reread * elements_read(part);
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
  for (const Correlation& part : parts) packing += packing_cycles(part);
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
    return scatter_cycles(scatter_of(p.shape, direction)) < cycles_of(parts_of(p.shape, direction)) + listed;
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
