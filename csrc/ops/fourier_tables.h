// The twiddles of one axis of a Fourier transform: computed in float64, rounded once, and kept for later calls.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "ops/ops.h"

namespace pcx {

// A step takes apart transforms of `length` places; its twiddles begin at `twiddles` of the table.
struct FourierStage {
  index radix, length, twiddles;
};

// `size` numbers, a power of two, in `places` places of a whole vector each where the axis lies across the lanes.
template <class T>
struct FourierTable {
  index size, places, lanes;
  std::vector<FourierStage> stages;
  index across = 0;     // where the twiddles of fourier_lanes begin
  std::vector<T> data;  // not from the pool, whose chunks it would hold for ever

  const T* begin() const {  // the table, aligned to a cache line
    const auto place = reinterpret_cast<std::uintptr_t>(data.data());
    return data.data() + (-place & 63) / sizeof(T);
  }
};

// For the active instruction set. Several threads may use it.
template <class T>
std::shared_ptr<const FourierTable<T>> fourier_table(index size, bool across_lanes);

}  // namespace pcx
