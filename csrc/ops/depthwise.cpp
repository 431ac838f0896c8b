// Which problems it takes, and their weights.
#include "ops/depthwise.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/tap_columns.h"
#include "ops/depthwise_flat.h"

namespace pcx {

namespace {

constexpr index most_lanes = 16;           // of any instruction set
constexpr index most_channels = 8;         // of a group, in or out
constexpr index most_in = 6;               // of a group in, where it has several out: all of them are copied first
constexpr double most_products = 2;        // in times out, for each lane: with more a group fills vectors of its own
constexpr double most_few = 3;             // the same where it would fill less than one
constexpr double most_grad = 2;            // the same for the weight's gradient
constexpr index least_filled = 3;          // of the lanes of a vector, one in so many
constexpr index least_single = 6;          // the same where a group reads one channel
constexpr index few_taps = 25;             // and a weight's gradient has no more of them
constexpr index largest_rows = 256 << 10;  // bytes of columns that a row of 14 positions may need

template <class T>
index group_of_weights(const Correlation& p) {  // elements of a vector of out channels
  return p.taps() * p.in_channels * kernels<T>().lanes;
}

// Whether there is room for a row, and lanes enough are filled.
template <class T>
bool fits(const Correlation& p, index least) {
  const index lanes = kernels<T>().lanes;
  if (p.groups == 1 || p.in_channels < 1 || p.in_channels > most_channels || p.out_channels > most_channels ||
      p.groups * p.out_channels * least < lanes) {
    return false;
  }
  index elements = p.in_channels * lanes * p.axis[0].taps;
  elements *= (p.axis[1].taps - 1) * std::abs(p.axis[1].tap_step) + 1;
  elements *= (p.axis[2].taps - 1) * std::abs(p.axis[2].tap_step) + 14;
  return elements * static_cast<index>(sizeof(T)) <= largest_rows;
}

double products_of_lanes(const Correlation& p, index lanes) {
  return static_cast<double>(p.in_channels * p.out_channels) / static_cast<double>(lanes);
}

}  // namespace

// Fitted to 200 random shapes.
template <class T>
bool depthwise_can(const Correlation& p) {
  if (lies_flat<T>(p)) return true;
  const Kernels<T>& k = kernels<T>();
  const double most = p.out_channels <= k.narrow ? most_few : most_products;
  if (!fits<T>(p, p.in_channels == 1 ? least_single : least_filled)) return false;
  return (p.in_channels == 1 || (p.in_channels <= most_in && products_of_lanes(p, k.lanes) <= most));
}

template <class T>
bool depthwise_suits(const Correlation& p) {
  return way_of<T>(p) == Way::depthwise;
}

template <class T>
bool depthwise_grad_can(const Correlation& p) {
  const bool few = p.in_channels == 1 && p.taps() <= few_taps;
  if (!fits<T>(p, few ? least_single : least_filled)) return false;
  return p.in_channels == 1 || products_of_lanes(p, kernels<T>().lanes) <= most_grad;
}

template <class T>
index depthwise_packed_size(const Correlation& p) {
  if (lies_flat<T>(p)) return flat_packed_size<T>(p);
  return divide_up(p.groups * p.out_channels, kernels<T>().lanes) * group_of_weights<T>(p) + 1;
}

template <class T>
void depthwise_pack(const Correlation& p, const T* w, const WeightStrides& strides, T* packed) {
  if (lies_flat<T>(p)) return flat_pack(p, w, strides, packed);
  const index lanes = kernels<T>().lanes, all = p.groups * p.out_channels;
  const auto& [ad, ah, aw] = p.axis;
  const TapColumns width(aw, 1);
  std::array<index, most_lanes> at{};
  std::array<T, most_lanes> flaws{};  // become NaN
  for (index k0 = 0; k0 < all; k0 += lanes) {
    const index count = std::min(lanes, all - k0);
    bool side_by_side = true;
    for (index l = 0; l < count; ++l) {
      at[l] = (k0 + l) / p.out_channels * strides.group + (k0 + l) % p.out_channels * strides.out;
      side_by_side = side_by_side && at[l] == at[0] + l;
    }
    for (index row = 0; row < ad.taps * ah.taps * p.in_channels; ++row) {
      const index td = row / (ah.taps * p.in_channels), th = row / p.in_channels % ah.taps, j = row % p.in_channels;
      const T* from = w + (ad.kernel_first + td * ad.kernel_step) * strides.kernel[0] +
                      (ah.kernel_first + th * ah.kernel_step) * strides.kernel[1] + j * strides.in;
      for (index tap : width.order) {
        const T* const tap_from = from + (aw.kernel_first + tap * aw.kernel_step) * strides.kernel[2];
        if (side_by_side) {
          std::copy_n(tap_from + at[0], count, packed);
        } else {
          for (index l = 0; l < count; ++l) packed[l] = tap_from[at[l]];
        }
        std::fill_n(packed + count, lanes - count, T(0));
        for (index l = 0; l < count; ++l) flaws[l] += packed[l] * 0;
        packed += lanes;
      }
    }
  }
  *packed = std::accumulate(flaws.begin(), flaws.end(), T(0));
}

template bool depthwise_can<float>(const Correlation&);
template bool depthwise_can<double>(const Correlation&);
template bool depthwise_suits<float>(const Correlation&);
template bool depthwise_suits<double>(const Correlation&);
template bool depthwise_grad_can<float>(const Correlation&);
template bool depthwise_grad_can<double>(const Correlation&);
template index depthwise_packed_size<float>(const Correlation&);
template index depthwise_packed_size<double>(const Correlation&);
template void depthwise_pack(const Correlation&, const float*, const WeightStrides&, float*);
template void depthwise_pack(const Correlation&, const double*, const WeightStrides&, double*);

}  // namespace pcx
