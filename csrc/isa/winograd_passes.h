// What the kernels of Winograd's algorithm take: passes of its transforms along one axis. (Its products are
// PanelProduct.)
#pragma once
#include <cstdint>

namespace pcx {

using index = std::int64_t;

// Rows of a weight in float64: to[r * width + k] = from[r * stride + k], k < columns, and zeros up to the width, which
// is whole vectors of float32. Meanwhile from[ahead] and what follows of each row is fetched.
struct WidenedRows {
  const float* from;
  double* to;
  index rows, columns, stride, width, ahead;
};

// One axis of a Winograd transform, over all lines along it: for every r < outer, c < inner and channel,
//   out[r * out_outer + c * out_inner + j * out_step] = sum over i of M[j][i] in[line + i * in_step]
// with line = r * in_outer + c * in_inner.
template <class T>
struct TransformPass {
  const T* in;
  T* out;
  const T* bias;  // or null; one a channel, for the last pass of an output
  index in_step, out_step, outer, in_outer, out_outer, inner, in_inner, out_inner, channels;
  bool relu;
  // How far beyond `in` (input) or `out` (last) to fetch what the next call needs, 0 for nothing; and channels of it.
  index ahead, fetched;
};

// F(tile, kernel) on one axis. `last` adds the bias, applies the ReLU, and tells whether all sums before it were
// finite. In float64 there is the filter's alone, whose channels are whole vectors of float32; filter_rounded writes
// that, to `out`.
template <class T>
struct WinogradAxis {
  int tile, kernel;
  double amplification;                          // square of the rms by which it enlarges rounding errors
  void (*input)(const TransformPass<T>& pass);   // size -> size
  void (*filter)(const TransformPass<T>& pass);  // kernel -> size
  void (*output)(const TransformPass<T>& pass);  // size -> tile
  bool (*last)(const TransformPass<T>& pass);
  void (*filter_rounded)(const TransformPass<T>& pass, float* out);

  int size() const { return tile + kernel - 1; }
};

constexpr int winograd_axes = 17;  // F(tile, kernel) that exist

}  // namespace pcx
