// When convolution by Fourier transforms can do a problem, with transforms of which lengths, and how long it takes: a
// model in cycles, fitted to measurements of filters with one channel, of depthwise and of grouped ones; beside the
// direct algorithm to 200 random shapes with AVX-512 and 200 with AVX2.
#include <algorithm>
#include <cstdlib>

#include "isa/dispatch.h"
#include "ops/fourier.h"
#include "ops/fourier_plan.h"
#include "ops/parts.h"

namespace pcx {

namespace {

constexpr index most_elements = 1 << 20;  // of a transform
constexpr index scratch_bytes = 64 << 20;
constexpr index most_packed_bytes = 64 << 20, most_kept_bytes = 128 << 20;  // of spectra, unless asked for
constexpr index least_taps = 24;                              // elsewhere nothing is to be gained: no search
constexpr index winograd_kernel = 9, winograd_channels = 16;  // Winograd's algorithm is faster there

// Beside the other algorithms: what the model leaves out is memory. Transforms that leave L2 take longer still.
constexpr double found = 1.1, found_wide = 1.6, far_transform = 1.5;
constexpr index near_scratch = 1 << 20;
// The share of the peak that the direct algorithms reach: few channels, depthwise, many. With few, cycles for a row of
// positions and for a picture. Fitted to filters of one channel, which the model of the direct ways takes for slower.
constexpr double rows_share = 0.5, depthwise_share = 0.6, dense_share = 0.7;
constexpr double row_cycles = 300, picture_cycles = 6000;
// A filter's spectrum, next to a block's; where all of them are more than the caches hold.
constexpr double filter_cycles = 1.3, far_filter_cycles = 2.2;
constexpr index far_bytes = 4 << 20;

template <class T>
double doubt() {
  return kernels<T>().wide() ? found_wide : found;
}

index power_of_two(index least) {
  index n = 1;
  while (n < least) n *= 2;
  return n;
}

// The shortest and the longest transform on an axis that may serve.
template <class T>
index shortest(const CorrelationAxis& axis, bool last) {
  return std::max<index>(power_of_two(reach_of(axis)), last ? kernels<T>().lanes : 1);
}
template <class T>
index longest(const CorrelationAxis& axis, bool last) {
  const index lanes = kernels<T>().lanes, least = shortest<T>(axis, last);
  const index whole = axis.taps > 1 ? power_of_two(axis.positions + reach_of(axis) - 1) : 1;
  return std::max({least, std::min(whole, most_elements), last ? lanes * lanes : 1});
}

template <class T>
index scratch_of(const FourierPlan<T>& plan) {
  return plan.scratch() * static_cast<index>(sizeof(T));
}

// What it takes to make the filters' spectra.
template <class T>
double made_cycles(const FourierPlan<T>& plan) {
  const Correlation& p = plan.problem;
  const index filters = p.groups * p.in_channels * p.out_channels;
  const bool far = filters * 2 * plan.elements * static_cast<index>(sizeof(T)) > far_bytes;
  return (far ? far_filter_cycles : filter_cycles) * plan.cycles_of_half() * static_cast<double>(filters);
}

template <class T>
double direct_cycles(const Correlation& p) {
  const Kernels<T>& k = kernels<T>();
  const bool depthwise = p.in_channels == 1 && p.out_channels == 1 && p.groups > 1;
  const bool few = !depthwise && p.groups == 1 && in_rows<T>(p);
  const double share = depthwise ? depthwise_share : few ? rows_share : dense_share;
  const double filters = static_cast<double>(p.groups * p.in_channels * p.out_channels);
  const double cycles = static_cast<double>(p.positions() * p.taps()) * filters / (2 * k.lanes * share);
  return few ? cycles + row_cycles * static_cast<double>(p.axis[0].positions * p.axis[1].positions) + picture_cycles
             : cycles;
}

}  // namespace

template <class T>
const char* fourier_obstacle(const Correlation& p) {
  index elements = 1;
  for (int a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = p.axis[a];
    if (axis.step != 1 || axis.out_step != 1) return "Fourier transforms need stride 1";
    if (axis.taps < 1 || reach_of(axis) > most_elements) return "the kernel reaches too far for Fourier transforms";
    elements *= shortest<T>(axis, a == 2);
    if (elements > most_elements) return "the kernel reaches too far for Fourier transforms";
  }
  if (p.in_channels == 0) return "Fourier transforms need a channel to sum over";
  Tiles tiles{};
  for (int a = 0; a < 3; ++a) tiles[a] = -static_cast<int>(shortest<T>(p.axis[a], a == 2));
  tiles[2] = std::min(tiles[2], -kernels<T>().lanes * kernels<T>().lanes);
  const bool fits = scratch_of(FourierPlan<T>(p, tiles)) <= scratch_bytes;
  return fits ? nullptr : "the spectra of so many channels take too much memory";
}

template <class T>
bool fourier_fits(const Correlation& p, const Tiles& tiles, bool kept) {
  const index most = kept ? most_kept_bytes : most_packed_bytes;
  return fourier_packed_size<T>(p, tiles) * static_cast<index>(sizeof(T)) <= most;
}

template <class T>
Tiles fourier_tiles(const Correlation& p, bool kept) {
  Tiles best{};
  double least = 0;
  bool least_fits = false;
  const index lanes = kernels<T>().lanes;
  const auto& [ad, ah, aw] = p.axis;
  for (index d = shortest<T>(ad, false); d <= longest<T>(ad, false); d *= 2) {
    for (index h = shortest<T>(ah, false); h <= longest<T>(ah, false); h *= 2) {
      for (index w = shortest<T>(aw, true); w <= longest<T>(aw, true); w *= 2) {
        const index elements = d * h * w;
        if (elements < lanes * lanes || elements > most_elements) continue;
        const Tiles tiles{-static_cast<int>(d), -static_cast<int>(h), -static_cast<int>(w)};
        if (scratch_of(FourierPlan<T>(p, tiles)) > scratch_bytes) continue;
        const double cycles = fourier_cycles<T>(p, tiles, kept);
        const bool fits = fourier_fits<T>(p, tiles, kept);
        if (least == 0 || (fits == least_fits ? cycles < least : fits)) {
          least = cycles;
          least_fits = fits;
          best = tiles;
        }
      }
    }
  }
  return best;
}

template <class T>
bool fourier_can_pay(const Correlation& p) {
  if (p.taps() < least_taps) return false;
  index longest_kernel = 0;
  for (const CorrelationAxis& axis : p.axis) longest_kernel = std::max(longest_kernel, axis.taps);
  return longest_kernel > winograd_kernel || std::min(p.in_channels, p.out_channels) < winograd_channels;
}

template <class T>
bool fourier_may_pay(const Correlation& p, const Tiles& tiles, bool kept) {
  return fourier_fits<T>(p, tiles, kept) && fourier_cycles<T>(p, tiles, kept) < doubt<T>() * direct_cycles<T>(p);
}

template <class T>
double fourier_cycles(const Correlation& p, const Tiles& tiles, bool kept) {
  const FourierPlan<T> plan(p, tiles);
  const double cycles = plan.cycles() + (kept ? 0 : made_cycles(plan) / pictures_of_call);
  const double far = scratch_of(plan) > near_scratch ? far_transform : 1;
  return far * doubt<T>() * cycles;
}

template const char* fourier_obstacle<float>(const Correlation&);
template const char* fourier_obstacle<double>(const Correlation&);
template Tiles fourier_tiles<float>(const Correlation&, bool);
template Tiles fourier_tiles<double>(const Correlation&, bool);
template bool fourier_can_pay<float>(const Correlation&);
template bool fourier_can_pay<double>(const Correlation&);
template bool fourier_may_pay<float>(const Correlation&, const Tiles&, bool);
template bool fourier_may_pay<double>(const Correlation&, const Tiles&, bool);
template double fourier_cycles<float>(const Correlation&, const Tiles&, bool);
template double fourier_cycles<double>(const Correlation&, const Tiles&, bool);
template bool fourier_fits<float>(const Correlation&, const Tiles&, bool);
template bool fourier_fits<double>(const Correlation&, const Tiles&, bool);

}  // namespace pcx
