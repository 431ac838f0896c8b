// Convolution by Fourier transforms: a picture is cut into blocks that overlap by the kernel's reach (overlap-save),
// the transform of each is multiplied by that of the filter and transformed back; channels are summed in between.
// float32 and float64; worth it for large kernels.
#pragma once
#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

// Tiles that stand for this algorithm: for each axis, less than zero, the length of its transforms.
inline bool is_fourier(const Tiles& tiles) { return tiles[2] < 0; }

// Why it cannot do this problem, or null.
template <class T>
const char* fourier_obstacle(const Correlation& problem);

// The transforms with which it is fastest for this picture, and whether the filters' spectra take little enough memory
// to be chosen unasked; they are kept from call to call, or made anew. Only where possible.
template <class T>
Tiles fourier_tiles(const Correlation& problem, bool kept);
template <class T>
bool fourier_can_pay(const Correlation& problem);  // whether to look for them at all
template <class T>
bool fourier_fits(const Correlation& problem, const Tiles& tiles, bool kept);
template <class T>
bool fourier_may_pay(const Correlation& problem, const Tiles& tiles, bool kept);  // and whether they come into question
// The time that they take for a picture, as direct_cycles.
template <class T>
double fourier_cycles(const Correlation& problem, const Tiles& tiles, bool kept);

// Elements of the filters' spectra, and their computation: [group][out channel][vector][in channel][re, im][lane].
template <class T>
index fourier_packed_size(const Correlation& problem, const Tiles& tiles);
template <class T>
void fourier_pack(const Correlation& problem, const Tiles& tiles, const T* w, const WeightStrides& strides, T* packed);

template <class T>
Work fourier_work(const Correlation& problem, const Tiles& tiles);

// As correlate; returns the numbers of the pictures that have a sum which is not finite.
template <class T>
std::vector<index> fourier_correlate(const Correlation& problem, const Tiles& tiles, const T* x, const T* packed,
                                     const T* bias, bool relu, T* y);

}  // namespace pcx
