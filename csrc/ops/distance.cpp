// All distances between two sets of rows, in blocks of pairs. Within one set only the lower triangle of blocks is
// computed.
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "ops/metric.h"

namespace pcx {

namespace {

constexpr index block_bytes = 128 << 10;  // of rows of b: they stay in L2 while rows of a pass
constexpr index most_rows = 256, least_rows = 16;
constexpr double parallel_steps = 4e6;  // differences; less is done by one thread

template <class T>
void mirror(const T* lower, index rows, index columns, T* upper, index stride) {
  kernels<T>().transpose(lower, stride, upper, stride, rows, columns);
}

}  // namespace

template <class T>
void pairwise_distances(Metric metric, index rows, index columns, index depth, const T* a, const T* b, T* d) {
  const bool same = !b;
  const index scratch = metric == Metric::cosine ? depth : 0;
  Buffer<T> a_scratch(rows * scratch), b_scratch(same ? 0 : columns * scratch);
  const Rows<T> left(metric, a, rows, depth, a_scratch.data());
  const Rows<T> other =
      same ? Rows<T>{Metric::sqeuclidean, a, 0, depth, nullptr} : Rows<T>{metric, b, columns, depth, b_scratch.data()};
  const Rows<T>& right = same ? left : other;
  const index row_bytes = std::max<index>(1, depth * static_cast<index>(sizeof(T)));
  const index block = std::clamp(block_bytes / row_bytes, least_rows, most_rows);
  const index down = divide_up(rows, block), across = divide_up(columns, block);
  const index tasks = same ? down * (down + 1) / 2 : down * across;
  const int workers = 1.0 * rows * columns * depth < parallel_steps ? 1 : workers_for(tasks);
  parallel_for(tasks, workers, [&](index task, int) {
    index row = task / std::max<index>(1, across), column = task % std::max<index>(1, across);
    if (same) {
      for (row = 0, column = task; column > row; column -= row) ++row;
    }
    row *= block;
    column *= block;
    const index height = std::min(block, rows - row), width = std::min(block, columns - column);
    T* to = d + row * columns + column;
    distance_block(metric, depth, left, row, height, right, column, width, to, columns);
    if (same && row > column) mirror(to, height, width, d + column * columns + row, columns);
  });
}

template void pairwise_distances(Metric, index, index, index, const float*, const float*, float*);
template void pairwise_distances(Metric, index, index, index, const double*, const double*, double*);

}  // namespace pcx
