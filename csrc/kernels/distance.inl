// Distances: rows of a against rows of b by their differences, so equal rows are at exactly 0. A pair has a partial sum
// for every i % lanes, and they are added as sum_each does it, neighbours first. There are two ways to this:
// - Few rows of a, or deep ones: lanes run over the depth; a tile keeps one vector of partial sums a pair, so a step of
//   four rows by four columns loads 8 vectors for 16 differences.
// - Many, of vectors under 64 bytes: a panel of b is transposed, lanes over its rows, and an element of a is broadcast.
//   With 6 x 2 a step loads 8 times for 12 subtractions and 12 FMAs, which have pipes of their own. The depth is passed
//   `lanes` times, so that a pass is one partial sum: with more lanes that takes longer than adding up lanes.
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

// A tile takes columns in pairs, `apart` from one pair to the next; the next tile begins `next` columns on.
struct TileColumns {
  index apart, next;
};

PCX_INLINE index tile_column(const TileColumns& take, index c) { return c / 2 * take.apart + c % 2; }

// The partial sums of a tile; the next one's columns lie `ahead` of these.
template <class T, Difference D, int Rows, int Columns>
PCX_INLINE void sum_pairs(const T* const (&a)[Rows], const T* const (&b)[Columns], index depth, index ahead,
                          decltype(zero<T>())* sum) {
  index i = 0;
  for (; i + lanes<T> <= depth; i += lanes<T>) {
    decltype(zero<T>()) ai[Rows];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) ai[r] = load(a[r] + i);
    PCX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      // What the next tile will read: of each pair in the order of memory, as the processor expects.
      if (c % 2 == 0) {
        for (int at = 0; at < 2 * lanes<T>; at += 64 / int(sizeof(T))) prefetch(b[c] + ahead + 2 * i + at);
      }
      const auto bi = load(b[c] + i);
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r * Columns + c] = add_difference<D>(ai[r], bi, sum[r * Columns + c]);
    }
  }
  if (i < depth) {  // lanes past the end are zero in both, and so is their difference
    decltype(zero<T>()) ai[Rows];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) ai[r] = load_first(a[r] + i, depth - i);
    PCX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      const auto bi = load_first(b[c] + i, depth - i);
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r * Columns + c] = add_difference<D>(ai[r], bi, sum[r * Columns + c]);
    }
  }
}

// The same for one row and columns that come from memory: each as a whole, since processors fetch by themselves what
// follows. Asked for line by line, from several columns or by instructions, lines come at two thirds of the speed on
// Zen 4.
template <class T, Difference D, int Columns>
PCX_INLINE void sum_from_far(const T* a, const T* const (&b)[Columns], index depth, index ahead,
                             decltype(zero<T>())* sum) {
  PCX_UNROLL
  for (int c = 0; c < Columns; ++c) {
    index i = 0;
    for (; i + lanes<T> <= depth; i += lanes<T>) {
      prefetch_near(b[c] + ahead + i);
      sum[c] = add_difference<D>(load(a + i), load(b[c] + i), sum[c]);
    }
    if (i < depth) sum[c] = add_difference<D>(load_first(a + i, depth - i), load_first(b[c] + i, depth - i), sum[c]);
  }
}

// rows <= Rows, columns <= Columns; what is missing is computed from the last row again and not stored.
template <class T, Difference D, int Rows, int Columns>
PCX_APART void distance_tile(const Distances<T>& p, const T* a, index rows, const T* b, index columns,
                             const TileColumns& take, T* d) {
  using vec = decltype(zero<T>());
  constexpr int pairs = Rows * Columns, blocks = (pairs + lanes<T> - 1) / lanes<T>;
  const index ahead = take.next * p.b_stride;
  const T *ar[Rows], *br[Columns];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) ar[r] = a + (r < rows ? r : rows - 1) * p.a_stride;
  PCX_UNROLL
  for (int c = 0; c < Columns; ++c) br[c] = b + tile_column(take, c < columns ? c : columns - 1) * p.b_stride;
  vec sum[blocks * lanes<T>];
  PCX_UNROLL
  for (int i = 0; i < blocks * lanes<T>; ++i) sum[i] = zero<T>();
  if (Rows == 1 && p.far)
    sum_from_far<T, D, Columns>(ar[0], br, p.depth, ahead, sum);
  else
    sum_pairs<T, D, Rows, Columns>(ar, br, p.depth, ahead, sum);
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
    for (index c = 0; c < columns; ++c) d[r * p.d_stride + tile_column(take, c)] = result[r * Columns + c];
  }
}

template <class T, Difference D, int Rows, int Columns>
static void distance_rows(const Distances<T>& p, index row, index rows) {
  const T* a = p.a + row * p.a_stride;
  T* d = p.d + row * p.d_stride;
  const index part = p.columns / Columns * 2;  // memory gives half as much again when it is read at several places
  index c = 0;
  for (; c < part; c += 2) {
    distance_tile<T, D, Rows, Columns>(p, a, rows, p.b + c * p.b_stride, Columns, {part, 2}, d + c);
  }
  c = p.columns / Columns * Columns;
  for (; c < p.columns; c += Columns) {
    const index columns = p.columns - c < Columns ? p.columns - c : Columns;
    distance_tile<T, D, Rows, Columns>(p, a, rows, p.b + c * p.b_stride, columns, {2, Columns}, d + c);
  }
}

// Deeper rows would leave the cache before they are used again.
template <class T>
constexpr index panel_depth = 2048 / int(sizeof(T));
// From here on few rows are not worth a panel.
template <class T>
constexpr index deep_rows = 512 / int(sizeof(T));
constexpr index least_tiles = 4;
constexpr int log2_of(int n) { return n > 1 ? 1 + log2_of(n / 2) : 0; }

// Elements of one row that have the same i % lanes; b[pass][i / lanes][c] stand together.
template <class T>
PCX_INLINE index steps_of(index depth, index pass) {
  return (depth - pass + lanes<T> - 1) / lanes<T>;
}

// Zero for c >= columns. Meanwhile as much is fetched of what follows these rows.
template <class T>
static void fill_distance_panel(const T* b, index stride, index columns, index depth, T* to) {
  constexpr int n = lanes<T>;
  const index pass = steps_of<T>(depth, 0) * panel<T>;
  for (index i = 0; i < depth; i += n, to += panel<T>) {
    const index left = depth - i;
    for (int c = 0; c < panel<T>; c += n) {
      const T* from = b + c * stride + i;
      decltype(zero<T>()) block[n];
      PCX_UNROLL
      for (int r = 0; r < n; ++r) {
        block[r] = c + r >= columns ? zero<T>()
                   : left >= n      ? load(from + r * stride)
                                    : load_first(from + r * stride, left);
      }
      transpose_block(block);
      PCX_UNROLL
      for (int r = 0; r < n; ++r) store(to + r * pass + c, block[r]);
      const T* next = b + panel<T> * stride + i * panel<T> + c * n;
      for (int at = 0; at < n * n; at += 64 / int(sizeof(T))) prefetch(next + at);
    }
  }
}

template <class T, Difference D, int Rows>
static void distance_panel_tile(const Distances<T>& p, const T* b, index row, index column) {
  using vec = decltype(zero<T>());
  constexpr int all = vectors<T>;
  const index stride = p.a_stride, columns = p.columns - column, d_stride = p.d_stride;
  T* d = p.d + row * d_stride + column;
  // part[n]: of 2^n passes, which wait for as many others.
  vec part[log2_of(lanes<T>) + 1][Rows][all];
  for (int pass = 0; pass < lanes<T>; ++pass) {
    const T* a[(Rows + 2) / 3];  // of three rows each
    PCX_UNROLL
    for (int g = 0; g < (Rows + 2) / 3; ++g) a[g] = p.a + (row + 3 * g) * stride + pass;
    vec sum[Rows][all];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      PCX_UNROLL
      for (int v = 0; v < all; ++v) sum[r][v] = zero<T>();
    }
    const T* bi = b + pass * steps_of<T>(p.depth, 0) * panel<T>;
    for (index i = steps_of<T>(p.depth, pass); i > 0; --i, bi += panel<T>) {
      vec bv[all];
      PCX_UNROLL
      for (int v = 0; v < all; ++v) bv[v] = load(bi + v * lanes<T>);
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const vec ar = set1(a[r / 3][r % 3 * stride]);
        PCX_UNROLL
        for (int v = 0; v < all; ++v) sum[r][v] = add_difference<D>(ar, bv[v], sum[r][v]);
      }
      PCX_UNROLL
      for (int g = 0; g < (Rows + 2) / 3; ++g) a[g] += lanes<T>;
    }
    int n = 0;
    for (; pass >> n & 1; ++n) {
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r) {
        PCX_UNROLL
        for (int v = 0; v < all; ++v) sum[r][v] = add(part[n][r][v], sum[r][v]);
      }
    }
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      PCX_UNROLL
      for (int v = 0; v < all; ++v) part[n][r][v] = sum[r][v];
    }
  }
  const vec scale = set1(p.scale);
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int v = 0; v < all; ++v) {
      const vec s = fmadd(part[log2_of(lanes<T>)][r][v], scale, zero<T>());
      store_first(d + r * d_stride + v * lanes<T>, p.root ? root(s) : s, columns - v * lanes<T>);
    }
  }
}

template <class T, Difference D>
static void distance_panels(const Distances<T>& p) {
  alignas(64) T b[(panel_depth<T> + lanes<T>)*panel<T>];
  for (index c = 0; c < p.columns; c += panel<T>) {
    fill_distance_panel<T>(p.b + c * p.b_stride, p.b_stride, p.columns - c, p.depth, b);
    index r = 0;
    for (; r + tile_pixels<T> <= p.rows; r += tile_pixels<T>) distance_panel_tile<T, D, tile_pixels<T>>(p, b, r, c);
    if (r < p.rows) distance_panel_tile<T, D, tile_pixels<T>>(p, b, p.rows - tile_pixels<T>, c);  // some once more
  }
}

template <class T>
PCX_INLINE bool fits_panels(const Distances<T>& p) {
  const index least = p.depth > deep_rows<T> ? least_tiles * tile_pixels<T> : tile_pixels<T>;
  return p.rows >= least && p.depth <= panel_depth<T>;
}

template <class T, Difference D>
static void distance_tiles(const Distances<T>& p) {
  constexpr int rows = distance_tile_rows<T>;
  // A quotient takes longer than loads and sums.
  if constexpr (D != Difference::chi2 && lanes<T> * sizeof(T) < 64 && !few_kinds) {
    if (fits_panels(p)) return distance_panels<T, D>(p);
  }
  index r = 0;
  for (; r + 1 < p.rows; r += rows) distance_rows<T, D, rows, 4>(p, r, p.rows - r < rows ? p.rows - r : rows);
  if (r < p.rows) distance_rows<T, D, 1, 8>(p, r, 1);  // a single row: as fast as b can be read
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
