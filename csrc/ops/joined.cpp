#include "ops/joined.h"

#include <algorithm>

#include "base/division.h"
#include "ops/fourier.h"
#include "ops/known.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

index taps_of(const ConvShape& s, int a) { return divide_up(s.kernel[a], s.stride[a]); }

// Position q stands for dx from q stride - pad on: position 0 for the first of these that dx reaches.
CorrelationAxis joined_axis(const ConvShape& s, int a) {
  const index stride = s.stride[a], lead = s.pad_before[a] / stride;
  CorrelationAxis axis{};
  axis.in = s.out[a];
  axis.out = s.in[a];
  axis.positions = (s.in[a] - 1 + s.pad_before[a]) / stride - lead + 1;
  axis.first = lead;
  axis.step = 1;
  axis.taps = taps_of(s, a);
  axis.tap_step = -1;
  axis.out_first = lead * stride - s.pad_before[a];
  axis.out_step = stride;
  axis.kernel_step = 1;
  return axis;
}

}  // namespace

bool can_join(const ConvShape& s) {
  index residues = 1;
  for (int a = 0; a < 3; ++a) {
    residues *= s.stride[a];
    if (s.stride[a] == 1) continue;
    if (s.dilation[a] != 1 || s.kernel[a] < s.stride[a]) return false;
  }
  return residues > 1 && s.groups == 1 && s.batch * s.x_size() * s.y_size() > 0;
}

std::vector<Correlation> joined_parts(const ConvShape& s) {
  std::vector<Correlation> parts = parts_of(s, Direction::input_grad);
  Correlation joined = parts[0];
  for (std::size_t a = 0; a < 3; ++a) {
    if (s.stride[a] == 1) continue;
    CorrelationAxis& axis = joined.axis[a];
    axis = joined_axis(s, static_cast<int>(a));
    trim(axis, axis.positions, axis.in);
    joined.joined[a] = s.stride[a];
    joined.out_channels *= s.stride[a];
  }
  return {joined};
}

bool joins(const ConvShape& s, const Tiles& tiles) {
  if (tiles == Tiles{1, 1, 1} || is_fourier(tiles)) return false;
  struct Problem {
    ConvShape shape;
    Axes tiles;
  };
  Problem problem{s, {tiles[0], tiles[1], tiles[2]}};
  problem.shape.batch = 1;
  return Known<struct Joins, Problem, bool>::find(problem, [&tiles](const Problem& p) {
    const std::vector<Correlation> joined = joined_parts(p.shape), apart = parts_of(p.shape, Direction::input_grad);
    if (winograd_obstacle(joined) || winograd_part_tiles(joined[0], tiles) != tiles) return false;
    if (winograd_obstacle(apart)) return true;
    return winograd_cycles(joined, tiles, true) < winograd_cycles(apart, tiles, true);
  });
}

template <class T>
JoinedWeight<T>::JoinedWeight(const ConvShape& s, const T* from, const WeightStrides& from_strides) {
  const Axes taps{taps_of(s, 0), taps_of(s, 1), taps_of(s, 2)};
  const index residues = s.stride[0] * s.stride[1] * s.stride[2], in = s.out_channels, out = s.in_channels;
  const index tap = in * residues * out;
  strides = {{taps[1] * taps[2] * tap, taps[2] * tap, tap}, residues * out, 1, 0};
  w = Buffer<T>(taps[0] * taps[1] * taps[2] * tap);
  std::fill_n(w.data(), taps[0] * taps[1] * taps[2] * tap, T(0));
  for (index d = 0; d < s.kernel[0]; ++d) {
    for (index h = 0; h < s.kernel[1]; ++h) {
      for (index v = 0; v < s.kernel[2]; ++v) {
        const Axes at{d, h, v};
        const T* source = from;
        T* to = w.data();
        index residue = 0;
        for (std::size_t a = 0; a < 3; ++a) {
          source += at[a] * from_strides.kernel[a];
          to += at[a] / s.stride[a] * strides.kernel[a];
          residue = residue * s.stride[a] + at[a] % s.stride[a];
        }
        for (index i = 0; i < in; ++i) {
          for (index k = 0; k < out; ++k)
            to[i * strides.in + residue * out + k] = source[i * from_strides.in + k * from_strides.out];
        }
      }
    }
  }
}

template struct JoinedWeight<float>;
template struct JoinedWeight<double>;

}  // namespace pcx
