// What the metrics have in common: the one call of the distance kernel, and the directions that stand for rows where
// the metric is cosine. 1 - cos(a, b) = |a / |a| - b / |b||^2 / 2: equal rows are at exactly 0, nothing cancels, and no
// distance is negative.
#pragma once
#include <vector>

#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

// to = rows / |row|; a row of zeros has no direction and stays zero, and its number is added to `zeros`. A row that has
// Inf or NaN becomes NaN. Norms may lie outside the range of T.
template <class T>
void directions(const T* rows, index count, index depth, T* to, std::vector<index>& zeros);

// Rows as the kernel takes them: as they are, or their directions. Numbers of zero rows count from the first row.
template <class T>
struct Rows {
  const T* data;
  std::vector<index> zeros;
  bool far = false;  // they come from memory

  // `scratch` holds count * depth elements where the metric is cosine.
  Rows(Metric metric, const T* rows, index count, index depth, T* scratch) : data(rows) {
    if (metric != Metric::cosine) return;
    directions(rows, count, depth, scratch, zeros);
    data = scratch;
  }
};

// d[r][c] for `rows` rows of a from a_first on and `columns` rows of b from b_first on. From a row of zeros every
// direction is at cosine distance 1, another row of zeros at 0.
template <class T>
void distance_block(Metric metric, index depth, const Rows<T>& a, index a_first, index rows, const Rows<T>& b,
                    index b_first, index columns, T* d, index d_stride);

}  // namespace pcx
