// A whole transformed weight.
#include <algorithm>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/winograd.h"
#include "ops/winograd_filter.h"

namespace pcx {

namespace {

constexpr index channels_at_once = 8;  // whose transforms stay in the L2 cache; written in runs of 8 rows
constexpr index longest_piece = 32;    // of these, one after the other along rows of the weight

}  // namespace

index winograd_packed_size(const Correlation& problem, const Tiles& tiles) {
  const Kernels<float>& k = kernels<float>();
  const index full = problem.out_channels / k.panel * k.panel, left = problem.out_channels - full;
  index elements = 1;
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], problem.axis[a]);
    elements *= scheme.size() * scheme.parts;
  }
  return problem.groups * elements * problem.in_channels * (full + (left ? k.whole_width(left) : 0));
}

void winograd_pack(const Correlation& problem, const Tiles& tiles, const float* w, const WeightStrides& strides,
                   float* packed) {
  const Kernels<float>& k = kernels<float>();
  const FilterTransform transform(problem, tiles, strides);
  const index panels = divide_up(problem.out_channels, k.panel), channels = problem.in_channels;
  const index group_size = winograd_packed_size(problem, tiles) / problem.groups;
  const index depth = transform.parts() * channels, at_once = std::min(channels, channels_at_once);
  const index strips = divide_up(channels, at_once);
  // Rows of the weight run over the panels, or over the channels where it is read the other way round.
  const bool forward = strides.out == 1;
  const index lines = forward ? strips : panels, length = forward ? panels : strips;
  const index pieces = divide_up(length, longest_piece);
  const index tasks = problem.groups * lines * pieces, scratch = transform.scratch(at_once);
  const int workers = problem.groups * group_size < (1 << 18) ? 1 : workers_for(tasks);
  Buffer<double> buffer(scratch * workers);
  parallel_for(tasks, workers, [&](index task, int worker) {
    const index begin = task % pieces * longest_piece, line = task / pieces % lines, group = task / pieces / lines;
    for (index part = 0; part < transform.parts(); ++part) {
      for (index i = begin; i < std::min(begin + longest_piece, length); ++i) {
        const index c = (forward ? line : i) * at_once, first = (forward ? i : line) * k.panel;
        const index columns = std::min<index>(k.panel, problem.out_channels - first), width = k.whole_width(columns);
        const float* const from = w + group * strides.group + c * strides.in + first * strides.out;
        float* const to = packed + group * group_size + first * transform.elements() * depth;
        transform.run(
            {from, part, std::min(at_once, channels - c), columns, width, forward ? k.panel : at_once * strides.in},
            to + (part * channels + c) * width, depth * width, buffer.data() + worker * scratch);
      }
    }
  });
}

}  // namespace pcx
