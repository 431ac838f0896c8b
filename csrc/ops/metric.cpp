#include "ops/metric.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pcx {

namespace {

template <class T>
Distances<T> kernel_arguments(Metric metric, index depth) {
  Distances<T> p{};
  p.depth = p.a_stride = p.b_stride = depth;
  p.difference = metric == Metric::manhattan ? Difference::absolute
                 : metric == Metric::chi2    ? Difference::chi2
                                             : Difference::squared;
  p.scale = metric == Metric::cosine ? T(0.5) : T(1);
  p.root = metric == Metric::euclidean;
  return p;
}

// A row whose squared norm is not a good number: zero, far out of range, or not finite.
template <class T>
bool difficult_direction(const T* row, index depth, T* to) {
  T largest = 0;
  for (index i = 0; i < depth; ++i) largest = std::max(largest, std::abs(row[i]));
  bool finite = std::isfinite(largest);
  for (index i = 0; i < depth; ++i) finite = finite && !std::isnan(row[i]);  // max does not see a NaN
  if (!finite || largest == 0) {
    std::fill_n(to, depth, finite ? T(0) : std::numeric_limits<T>::quiet_NaN());
    return finite;
  }
  const int exponent = std::ilogb(largest);  // a power of two, so that scaling does not round
  T sum = 0;
  for (index i = 0; i < depth; ++i) {
    to[i] = std::scalbn(row[i], -exponent);
    sum += to[i] * to[i];
  }
  const T inverse = 1 / std::sqrt(sum);
  for (index i = 0; i < depth; ++i) to[i] *= inverse;
  return false;
}

// What a distance from a row of zeros to a direction (1/2 by the formula) or to zeros (0) stands for; NaN stays.
template <class T>
void from_zero(T& d) {
  if (d > 0) d = 1;
}

}  // namespace

template <class T>
void directions(const T* rows, index count, index depth, T* to, std::vector<index>& zeros) {
  constexpr index chunk = 256;
  constexpr T least = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();
  const std::vector<T> origin(static_cast<std::size_t>(depth), T(0));
  T squares[chunk];
  Distances<T> norms = kernel_arguments<T>(Metric::sqeuclidean, depth);
  norms.a = origin.data();
  norms.rows = 1;
  norms.d = squares;
  for (index first = 0; first < count; first += chunk) {
    norms.b = rows + first * depth;
    norms.columns = std::min(chunk, count - first);
    kernels<T>().distances(norms);
    for (index r = 0; r < norms.columns; ++r) {
      const T* from = norms.b + r * depth;
      T* row = to + (first + r) * depth;
      if (squares[r] >= least && squares[r] <= std::numeric_limits<T>::max()) {
        const T inverse = 1 / std::sqrt(squares[r]);
        for (index i = 0; i < depth; ++i) row[i] = from[i] * inverse;
      } else if (difficult_direction(from, depth, row)) {
        zeros.push_back(first + r);
      }
    }
  }
}

template <class T>
void distance_block(Metric metric, index depth, const Rows<T>& a, index a_first, index rows, const Rows<T>& b,
                    index b_first, index columns, T* d, index d_stride) {
  Distances<T> p = kernel_arguments<T>(metric, depth);
  p.a = a.data + a_first * depth;
  p.b = b.data + b_first * depth;
  p.d = d;
  p.rows = rows;
  p.columns = columns;
  p.d_stride = d_stride;
  p.far = b.far;
  kernels<T>().distances(p);
  for (index row : a.zeros) {
    if (row < a_first || row >= a_first + rows) continue;
    for (index c = 0; c < columns; ++c) from_zero(d[(row - a_first) * d_stride + c]);
  }
  for (index column : b.zeros) {
    if (column < b_first || column >= b_first + columns) continue;
    for (index r = 0; r < rows; ++r) from_zero(d[r * d_stride + column - b_first]);
  }
}

template void directions(const float*, index, index, float*, std::vector<index>&);
template void directions(const double*, index, index, double*, std::vector<index>&);
template void distance_block(Metric, index, const Rows<float>&, index, index, const Rows<float>&, index, index, float*,
                             index);
template void distance_block(Metric, index, const Rows<double>&, index, index, const Rows<double>&, index, index,
                             double*, index);

}  // namespace pcx
