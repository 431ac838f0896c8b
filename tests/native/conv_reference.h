// Convolution by loops over everything, and what its checks have in common.
#pragma once
#include "check.h"
#include "ops/ops.h"

namespace pcx::check {

constexpr Tiles direct = {1, 1, 1};

// Calls visit(x index, w index, y index) for every product of the convolution.
template <class Visit>
void each_product(const ConvShape& s, Visit visit) {
  auto inside = [&](int axis, index out, index tap) {
    return out * s.stride[axis] + tap * s.dilation[axis] - s.pad_before[axis];
  };
  const index taps = s.taps(), positions = s.out[0] * s.out[1] * s.out[2];
  for (index image = 0; image < s.batch; ++image) {
    for (index q = 0; q < positions; ++q) {
      for (index t = 0; t < taps; ++t) {
        const index d = inside(0, q / (s.out[1] * s.out[2]), t / (s.kernel[1] * s.kernel[2]));
        const index h = inside(1, q / s.out[2] % s.out[1], t / s.kernel[2] % s.kernel[1]);
        const index w = inside(2, q % s.out[2], t % s.kernel[2]);
        if (d < 0 || d >= s.in[0] || h < 0 || h >= s.in[1] || w < 0 || w >= s.in[2]) continue;
        const index x = (((image * s.in[0] + d) * s.in[1] + h) * s.in[2] + w) * s.in_channels;
        const index y = (image * positions + q) * s.out_channels;
        for (index k = 0; k < s.out_channels; ++k) {
          const index group = k / s.group_out();
          for (index c = 0; c < s.group_in(); ++c) {
            visit(x + group * s.group_in() + c, (t * s.group_in() + c) * s.out_channels + k, y + k);
          }
        }
      }
    }
  }
}

// A result in double, and the sum of magnitudes that its rounding errors grow with.
struct Reference {
  std::vector<double> sum, extent;
  std::vector<index> terms;
  explicit Reference(index size) : sum(size), extent(size), terms(size) {}
  void add(index i, double product) {
    sum[i] += product;
    extent[i] += std::fabs(product);
    ++terms[i];
  }
};

// Names the case by everything that the shape tells.
void start(Report& report, const ConvShape& s, std::size_t bytes);

// Enough work that it is shared between threads.
ConvShape large_shape(index size, index channels, index kernel, index stride);

}  // namespace pcx::check
