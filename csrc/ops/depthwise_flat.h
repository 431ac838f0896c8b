// Depthwise convolution of fewer channels than lanes, as those of a coloured picture: pixels that lie side by side fill
// the lanes together with their channels. So many of them are one pixel of many channels to the kernel, whose taps read
// where they begin by a pixel of x each; the weights of their channels are repeated.
#pragma once
#include "ops/correlation.h"

namespace pcx {

template <class T>
bool lies_flat(const Correlation& problem);

// As depthwise.h has them. The packed form is [vector][depth tap][height tap][width tap][lane], for whole vectors of
// neighbouring pixels, and one number more: NaN where a weight is not finite.
template <class T>
index flat_packed_size(const Correlation& problem);
template <class T>
void flat_pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed);
template <class T>
Work flat_work(const Correlation& problem);
template <class T>
void flat_depthwise(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y);

}  // namespace pcx
