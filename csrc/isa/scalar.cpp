#include <math.h>

#include "isa/kernel_table.h"
#include "isa/target.h"

namespace pcx::scalar {
namespace {
#include "simd/scalar.inl"
#include "kernels/transpose.inl"
#include "kernels/conv_narrow.inl"
#include "kernels/conv.inl"
#include "kernels/distance.inl"
#include "kernels/pixel_sum.inl"
#include "isa/table.inl"
}  // namespace
}  // namespace pcx::scalar

namespace pcx {
const KernelTable scalar_table{"scalar", scalar::kernels_of<float>(), scalar::kernels_of<double>()};
}
