// Convolution with few channels a group, down to one ("depthwise"): output channels of many groups lie side by side in
// lanes. A block's rows of x are copied once into columns of vectors, padding and all, for group_in channels in as many
// planes: lane k of plane j holds channel j of k's group. There every output is the same sum over rows of taps.
#pragma once
#include <vector>

#include "ops/correlation.h"

namespace pcx {

template <class T>
bool depthwise_can(const Correlation& problem);
template <class T>
bool depthwise_suits(const Correlation& problem);  // whether it is the way of this problem
template <class T>
bool depthwise_grad_can(const Correlation& problem);  // the weight's gradient

// Elements of the packed form: [vector of out channels][depth tap][height tap][in channel][width tap][lane]; the width
// taps in the order of TapColumns.
template <class T>
index depthwise_packed_size(const Correlation& problem);
template <class T>
void depthwise_pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed);

template <class T>
Work depthwise_work(const Correlation& problem);
template <class T>
void depthwise(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y);

// Whether the residues of an input gradient are computed at once, picture by picture, by threads that share them: they
// write pixels between those of each other, and each by itself may be brief.
template <class T>
bool depthwise_together(const std::vector<Correlation>& parts);
template <class T>
Work depthwise_residues_work(const std::vector<Correlation>& parts);
template <class T>
void depthwise_residues(const std::vector<Correlation>& parts, const T* x, const std::vector<const T*>& packed,
                        const T* bias, bool relu, T* y);

template <class T>
Work depthwise_weight_grad_work(const Correlation& problem);
// dw (kernel, in channels of a group, all out channels) of the correlation that forward convolution is.
template <class T>
void depthwise_weight_grad(const Correlation& problem, const T* x, const T* dy, T* dw);

}  // namespace pcx
