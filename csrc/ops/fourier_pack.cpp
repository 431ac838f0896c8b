// The filters' spectra, conjugate, as a correlation wants them, and with the factor that the way back needs.
#include <algorithm>
#include <cstdlib>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/fourier.h"
#include "ops/fourier_plan.h"
#include "ops/fourier_transform.h"

namespace pcx {

namespace {

constexpr index channels_at_once = 16;  // filters whose taps lie side by side: a line of float32
constexpr index scratch_bytes = 64 << 20;

// The taps of `filters` filters, neighbours in w, where they stand in their planes.
template <class T>
void spread_taps(const FourierPlan<T>& plan, const T* w, const WeightStrides& strides, index filters, T* to) {
  const auto& [ad, ah, aw] = plan.problem.axis;
  const auto source = [&](int a, index t) {
    const CorrelationAxis& axis = plan.problem.axis[a];
    return (axis.kernel_first + t * axis.kernel_step) * strides.kernel[a];
  };
  for (index d = 0; d < ad.taps; ++d) {
    for (index h = 0; h < ah.taps; ++h) {
      T* const row = to + (d * ad.tap_step * plan.size[1] + h * ah.tap_step) * plan.size[2];
      for (index i = 0; i < aw.taps; ++i) {
        const T* const from = w + source(0, d) + source(1, h) + source(2, i);
        for (index c = 0; c < filters; ++c) row[c * plan.plane + i * aw.tap_step] = from[c];
      }
    }
  }
}

// Conjugate and scaled, to `to` and then every `step` elements.
template <class T>
void write_spectrum(const FourierPlan<T>& plan, const T* re, T* to, index step) {
  const index lanes = kernels<T>().lanes;
  const T scale = T(1) / static_cast<T>(plan.elements);
  const T* const im = re + plan.imaginary;
  for (index v = 0; v < plan.elements; v += lanes, to += step) {
    for (index lane = 0; lane < lanes; ++lane) {
      to[lane] = scale * re[v + lane];
      to[lanes + lane] = -scale * im[v + lane];
    }
  }
}

}  // namespace

template <class T>
index fourier_packed_size(const Correlation& problem, const Tiles& tiles) {
  index size = 2 * problem.groups * problem.in_channels * problem.out_channels;
  for (int tile : tiles) size *= -tile;
  return size;
}

// The weight's last axis is that of the out channels forward, of the in channels for the input gradient; of the groups
// where each has but one.
template <class T>
void fourier_pack(const Correlation& problem, const Tiles& tiles, const T* w, const WeightStrides& strides, T* packed) {
  if (fourier_packed_size<T>(problem, tiles) == 0) return;
  const FourierPlan<T> plan(problem, tiles);
  const FourierTransform<T> transform(plan.size);
  const Correlation& p = plan.problem;
  const bool single = plan.in_place, out_last = single || strides.out == 1;
  const index groups = single ? 1 : p.groups;
  const index lanes = kernels<T>().lanes, last = single ? p.groups : out_last ? p.out_channels : p.in_channels;
  const index others = out_last ? p.in_channels : p.out_channels;
  const index runs = divide_up(last, channels_at_once);
  const index tasks = groups * others * runs, scratch = std::min(last, channels_at_once) * plan.plane;
  const index most = std::max<index>(1, scratch_bytes / (scratch * static_cast<index>(sizeof(T))));
  const int workers = p.groups * p.out_channels * plan.spectrum() < (1 << 17) ? 1 : workers_for(std::min(tasks, most));
  Buffer<T> buffer(workers * scratch);
  parallel_for(tasks, workers, [&](index task, int worker) {
    T* const planes = buffer.data() + worker * scratch;
    const index first = task % runs * channels_at_once, other = task / runs % others, group = task / runs / others;
    const index filters = std::min(channels_at_once, last - first), out = out_last ? first : other;
    const index in = out_last ? other : first;
    std::fill_n(planes, filters * plan.plane, T(0));
    const T* const from =
        single ? w + first * strides.group : w + group * strides.group + in * strides.in + out * strides.out;
    spread_taps(plan, from, strides, filters, planes);
    for (index c = 0; c < filters; ++c) {
      T* const re = planes + c * plan.plane;
      transform.forward(re, re + plan.imaginary);
      const index at = group * p.out_channels + out + (out_last ? c : 0), number = in + (out_last ? 0 : c);
      write_spectrum(plan, re, packed + at * plan.spectrum() + number * 2 * lanes, p.in_channels * 2 * lanes);
    }
  });
}

template index fourier_packed_size<float>(const Correlation&, const Tiles&);
template index fourier_packed_size<double>(const Correlation&, const Tiles&);
template void fourier_pack(const Correlation&, const Tiles&, const float*, const WeightStrides&, float*);
template void fourier_pack(const Correlation&, const Tiles&, const double*, const WeightStrides&, double*);

}  // namespace pcx
