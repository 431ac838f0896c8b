#include <math.h>

#include "isa/kernel_table.h"
#include "isa/target.h"
#include "isa/toom_cook.h"

// GCC 12's loop vectorizer joins the loads of two pixels and so reads beyond the last one: the native checker faulted
// in pixel_sum with 2 channels and 4 columns. Straight-line code is still vectorized.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-vectorize")
#endif

namespace pcx::scalar {
namespace {
#include "simd/scalar.inl"
#include "kernels/vector_part.inl"
#include "kernels/transpose.inl"
#include "kernels/channels.inl"
#include "kernels/conv_narrow.inl"
#include "kernels/conv_dot.inl"
#include "kernels/conv_pixels.inl"
#include "kernels/depthwise.inl"
#include "kernels/depthwise_grad.inl"
#include "kernels/elementwise.inl"
#include "kernels/fourier.inl"
#include "kernels/lane_sum.inl"
#include "kernels/mixed.inl"
#include "kernels/panel_product.inl"
#include "kernels/distance.inl"   // after panel
#include "kernels/pack_rows.inl"  // after panel
#include "kernels/pixel_sum.inl"  // after lane_sum
#include "kernels/pool.inl"
#include "kernels/shift_add.inl"
#include "kernels/stream.inl"
#include "kernels/winograd.inl"
#include "isa/table.inl"
}  // namespace
}  // namespace pcx::scalar

namespace pcx {
const KernelTable scalar_table{"scalar", scalar::kernels_of<float>(), scalar::kernels_of<double>()};
}
