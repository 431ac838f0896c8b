// Which instruction set runs: the best that the processor has, or the one that PYCONVX_ISA or force_isa names.
#pragma once
#include <string>
#include <vector>

#include "isa/kernel_table.h"

namespace pcx {

const KernelTable& active_table();

template <class T>
const Kernels<T>& kernels();
template <>
inline const Kernels<float>& kernels<float>() {
  return active_table().f32;
}
template <>
inline const Kernels<double>& kernels<double>() {
  return active_table().f64;
}

// Those of vectors half as long, where these hold `length` elements.
template <class T>
const Kernels<T>& kernels_for(index length) {
  const KernelTable* const half = active_table().half;
  const Kernels<T>& own = kernels<T>();
  if (!half || 2 * length > own.lanes) return own;
  if constexpr (sizeof(T) == 4)
    return half->f32;
  else
    return half->f64;
}

std::vector<std::string> available_isas();  // best first
// Throws std::invalid_argument where this build or this processor lacks it; an empty name goes back to the default.
// Not while another thread computes: a call reads the table more than once.
void force_isa(const std::string& name);

}  // namespace pcx
