// Convolution by loops over everything, and what its checks have in common.
#pragma once
#include "check.h"
#include "ops/ops.h"

namespace pcx::check {

constexpr Tiles direct = {1, 1, 1};

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

// What a convolution and both of its gradients should give, without bias.
struct Wanted {
  Reference y, dx, dw;
  template <class T>
  Wanted(const ConvShape& s, const T* x, const T* w, const T* dy);
};

// The first shape of draw() with at most this many products: a draw has a long tail, where most of the time would go.
template <class Draw>
ConvShape draw_within(double products, Draw draw) {
  for (;;) {
    const ConvShape s = draw();
    const double sums = static_cast<double>(s.y_size()) * static_cast<double>(s.taps());
    if (sums * static_cast<double>(s.group_in()) <= products) return s;
  }
}

// Names the case by everything that the shape tells.
void start(Report& report, const ConvShape& s, std::size_t bytes);

// Work that is just enough to be shared between threads: what it is compared with, and emulation, take their time.
ConvShape large_shape(index size, index channels, index kernel, index stride);

// 3x3 with padding of one, over one picture; not finished, for who changes it.
ConvShape padded_shape(index rows, index columns, index in_channels, index out_channels, index stride);

}  // namespace pcx::check
