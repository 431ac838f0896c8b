// The filters' spectra, conjugate, as a correlation wants them, and with the factor that the way back needs.
#include <algorithm>
#include <cstdlib>

#include "base/buffer.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/fourier.h"
#include "ops/fourier_plan.h"
#include "ops/fourier_transform.h"

namespace pcx {

namespace {

template <class T>
void spread_taps(const FourierPlan<T>& plan, const T* w, const WeightStrides& strides, T* to) {
  const auto& [ad, ah, aw] = plan.problem.axis;
  const auto source = [&](int a, index t) {
    const CorrelationAxis& axis = plan.problem.axis[a];
    return (axis.kernel_first + t * axis.kernel_step) * strides.kernel[a];
  };
  for (index d = 0; d < ad.taps; ++d) {
    for (index h = 0; h < ah.taps; ++h) {
      const T* const from = w + source(0, d) + source(1, h);
      T* const row = to + (d * ad.tap_step * plan.size[1] + h * ah.tap_step) * plan.size[2];
      for (index i = 0; i < aw.taps; ++i) row[i * aw.tap_step] = from[source(2, i)];
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

template <class T>
void fourier_pack(const Correlation& problem, const Tiles& tiles, const T* w, const WeightStrides& strides, T* packed) {
  const FourierPlan<T> plan(problem, tiles);
  const FourierTransform<T> transform(plan.size);
  const Correlation& p = plan.problem;
  const index lanes = kernels<T>().lanes, in = p.in_channels, tasks = p.groups * p.out_channels;
  const int workers = tasks * plan.spectrum() < (1 << 17) ? 1 : workers_for(tasks);
  const T scale = T(1) / static_cast<T>(plan.elements);
  Buffer<T> buffer(workers * plan.plane);
  parallel_for(tasks, workers, [&](index task, int worker) {
    T* const re = buffer.data() + worker * plan.plane;
    T* const im = re + plan.imaginary;
    const T* const from = w + task / p.out_channels * strides.group + task % p.out_channels * strides.out;
    for (index i = 0; i < in; ++i) {
      std::fill_n(re, plan.elements, T(0));
      std::fill_n(im, plan.elements, T(0));
      spread_taps(plan, from + i * strides.in, strides, re);
      transform.forward(re, im);
      T* to = packed + task * plan.spectrum() + i * 2 * lanes;
      for (index v = 0; v < plan.elements; v += lanes, to += in * 2 * lanes) {
        for (index lane = 0; lane < lanes; ++lane) {
          to[lane] = scale * re[v + lane];
          to[lanes + lane] = -scale * im[v + lane];
        }
      }
    }
  });
}

template index fourier_packed_size<float>(const Correlation&, const Tiles&);
template index fourier_packed_size<double>(const Correlation&, const Tiles&);
template void fourier_pack(const Correlation&, const Tiles&, const float*, const WeightStrides&, float*);
template void fourier_pack(const Correlation&, const Tiles&, const double*, const WeightStrides&, double*);

}  // namespace pcx
