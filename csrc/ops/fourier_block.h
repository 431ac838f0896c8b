// A pair of blocks between the picture and the planes of a transform.
#pragma once
#include "ops/fourier_plan.h"

namespace pcx {

// Channels [first, first + channels) of all of a picture's channels, each in a plane of its own; what lies outside of
// the picture is zero.
template <class T>
void fourier_fill(const FourierPlan<T>& plan, const T* picture, index pair, index first, index channels, T* planes);

// The results: bias and ReLU, and into y. Returns whether all sums were finite.
template <class T>
bool fourier_store(const FourierPlan<T>& plan, T* planes, index pair, index first, index channels, const T* bias,
                   bool relu, T* picture);

}  // namespace pcx
