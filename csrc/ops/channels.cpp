// Statistics of channels and what normalises them. Rows are cut into blocks that stay in the second-level cache; a
// block's sums are of type T, and the blocks are put together in order, in double.
#include <algorithm>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index block_size = 1 << 15;     // elements
constexpr index least_rows = 64;          // of a block: its sums shall be few beside it
constexpr index most_rows = 512;          // of a block: a sum of more in T would carry the rounding of them all
constexpr index parallel_size = 1 << 16;  // elements; fewer are done by one thread

struct Blocks {
  index rows, block_rows, count;
  int workers;

  Blocks(index rows, index channels)
      : rows(rows),
        block_rows(std::clamp(block_size / channels, least_rows, most_rows)),
        count(divide_up(rows, block_rows)) {
    workers = rows * channels < parallel_size
                  ? 1
                  : workers_for(count, element_operations * static_cast<double>(rows * channels));
  }

  index rows_of(index block) const { return std::min(block_rows, rows - block * block_rows); }

  template <class Body>  // body(block, first row, rows, worker)
  void each(Body&& body) const {
    parallel_for(count, workers,
                 [&](index block, int worker) { body(block, block * block_rows, rows_of(block), worker); });
  }
};

template <class T>
ChannelGrad<T> rows_from(ChannelGrad<T> part, index first, index rows) {
  part.x += first * part.channels;
  part.dy += first * part.channels;
  part.rows = rows;
  return part;
}

}  // namespace

// The squares of a block are about its own mean, so that a mean far from zero costs them nothing (Chan, Golub and
// LeVeque, Updating formulae, 1979).
template <class T>
void channel_moments(const T* x, index rows, index channels, double* mean, double* variance) {
  const Blocks blocks(rows, channels);
  const Buffer<T> means(blocks.count * channels), squares(blocks.count * channels);
  blocks.each([&](index block, index first, index n, int) {
    T* own = means.data() + block * channels;
    kernels<T>().channel_sums(x + first * channels, own, n, channels);
    for (index c = 0; c < channels; ++c) own[c] /= static_cast<T>(n);
    kernels<T>().channel_squares(x + first * channels, own, squares.data() + block * channels, n, channels);
  });
  std::fill_n(mean, channels, 0.0);
  std::fill_n(variance, channels, 0.0);
  double seen = 0;
  for (index block = 0; block < blocks.count; ++block) {
    const double n = static_cast<double>(blocks.rows_of(block)), share = n / (seen + n);
    for (index c = 0; c < channels; ++c) {
      const double away = static_cast<double>(means.data()[block * channels + c]) - mean[c];
      mean[c] += away * share;
      variance[c] += static_cast<double>(squares.data()[block * channels + c]) + away * away * seen * share;
    }
    seen += n;
  }
  for (index c = 0; c < channels; ++c) variance[c] /= seen;
}

template <class T>
void channel_map(const T* x, const T* scale, const T* shift, T floor, T* y, index rows, index channels) {
  Blocks(rows, channels).each([&](index, index first, index n, int) {
    kernels<T>().channel_map(x + first * channels, scale, shift, floor, y + first * channels, n, channels);
  });
}

template <class T>
void channel_grad_sums(const ChannelGrad<T>& part, double* total, double* along) {
  const index channels = part.channels;
  const Blocks blocks(part.rows, channels);
  const Buffer<T> sums(blocks.count * 2 * channels);
  blocks.each([&](index block, index first, index n, int) {
    T* own = sums.data() + block * 2 * channels;
    kernels<T>().channel_grad_sums(rows_from(part, first, n), own, own + channels);
  });
  std::fill_n(total, channels, 0.0);
  std::fill_n(along, channels, 0.0);
  for (index block = 0; block < blocks.count; ++block) {
    const T* own = sums.data() + block * 2 * channels;
    for (index c = 0; c < channels; ++c) {
      total[c] += static_cast<double>(own[c]);
      along[c] += static_cast<double>(own[channels + c]);
    }
  }
}

template <class T>
void channel_grad(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx) {
  Blocks(part.rows, part.channels).each([&](index, index first, index n, int) {
    kernels<T>().channel_grad(rows_from(part, first, n), slope, constant, dx + first * part.channels);
  });
}

template void channel_moments(const float*, index, index, double*, double*);
template void channel_moments(const double*, index, index, double*, double*);
template void channel_map(const float*, const float*, const float*, float, float*, index, index);
template void channel_map(const double*, const double*, const double*, double, double*, index, index);
template void channel_grad_sums(const ChannelGrad<float>&, double*, double*);
template void channel_grad_sums(const ChannelGrad<double>&, double*, double*);
template void channel_grad(const ChannelGrad<float>&, const float*, const float*, float*);
template void channel_grad(const ChannelGrad<double>&, const double*, const double*, double*);

}  // namespace pcx
