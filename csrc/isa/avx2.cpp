#include "isa/kernel_table.h"
#include "isa/target.h"
#include "isa/toom_cook.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

PCX_TARGET_BEGIN("avx2,fma")
namespace pcx::avx2 {
namespace {
#include "simd/avx2.inl"
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
}  // namespace pcx::avx2
PCX_TARGET_END

namespace pcx {
const KernelTable avx2_table{"avx2", avx2::kernels_of<float>(), avx2::kernels_of<double>()};
}
#endif
