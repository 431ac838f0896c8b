#include "isa/kernel_table.h"
#include "isa/target.h"
#include "isa/toom_cook.h"

#if defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>

namespace pcx::neon {
namespace {
#include "simd/neon.inl"
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
}  // namespace pcx::neon

namespace pcx {
const KernelTable neon_table{"neon", neon::kernels_of<float>(), neon::kernels_of<double>()};
}
#endif
