// Distances: rows of a against rows of b by their differences, so equal rows are at exactly 0. Lanes run over the
// depth; a tile keeps one vector of partial sums a pair, so with 4 x 4 a step loads 8 vectors for 16 differences.
template <Difference D, class Vector>
PCX_INLINE Vector add_difference(Vector a, Vector b, Vector sum) {
  const Vector d = sub(a, b);
  if constexpr (D == Difference::squared)
    return fmadd(d, d, sum);
  else if constexpr (D == Difference::absolute)
    return add(sum, abs(d));
  else  // divided first: the square of a small or large difference may leave the range
    return fmadd(d, quotient(d, add(abs(a), abs(b))), sum);
}

// rows <= Rows, columns <= Columns; what is missing is computed from the last row again and not stored.
template <class T, Difference D, int Rows, int Columns>
static void distance_tile(const Distances<T>& p, const T* a, index rows, const T* b, index columns, T* d) {
  using vec = decltype(zero<T>());
  constexpr int pairs = Rows * Columns, blocks = (pairs + lanes<T> - 1) / lanes<T>;
  const T *ar[Rows], *br[Columns];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) ar[r] = a + (r < rows ? r : rows - 1) * p.a_stride;
  PCX_UNROLL
  for (int c = 0; c < Columns; ++c) br[c] = b + (c < columns ? c : columns - 1) * p.b_stride;
  vec sum[blocks * lanes<T>];
  PCX_UNROLL
  for (int i = 0; i < blocks * lanes<T>; ++i) sum[i] = zero<T>();
  index i = 0;
  for (; i + lanes<T> <= p.depth; i += lanes<T>) {
    vec ai[Rows];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) ai[r] = load(ar[r] + i);
    PCX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      if constexpr (Rows == 1) prefetch(br[c] + i + Columns * p.b_stride);  // what the next tile will read
      const vec bi = load(br[c] + i);
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r * Columns + c] = add_difference<D>(ai[r], bi, sum[r * Columns + c]);
    }
  }
  if (i < p.depth) {  // lanes past the end are zero in both, and so is their difference
    vec ai[Rows];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) ai[r] = load_first(ar[r] + i, p.depth - i);
    PCX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      const vec bi = load_first(br[c] + i, p.depth - i);
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r * Columns + c] = add_difference<D>(ai[r], bi, sum[r * Columns + c]);
    }
  }
  T result[blocks * lanes<T>];
  const vec scale = set1(p.scale);
  PCX_UNROLL
  for (int n = 0; n < blocks; ++n) {
    vec part[lanes<T>];
    PCX_UNROLL
    for (int l = 0; l < lanes<T>; ++l) part[l] = sum[n * lanes<T> + l];
    const vec s = fmadd(sum_each(part), scale, zero<T>());
    store(result + n * lanes<T>, p.root ? root(s) : s);
  }
  for (index r = 0; r < rows; ++r) {
    for (index c = 0; c < columns; ++c) d[r * p.d_stride + c] = result[r * Columns + c];
  }
}

template <class T, Difference D, int Rows, int Columns>
static void distance_rows(const Distances<T>& p, index row, index rows) {
  const T* a = p.a + row * p.a_stride;
  T* d = p.d + row * p.d_stride;
  for (index c = 0; c < p.columns; c += Columns) {
    const index columns = p.columns - c < Columns ? p.columns - c : Columns;
    distance_tile<T, D, Rows, Columns>(p, a, rows, p.b + c * p.b_stride, columns, d + c);
  }
}

template <class T, Difference D>
static void distance_tiles(const Distances<T>& p) {
  constexpr int rows = distance_tile_rows<T>;
  index r = 0;
  for (; r + 1 < p.rows; r += rows) distance_rows<T, D, rows, 4>(p, r, p.rows - r < rows ? p.rows - r : rows);
  if (r < p.rows) distance_rows<T, D, 1, 8>(p, r, 1);  // a single row: a stream, as fast as b can be read
}

template <class T>
static void distances(const Distances<T>& p) {
  if (p.difference == Difference::squared)
    distance_tiles<T, Difference::squared>(p);
  else if (p.difference == Difference::absolute)
    distance_tiles<T, Difference::absolute>(p);
  else
    distance_tiles<T, Difference::chi2>(p);
}
