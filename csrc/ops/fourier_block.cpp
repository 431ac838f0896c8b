#include "ops/fourier_block.h"

#include <algorithm>

#include "isa/dispatch.h"

namespace pcx {

namespace {

// The first position of a block.
template <class T>
Axes start_of(const FourierPlan<T>& plan, index number) {
  Axes start{};
  for (int a = 2; a >= 0; --a) {
    start[a] = number % plan.blocks[a] * plan.block[a];
    number /= plan.blocks[a];
  }
  return start;
}

template <class T>
index blocks_of(const FourierPlan<T>& plan) {
  return plan.blocks[0] * plan.blocks[1] * plan.blocks[2];
}

// `count` places of a row from place `from` of x on; x is null where the row lies outside.
template <class T>
void fill_row(const FourierPlan<T>& plan, const T* x, index from, index channels, T* to) {
  const index pixel = plan.in_channels(), count = plan.size[2];
  const index begin = x ? std::clamp<index>(-from, 0, count) : count;
  const index end = x ? std::clamp<index>(plan.problem.axis[2].in - from, begin, count) : count;
  for (index c = 0; c < channels; ++c) {
    std::fill_n(to + c * plan.plane, begin, T(0));
    std::fill(to + c * plan.plane + end, to + c * plan.plane + count, T(0));
  }
  if (begin == end) return;
  if (pixel == 1)
    std::copy_n(x + from + begin, end - begin, to + begin);
  else
    kernels<T>().transpose(x + (from + begin) * pixel, pixel, to + begin, plan.plane, end - begin, channels);
}

template <class T>
void fill_block(const FourierPlan<T>& plan, const T* picture, index number, index first, index channels, T* to) {
  const auto& [ad, ah, aw] = plan.problem.axis;
  const Axes start = start_of(plan, number);
  for (index d = 0; d < plan.size[0]; ++d) {
    const index xd = ad.first + start[0] + d;
    for (index h = 0; h < plan.size[1]; ++h, to += plan.size[2]) {
      const index xh = ah.first + start[1] + h;
      const bool inside = xd >= 0 && xd < ad.in && xh >= 0 && xh < ah.in;
      const T* row = inside ? picture + (xd * ah.in + xh) * aw.in * plan.in_channels() + first : nullptr;
      fill_row(plan, row, aw.first + start[2], channels, to);
    }
  }
}

template <class T>
bool store_block(const FourierPlan<T>& plan, T* from, index number, index first, index channels, const T* bias,
                 bool relu, T* picture) {
  const auto& [ad, ah, aw] = plan.problem.axis;
  const Kernels<T>& k = kernels<T>();
  const Axes start = start_of(plan, number);
  const index pixel = plan.out_channels(), count = std::min(plan.block[2], aw.positions - start[2]);
  bool finite = true;
  for (index d = 0; d < plan.block[0] && start[0] + d < ad.positions; ++d) {
    for (index h = 0; h < plan.block[1] && start[1] + h < ah.positions; ++h) {
      T* const row = from + (d * plan.size[1] + h) * plan.size[2];
      T* const y = picture + (((start[0] + d) * ah.out + start[1] + h) * aw.out + start[2]) * pixel + first;
      for (index c = 0; c < channels; ++c) {
        T* const sums = row + c * plan.plane;
        finite = k.finish_row(sums, pixel == 1 ? y : sums, count, bias ? bias[first + c] : T(0), relu) && finite;
      }
      if (pixel > 1) k.transpose(row, plan.plane, y, pixel, channels, count);
    }
  }
  return finite;
}

}  // namespace

template <class T>
void fourier_fill(const FourierPlan<T>& plan, const T* picture, index pair, index first, index channels, T* planes) {
  fill_block(plan, picture, 2 * pair, first, channels, planes);
  if (2 * pair + 1 < blocks_of(plan)) {
    fill_block(plan, picture, 2 * pair + 1, first, channels, planes + plan.imaginary);
  } else {
    for (index c = 0; c < channels; ++c) std::fill_n(planes + c * plan.plane + plan.imaginary, plan.elements, T(0));
  }
}

template <class T>
bool fourier_store(const FourierPlan<T>& plan, T* planes, index pair, index first, index channels, const T* bias,
                   bool relu, T* picture) {
  const bool finite = store_block(plan, planes, 2 * pair, first, channels, bias, relu, picture);
  if (2 * pair + 1 >= blocks_of(plan)) return finite;
  return store_block(plan, planes + plan.imaginary, 2 * pair + 1, first, channels, bias, relu, picture) && finite;
}

template void fourier_fill(const FourierPlan<float>&, const float*, index, index, index, float*);
template void fourier_fill(const FourierPlan<double>&, const double*, index, index, index, double*);
template bool fourier_store(const FourierPlan<float>&, float*, index, index, index, const float*, bool, float*);
template bool fourier_store(const FourierPlan<double>&, double*, index, index, index, const double*, bool, double*);

}  // namespace pcx
