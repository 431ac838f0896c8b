// The contracts of the kernels of Fourier transforms, which kernel_table.h holds. Complex numbers lie in two planes,
// real and imaginary parts.
#pragma once
#include <cstdint>

namespace pcx {

using index = std::int64_t;

// One step of Fourier transforms along an axis, radix 2 or 4. A transform has `length` places, `step` elements apart,
// each of `inner` vectors that are transformed side by side; `transforms` of them follow one another. For j < part =
// length / radix and k, r < radix:
//   forward:  to[j + k * part] = t(j, k) * sum over r of x[j + r * part] * exp(-2 pi i r k / radix)
//   inverse:  to[j + r * part] = sum over k of conj(t(j, k)) * x[j + k * part] * exp(2 pi i r k / radix)
// with t(j, 0) = 1 and t(j, k) at twiddles[j][k - 1][re, im]; all are 1 where part is. `to` may be x.
template <class T>
struct FourierStep {
  const T* re;
  const T* im;
  T* to_re;
  T* to_im;
  const T* twiddles;
  index radix, length, transforms, step, inner;
};

// The last step, across the lanes of each vector, in place: vector v is multiplied by twiddles[(first + v) %
// period][re, im][lane]; then `lanes` vectors at a time, a multiple of which `count` is, are each transformed, the
// results in an order of their own. fourier_lanes_back undoes it, up to a factor of `lanes`; fourier_lanes_filter does
// both, and multiplies by spectrum[v][re, im][lane] in between. `period` is a power of two.
template <class T>
struct FourierLanes {
  T* re;
  T* im;
  const T* twiddles;
  const T* spectrum;
  index count, period, first;
};

// to[v] = sum over i < terms of x[i * x_step + v] * spectrum[v][i][re, im][lane], for `count` vectors v.
template <class T>
struct SpectrumProduct {
  const T* re;
  const T* im;
  const T* spectrum;
  T* to_re;
  T* to_im;
  index terms, count, x_step;
};

}  // namespace pcx
