// PanelProduct: rows are cut into register tiles of `tile_pixels` x `vectors` or a little less, so that no tile is
// small. An element of x is broadcast once for all vectors; with 14 x 2 a step loads 14 elements and 2 weight vectors
// for 28 FMAs. Addresses of rows are formed from one pointer for three of them, which saves registers. Steps are
// unrolled: where two threads share a core, every instruction beside the FMAs counts. What is ahead is fetched a few
// lines at a time: more of them than the first cache can wait for would keep the products waiting, too.
template <class T>
constexpr int panel = vectors<T> * lanes<T>;
template <class T>
constexpr index product_line = 64 / sizeof(T);  // elements of a cache line

template <class T, int Rows, int Vectors, bool Half, int Steps, class Vector>
PCX_INLINE void product_steps(const T* (&x)[(Rows + 2) / 3], index stride, const T*& w, Vector (&sum)[Rows][Vectors]) {
  PCX_UNROLL
  for (int s = 0; s < Steps; ++s) {
    Vector wi[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const T* const from = w + (s * Vectors + v) * lanes<T>;
      wi[v] = Half && v == Vectors - 1 ? load_half(from) : load(from);
    }
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const T xi = x[r / 3][r % 3 * stride + s];
      if constexpr (Vectors == 1 || Half) {  // used once, it is best an operand in memory; halves have no accumulate
        add_products<Half>(xi, wi, sum[r]);
      } else {
        const Vector all = set1(xi);
        PCX_UNROLL
        for (int v = 0; v < Vectors; ++v) accumulate(sum[r][v], all, wi[v]);
      }
    }
  }
  w += Steps * Vectors * lanes<T>;
  PCX_UNROLL
  for (int g = 0; g < (Rows + 2) / 3; ++g) x[g] += Steps;
}

template <class T, int Rows, int Vectors, bool Half>
PCX_INLINE void product_tile(const PanelProduct<T>& p, const T* x, T* y, const T* ahead, index lines) {
  using vec = decltype(zero<T>());
  const index stride = p.x_stride, y_stride = p.y_stride;
  const T* xr[(Rows + 2) / 3];
  PCX_UNROLL
  for (int g = 0; g < (Rows + 2) / 3; ++g) xr[g] = x + 3 * g * stride;
  vec sum[Rows][Vectors];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[r][v] = zero<T>();
  }
  const T* w = p.w;
  constexpr int steps = sizeof(T) == 4 && Rows > 6 ? unrolled_steps : 2;
  const index some = (lines * steps + p.depth - 1) / p.depth;  // before each round of steps
  for (index i = p.depth / steps; i > 0; --i) {
    for (index j = some < lines ? some : lines; j > 0; --j, --lines, ahead += product_line<T>) prefetch(ahead);
    product_steps<T, Rows, Vectors, Half, steps>(xr, stride, w, sum);
  }
  for (index i = p.depth % steps; i > 0; --i) product_steps<T, Rows, Vectors, Half, 1>(xr, stride, w, sum);
  if (p.accumulate) {
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[r][v] = add(load(y + r * y_stride + v * lanes<T>), sum[r][v]);
    }
  }
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) store(y + r * y_stride + v * lanes<T>, sum[r][v]);
  }
}

// Where a run of tiles begins, and what each of them fetches.
template <class T>
struct ProductRun {
  const T* x;
  T* y;
  const T* ahead;
  index fetched;  // elements a tile
};

template <class T, int Rows, int Vectors, bool Half>
static void product_run(const PanelProduct<T>& given, ProductRun<T>& run, index tiles) {
  const PanelProduct<T> p = given;  // a copy, that no store can alias
  for (; tiles > 0; --tiles, run.x += Rows * p.x_stride, run.y += Rows * p.y_stride, run.ahead += run.fetched)
    product_tile<T, Rows, Vectors, Half>(p, run.x, run.y, run.ahead, run.fetched / product_line<T>);
}

template <class T, int Vectors, bool Half, int Rows>
PCX_INLINE void product_run_of(index rows, const PanelProduct<T>& p, ProductRun<T>& run, index tiles) {
  if (rows == Rows) return product_run<T, Rows, Vectors, Half>(p, run, tiles);
  if constexpr (Rows > 1) product_run_of<T, Vectors, Half, Rows - 1>(rows, p, run, tiles);
}

template <class T, int Vectors, bool Half>
static void product_tiles(const PanelProduct<T>& p) {
  if (p.rows == 0) return;
  const index tiles = (p.rows + tile_pixels<T> - 1) / tile_pixels<T>;
  const index least = p.rows / tiles, longer = p.rows % tiles;
  ProductRun<T> run{p.x, p.y, p.w + p.ahead, p.depth * Vectors * lanes<T> / tiles};
  product_run_of<T, Vectors, Half, tile_pixels<T>>(least + 1, p, run, longer);
  product_run_of<T, Vectors, Half, tile_pixels<T>>(least, p, run, tiles - longer);
}

template <class T, int Vectors>
static void product_of(const PanelProduct<T>& p) {
  if constexpr (has_halves<T>) {
    if (p.columns <= Vectors * lanes<T> - lanes<T> / 2) return product_tiles<T, Vectors, true>(p);
  }
  product_tiles<T, Vectors, false>(p);
}

template <class T>
static void panel_product(const PanelProduct<T>& p) {
  if (p.width <= lanes<T>)
    product_of<T, 1>(p);
  else
    product_of<T, vectors<T>>(p);
}
