// The weights of rows in lanes (correlation.h) where height and width have changed places.
#pragma once
#include "ops/correlation.h"

namespace pcx {

// Of a problem that is turned: each chunk of its weights in the order of its own axes.
template <class T>
void turn_weights(const Correlation& turned, const Chunks& chunks, const T* packed, T* to);

}  // namespace pcx
