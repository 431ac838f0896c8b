#include <algorithm>
#include <numeric>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/scatter.h"

namespace pcx {

namespace {

constexpr index pass_columns = 256;  // partial results of a pixel at a time, about: those of a block stay in L2
constexpr index most_chunk = 512;    // channels summed in registers

index whole(index n, index lanes) { return divide_up(n, lanes) * lanes; }

ScatterPhase& phase_of(ScatterPlan& plan, index pixel, index channel, index length) {
  for (ScatterPhase& phase : plan.phases) {
    if (phase.pixel == pixel && phase.channel == channel) return phase;
  }
  plan.phases.push_back({pixel, channel, length, {}});
  return plan.phases.back();
}

// Taps t, t + 1, ... of which `together` are one term.
void add_term(ScatterPlan& plan, const Scatter& p, index pixel, index t, index together, index cells) {
  const index channels = p.out_channels, length = std::min(together, p.axis[2].taps) * channels;
  ScatterPhase& phase = phase_of(plan, pixel, 0, length);
  const index left = (p.axis[2].taps - t) * channels;
  if (left < length) {
    phase.part = {t * channels, cells};
    phase.part_length = left;
  } else {
    phase.terms.push_back({t * channels, cells});
  }
}

template <class T>
void list_phases(ScatterPlan& plan, const Scatter& p) {
  const ScatterAxis& axis = p.axis[2];
  const index together = !p.planar && axis.tap_step == 1 ? axis.step : 1;
  const bool apart = plan.apart(p);
  for (index t = 0; t < axis.taps; t += together) {
    const index place = t * axis.tap_step, cells = apart ? 0 : place / axis.step, pixel = place - cells * axis.step;
    plan.reach = std::max(plan.reach, cells);
    if (!p.planar) add_term(plan, p, pixel, t, together, cells);
    for (index c = 0; p.planar && c < p.out_channels; ++c) {
      phase_of(plan, pixel, c, 1).terms.push_back({t * p.out_channels + c, cells});
    }
  }
  for (const ScatterPhase& phase : plan.phases) plan.longest = std::max(plan.longest, phase.length);
  plan.cell = p.planar ? 1 : whole(plan.longest, plan.cell_kernels<T>(p).lanes);
  plan.gap = plan.reach + (p.planar ? kernels<T>().lanes : 0);
}

}  // namespace

Scatter scatter_of(const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::forward;
  Scatter p{s.batch, s.groups, forward ? s.group_in() : s.group_out(), forward ? s.group_out() : s.group_in(), {}};
  for (int a = 0; a < 3; ++a) {
    const index reach = (s.kernel[a] - 1) * s.dilation[a];
    if (forward)
      p.axis[a] = {s.in[a], s.out[a], s.pad_before[a] - reach, 1, s.kernel[a], s.dilation[a], s.kernel[a] - 1, -1};
    else
      p.axis[a] = {s.out[a], s.in[a], -s.pad_before[a], s.stride[a], s.kernel[a], s.dilation[a], 0, 1};
    trim(p.axis[a], p.axis[a].in, p.axis[a].out);
    // A single pixel has no neighbour whose taps lead where its own do.
    if (p.axis[a].in == 1) p.axis[a].step = std::max(p.axis[a].step, p.axis[a].reach() + 1);
  }
  p.planar = scatter_in_planes(p);
  return p;
}

bool scatter_can(const ConvShape& s, Direction direction) {
  if (s.taps() < 2 || s.group_in() < 1 || s.group_out() < 1) return false;
  const Axes& in = direction == Direction::forward ? s.in : s.out;
  const Axes& out = direction == Direction::forward ? s.out : s.in;
  for (int a = 0; a < 3; ++a) {
    if (in[a] < 1 || out[a] < 1 || (direction == Direction::forward && s.stride[a] != 1)) return false;
  }
  return true;
}

bool ScatterPlan::apart(const Scatter& p) const {
  for (const ScatterAxis& a : p.axis) {
    if (a.taps > a.step / std::gcd(a.step, a.tap_step)) return false;
  }
  return true;
}

template <class T>
ScatterPlan ScatterPlan::of(const Scatter& p) {
  const Kernels<T>& k = kernels<T>();
  ScatterPlan plan;
  const index chunks = divide_up(p.in_channels, most_chunk);
  plan.chunk = chunks > 1 ? whole(divide_up(p.in_channels, chunks), 16) : p.in_channels;
  const index rows = p.tap_rows(), columns = p.row_columns();
  const index passes = divide_up(rows, std::max<index>(1, pass_columns / columns));
  for (index i = 0, first = 0; i < passes; ++i) {
    ScatterPass pass{first, rows / passes + (i < rows % passes), 0, 0, plan.packed, false};
    pass.columns = pass.rows * columns;
    const index last = pass.columns % k.panel;
    pass.over_lanes = !p.planar && k.over_lanes(pass.columns, p.in_channels, true);
    if (p.planar) {
      pass.width = pass.columns;
      plan.packed += p.in_channels * pass.columns;
    } else if (pass.over_lanes) {
      pass.width = pass.columns;
      for (index c = 0; c < p.in_channels; c += plan.chunk) {
        plan.packed += whole(std::min(plan.chunk, p.in_channels - c), k.lanes) * pass.columns;
      }
    } else {
      pass.width = pass.columns - last + (last ? k.whole_width(last) : 0);
      plan.packed += p.in_channels * pass.width;
    }
    plan.stride = std::max(plan.stride, pass.width);
    plan.passes.push_back(pass);
    first += pass.rows;
  }
  list_phases<T>(plan, p);
  return plan;
}

template <class T>
index scatter_packed_size(const Scatter& problem) {
  return problem.groups * ScatterPlan::of<T>(problem).packed;
}

template ScatterPlan ScatterPlan::of<float>(const Scatter&);
template ScatterPlan ScatterPlan::of<double>(const Scatter&);
template index scatter_packed_size<float>(const Scatter&);
template index scatter_packed_size<double>(const Scatter&);

}  // namespace pcx
