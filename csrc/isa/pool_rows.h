// The contracts of the pooling kernels, which kernel_table.h holds.
#pragma once
#include <cstdint>

namespace pcx {

using index = std::int64_t;

// A row of pooling windows that all see the same taps: window p has x[p * x_step + offsets[i] + c], i < taps (at least
// one), c < channels, and gives y[p * y_step + c]. The first of equal values wins, and the first NaN wins over all.
template <class T>
struct PoolRow {
  const T* x;
  const index* offsets;
  const std::uint32_t* positions;  // max: of each tap in the whole window
  T* y;
  void* indices;    // max: laid out as y, gets the position of the tap that won; unsigned, or null
  int index_bytes;  // 1, 2 or 4; 0 where indices is null
  index taps, windows, channels, x_step, y_step;
  T divisor;  // average: y = (sum over i) / divisor, the taps in order
};

// A row of pixels of dx that are reached in the same way, pixel p by taps of the windows at
// dy[p * dy_step + offsets[i]]:
//   max:      dx[p * dx_step + c] = sum over i of dy[.. + c] where indices[.. + c] is positions[i]
//   average:  dx[p * dx_step + c] = sum over i of dy[.. + c] * scales[i]
// The sum runs in order and starts from zero, which is the result where there are no taps.
template <class T>
struct PoolGradRow {
  const T* dy;
  const void* indices;  // laid out as dy
  int index_bytes;      // 1, 2 or 4
  const index* offsets;
  const std::uint32_t* positions;
  const T* scales;
  T* dx;
  index taps, pixels, channels, dy_step, dx_step;
};

// The gradient of a row of windows that do not overlap and have the same taps: window p gives
//   dx[p * dx_step + offsets[i] + c] = dy[p * dy_step + c] where indices[.. + c] is positions[i], else 0; or
//   dx[p * dx_step + offsets[i] + c] = dy[p * dy_step + c] * scale where index_bytes is 0
template <class T>
struct PoolSpread {
  const T* dy;
  const void* indices;  // laid out as dy
  int index_bytes;      // 0, 1, 2 or 4
  const index* offsets;
  const std::uint32_t* positions;
  T scale;
  T* dx;
  index taps, windows, channels, dy_step, dx_step;
};

}  // namespace pcx
