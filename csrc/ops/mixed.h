// Convolution whose outputs see one pixel of few channels each (1x1): neighbouring outputs lie in lanes, in order of
// memory, and what they read is dealt out to them from a few vectors of x. No lane is idle, and neither x nor y is
// moved.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/correlation.h"

namespace pcx {

// The pixels whose outputs fill whole vectors: then the same begins again.
struct MixedPeriod {
  index pixels, outputs;
  std::vector<std::int32_t> from;  // where each output reads its first input

  MixedPeriod(const Correlation& problem, index lanes);
  // What the vector of outputs from `first` on reads.
  index span(index first, index lanes, index terms) const {
    const auto at = [&](index output) { return index{from[static_cast<std::size_t>(output)]}; };
    return at(first + lanes - 1) - at(first) + terms;
  }
};

template <class T>
bool mixed_can(const Correlation& problem);

// The packed form is [vector of outputs of a period][in channel][lane].
template <class T>
index mixed_packed_size(const Correlation& problem);
template <class T>
void mixed_pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed);

template <class T>
Work mixed_work(const Correlation& problem);
template <class T>
void mixed(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y);

}  // namespace pcx
