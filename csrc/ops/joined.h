// A strided input gradient with few channels as one correlation: the residues of the output position become output
// channels, which fill the lanes that one residue's channels would leave idle, and dy is transformed once for all.
#pragma once
#include <vector>

#include "ops/parts.h"

namespace pcx {

// Whether it can be done by Winograd's algorithm; and whether these tiles are faster so.
bool can_join(const ConvShape& shape);
bool joins(const ConvShape& shape, const Tiles& tiles);

// A single one.
std::vector<Correlation> joined_parts(const ConvShape& shape);

// Its weight, (kernel over stride, in, residue, out), zero where residues have fewer taps.
template <class T>
struct JoinedWeight {
  JoinedWeight(const ConvShape& shape, const T* from, const WeightStrides& from_strides);

  Buffer<T> w;
  WeightStrides strides;
};

}  // namespace pcx
