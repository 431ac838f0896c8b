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

// Of a group's transformed weight: elements of the transform, and products that each of them sums.
struct Extent {
  index elements = 1, depth;
};
Extent extent_of(const Correlation& p, const Tiles& tiles) {
  Extent extent{1, p.in_channels};
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], p.axis[a]);
    extent.elements *= scheme.size();
    extent.depth *= scheme.parts;
  }
  return extent;
}

index panels_size(const Correlation& p, const Tiles& tiles) {  // of a group
  const Kernels<float>& k = kernels<float>();
  const Extent extent = extent_of(p, tiles);
  const index full = p.out_channels / k.panel * k.panel, left = p.out_channels - full;
  return extent.elements * extent.depth * (full + (left ? k.whole_width(left) : 0));
}

void pack_panels(const Correlation& problem, const Tiles& tiles, const float* w, const WeightStrides& strides,
                 float* packed) {
  const Kernels<float>& k = kernels<float>();
  const FilterTransform transform(problem, tiles, strides);
  const index panels = divide_up(problem.out_channels, k.panel), channels = problem.in_channels;
  const index group_size = panels_size(problem, tiles);
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

// The rows of each element of one panel, of vectors with few columns, into lanes.
void rows_into_lanes(const float* rows, index elements, index depth, index columns, float* to) {
  const index lanes = kernels<float>().lanes, vectors = divide_up(depth, lanes);
  for (index e = 0; e < elements; ++e, rows += depth * lanes, to += vectors * columns * lanes) {
    std::fill(to + (vectors - 1) * columns * lanes, to + vectors * columns * lanes, 0.0f);
    for (index i = 0; i < depth; ++i) {
      for (index k = 0; k < columns; ++k) to[(i / lanes * columns + k) * lanes + i % lanes] = rows[i * lanes + k];
    }
  }
}

}  // namespace

index winograd_packed_size(const Correlation& p, const Tiles& tiles) {
  if (!winograd_over_lanes(p, tiles)) return p.groups * panels_size(p, tiles);
  const Extent extent = extent_of(p, tiles);
  return p.groups * extent.elements * round_up(extent.depth, kernels<float>().lanes) * p.out_channels;
}

void winograd_pack(const Correlation& p, const Tiles& tiles, const float* w, const WeightStrides& strides,
                   float* packed) {
  if (!winograd_over_lanes(p, tiles)) return pack_panels(p, tiles, w, strides, packed);
  const index size = panels_size(p, tiles), lanes_size = winograd_packed_size(p, tiles) / p.groups;
  const Extent extent = extent_of(p, tiles);
  Buffer<float> panels(p.groups * size);
  pack_panels(p, tiles, w, strides, panels.data());
  for (index g = 0; g < p.groups; ++g)
    rows_into_lanes(panels.data() + g * size, extent.elements, extent.depth, p.out_channels, packed + g * lanes_size);
}

}  // namespace pcx
