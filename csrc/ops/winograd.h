// Winograd's convolution on one to three axes: transform the input tile by tile, multiply each element of the transform
// by that of the filter (a small matrix product over channels), transform back. float32 only; an axis of kernel 1 is
// left as it is, and a long kernel is the sum of short ones.
#pragma once
#include <vector>

#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

// Why it can do no part of a direction, or null.
const char* winograd_obstacle(const std::vector<Correlation>& parts);

// A part's own tiles: an axis on which it has so few taps (a residue of a strided input gradient) that there are none
// is left as it is. All 1 is the direct algorithm.
Tiles winograd_part_tiles(const Correlation& part, const Tiles& tiles);

// The tiles with which all parts together are fastest for this picture, with rounding errors as precision="default" or
// "fast" allows. Only where possible.
Tiles winograd_tiles(const std::vector<Correlation>& parts, bool fast, bool kept);

// The time that they take for a picture, as direct_cycles.
double winograd_cycles(const std::vector<Correlation>& parts, const Tiles& tiles, bool kept);

// The time that the transformed weight takes to make, over the time of one picture with it.
double winograd_making_share(const Correlation& problem, const Tiles& tiles);

// Elements of the transformed weight, [group][panel][element][part][channel][lane], and its computation in float64.
index winograd_packed_size(const Correlation& problem, const Tiles& tiles);
void winograd_pack(const Correlation& problem, const Tiles& tiles, const float* w, const WeightStrides& strides,
                   float* packed);

Work winograd_work(const Correlation& problem, const Tiles& tiles, const Weight<float>& weight);

// As correlate; returns the numbers of the pictures that have a sum which is not finite.
std::vector<index> winograd_correlate(const Correlation& problem, const Tiles& tiles, const float* x,
                                      const Weight<float>& weight, const float* bias, bool relu, float* y);
bool winograd_reads_once(const Correlation& problem, const Tiles& tiles);

// The same for weight gradients, where tiles are those of dy. Returns whether all sums were finite.
const char* winograd_weight_grad_obstacle(const ConvShape& shape);
Tiles winograd_weight_grad_tiles(const ConvShape& shape);
bool winograd_weight_grad_pays(const ConvShape& shape, const Tiles& tiles);
Work winograd_weight_grad_work(const ConvShape& shape, const Tiles& tiles);
bool winograd_weight_grad(const ConvShape& shape, const Tiles& tiles, const float* x, const float* dy, float* dw);

}  // namespace pcx
