// Gradient of the Gram matrix, a 1x1 convolution: dx = x (dg + dg').
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index in_place_bytes = 512 << 10;  // of x that a task computes beside x and then copies over it

Correlation pointwise(index positions, index channels) {
  Correlation p{1, 1, channels, channels, {}};
  for (CorrelationAxis& axis : p.axis) axis = {1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1};
  p.axis[2].in = p.axis[2].positions = p.axis[2].out = positions;
  return p;
}

template <class T>
void multiply_in_place(index positions, index channels, const T* packed, T* x) {
  const index most = std::max<index>(1, in_place_bytes / (channels * static_cast<index>(sizeof(T))));
  const index tasks = divide_up(positions, most);
  const int workers = workers_for(2.0 * positions * channels * channels < parallel_flops ? 1 : tasks);
  Buffer<T> results(workers * most * channels);
  parallel_for(tasks, workers, [&](index task, int worker) {
    const index count = std::min(most, positions - task * most);
    T* const from = x + task * most * channels;
    T* const result = results.data() + worker * most * channels;
    correlate<T>(pointwise(count, channels), from, {packed}, nullptr, false, result);
    std::copy_n(result, count * channels, from);
  });
}

}  // namespace

template <class T>
void gram_grad(const GramShape& shape, const T* x, const T* dg, bool normalize, T* dx) {
  const index n = shape.channels, image = shape.positions * n;
  if (shape.batch * image == 0) return;
  const Correlation problem = pointwise(shape.positions, n);
  const T divisor = normalize ? static_cast<T>(image) : 1;
  Buffer<T> both(n * n), packed(packed_size<T>(problem));
  for (index i = 0; i < shape.batch; ++i, x += image, dg += n * n, dx += image) {
    kernels<T>().transpose(dg, n, both.data(), n, n, n);
    for (index c = 0; c < n * n; ++c) both.data()[c] = (both.data()[c] + dg[c]) / divisor;
    pack(problem, both.data(), {{0, 0, 0}, n, 1, 0}, packed.data());
    if (x == dx)
      multiply_in_place(shape.positions, n, packed.data(), dx);
    else
      correlate<T>(problem, x, {packed.data()}, nullptr, false, dx);
  }
}

template void gram_grad(const GramShape&, const float*, const float*, bool, float*);
template void gram_grad(const GramShape&, const double*, const double*, bool, double*);

}  // namespace pcx
