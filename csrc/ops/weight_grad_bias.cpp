// db: blocks of pixels that stay in the first cache, in slices with sums of their own, which are added in order.
#include <algorithm>

#include "isa/dispatch.h"
#include "ops/weight_grad.h"

namespace pcx {

namespace {

constexpr index slice_elements = 1 << 18;  // of dy
constexpr index block_bytes = 16 << 10;    // of dy
constexpr index parallel_elements = 1 << 19;

}  // namespace

template <class T>
void bias_grad(const ConvShape& s, const T* dy, T* db) {
  const index channels = s.out_channels, pixels = s.y_size() / channels;
  const index slice_pixels = divide_up(slice_elements, channels), slices = divide_up(pixels, slice_pixels);
  const index block = std::max<index>(8, block_bytes / (channels * index(sizeof(T))));
  Buffer<T> sums(slices * channels);
  parallel_for(slices, s.y_size() < parallel_elements ? 1 : workers_for(slices), [&](index slice, int) {
    T* const y = sums.data() + slice * channels;
    std::fill_n(y, channels, T(0));
    const index end = std::min(pixels, (slice + 1) * slice_pixels);
    for (index p = slice * slice_pixels; p < end; p += block) {
      kernels<T>().column_sum({dy + p * channels, y, std::min(block, end - p), channels, channels});
    }
  });
  std::copy_n(sums.data(), channels, db);
  for (index slice = 1; slice < slices; ++slice) {
    for (index c = 0; c < channels; ++c) db[c] += sums.data()[slice * channels + c];
  }
}

template void bias_grad(const ConvShape&, const float*, float*);
template void bias_grad(const ConvShape&, const double*, double*);

}  // namespace pcx
