// Layout changes: a batch of matrices transposed in square blocks, so that each cache line and each page is visited
// while it is near.
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {
constexpr index block = 64;               // rows and columns: 16 KiB in, 16 KiB out, 64 pages
constexpr index parallel_size = 1 << 16;  // elements; fewer are done by one thread
}  // namespace

template <class T>
void transpose_batch(const T* x, index batch, index rows, index cols, T* y) {
  if (batch * rows * cols == 0) return;
  const index row_blocks = divide_up(rows, block), col_blocks = divide_up(cols, block);
  const bool tall = rows > cols;  // a task takes all blocks of the shorter side
  const index each = tall ? row_blocks : col_blocks, tasks = batch * each;
  const index size = batch * rows * cols;
  const int workers = size < parallel_size ? 1 : workers_for(tasks, element_operations * static_cast<double>(size));
  auto move = [&](index image, index r, index c) {
    kernels<T>().transpose(x + (image * rows + r) * cols + c, cols, y + (image * cols + c) * rows + r, rows,
                           std::min(block, rows - r), std::min(block, cols - c));
  };
  parallel_for(tasks, workers, [&](index task, int) {
    const index image = task / each, at = task % each * block;
    if (tall)
      for (index c = 0; c < cols; c += block) move(image, at, c);
    else
      for (index r = 0; r < rows; r += block) move(image, r, at);
  });
}

template void transpose_batch(const float*, index, index, index, float*);
template void transpose_batch(const double*, index, index, index, double*);

}  // namespace pcx
