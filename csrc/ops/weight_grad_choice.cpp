// The choice between the kernels of the direct weight gradient: a model of their time, fitted to measurements.
#include <algorithm>

#include "ops/depthwise.h"
#include "ops/parts.h"
#include "ops/weight_grad_cut.h"

namespace pcx {

namespace {

// The share of taps that find their pixel inside x, on an axis.
double inside_share(const ConvShape& s, int a) {
  const index last = (s.out[a] - 1) * s.stride[a] + (s.kernel[a] - 1) * s.dilation[a] - s.pad_before[a];
  if (s.pad_before[a] <= 0 && last < s.in[a]) return 1;
  const auto first = [](index left, index step) { return left > 0 ? divide_up(left, step) : 0; };
  index inside = 0;
  for (index tap = 0; tap < s.kernel[a]; ++tap) {
    const index at = tap * s.dilation[a] - s.pad_before[a];
    inside += std::max<index>(0, std::min(s.out[a], first(s.in[a] - at, s.stride[a])) - first(-at, s.stride[a]));
  }
  return static_cast<double>(inside) / static_cast<double>(s.out[a] * s.kernel[a]);
}

// Steps of the kernels for an output position: lane_sum reads a vector of x, or multiplies it by two channels of dy;
// pixel_sum multiplies two channels of x by a vector of dy; with one vector wide ones wait for its channels of x.
double lane_steps(const ConvShape& s, index lanes) {
  constexpr index tile = 4;  // of lane_sum
  const index channels = lane_channels(s, lanes), tiles = divide_up(s.group_out(), tile);
  const double vectors = static_cast<double>(divide_up(s.group_in(), channels) * LaneRuns(s, channels, lanes).vectors);
  return vectors * std::max(static_cast<double>(tiles), 0.5 * static_cast<double>(s.group_out()));
}

template <class T>
double pixel_steps(const ConvShape& s) {
  constexpr double waits = 1.4;
  constexpr index line = 64 / sizeof(T);  // no more channels are taken with all taps, wherever these read
  const index lanes = kernels<T>().lanes;
  double steps = 0.5 * static_cast<double>(s.taps() * s.group_in() * divide_up(s.group_out(), lanes));
  for (int a = 0; a < 3 && s.group_in() > line; ++a) steps *= inside_share(s, a);
  return kernels<T>().wide() && s.group_out() <= lanes ? waits * steps : steps;
}

}  // namespace

// A step of lane_sum takes a little longer than one of pixel_sum, up to twice as long where both have as many and its
// sums leave the first cache; with few channels of dy a little less: pixel_sum then waits for its own sums.
template <class T>
bool lanes_take_x(const ConvShape& s) {
  constexpr index few = 8;
  constexpr double with_few = 0.9, with_many = 1.1;
  const index lanes = kernels<T>().lanes;
  return lanes > 1 && (s.group_out() <= few ? with_few : with_many) * lane_steps(s, lanes) <= pixel_steps<T>(s);
}

template <class T>
double direct_products(const ConvShape& s) {
  const index lanes = kernels<T>().lanes;
  const double steps = lanes_take_x<T>(s) ? lane_steps(s, lanes) : pixel_steps<T>(s);
  return 2 * steps * static_cast<double>(lanes);
}

// Vectors that groups share are fewer, but channels of x are dealt out to them, column by column of those that a
// position does not share with the one before. Each group of its own has tiles of its own: a step for some rows or
// columns of dw, and more.
template <class T>
bool groups_share_lanes(const ConvShape& s) {
  constexpr double product = 1.6, begun = 0.5, each = 0.3;
  if (!depthwise_grad_can<T>(forward_parts(s)[0])) return false;
  const index lanes = kernels<T>().lanes;
  const index columns = s.kernel[0] * std::min(s.stride[1], s.kernel[1]) * std::min(s.stride[2], s.kernel[2]);
  const double taps = static_cast<double>(s.taps()), groups = static_cast<double>(s.groups);
  const double vectors = static_cast<double>(s.group_in() * divide_up(s.out_channels, lanes));
  const double own = lane_steps(s, lanes) + taps * (begun + each * static_cast<double>(s.group_out()));
  return s.group_in() == 1 || vectors * (product * taps + static_cast<double>(columns)) <= groups * own;
}

template bool groups_share_lanes<float>(const ConvShape&);
template bool groups_share_lanes<double>(const ConvShape&);
template bool lanes_take_x<float>(const ConvShape&);
template bool lanes_take_x<double>(const ConvShape&);
template double direct_products<float>(const ConvShape&);
template double direct_products<double>(const ConvShape&);

}  // namespace pcx
