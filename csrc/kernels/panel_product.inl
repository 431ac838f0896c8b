// PanelProduct: rows are cut into register tiles of `tile_pixels` x `vectors` or a little less, so that no tile is
// small. An element of x is broadcast once for all vectors; with 14 x 2 a step loads 14 elements and 2 weight vectors
// for 28 FMAs. Addresses of rows are formed from one pointer for three of them, which saves registers.
template <class T>
constexpr int panel = vectors<T> * lanes<T>;

template <class T, int Rows, int Vectors>
static void product_tile(const PanelProduct<T>& p, const T* x, T* y) {
  using vec = decltype(zero<T>());
  constexpr int pointers = (Rows + 2) / 3;
  const index stride = p.x_stride, ahead = p.ahead;
  const T* xr[pointers];
  PCX_UNROLL
  for (int g = 0; g < pointers; ++g) xr[g] = x + 3 * g * stride;
  vec sum[Rows][Vectors];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[r][v] = zero<T>();
  }
  const T* w = p.w;
  for (index i = p.depth; i > 0; --i, w += Vectors * lanes<T>) {
    prefetch(w + ahead);
    vec wi[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) wi[v] = load(w + v * lanes<T>);
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const vec xi = set1(xr[r / 3][r % 3 * stride]);
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fmadd(xi, wi[v], sum[r][v]);
    }
    PCX_UNROLL
    for (int g = 0; g < pointers; ++g) ++xr[g];
  }
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r, y += p.y_stride) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const vec s = sum[r][v];
      store(y + v * lanes<T>, p.accumulate ? add(load(y + v * lanes<T>), s) : s);
    }
  }
}

template <class T, int Vectors, int Rows>
PCX_INLINE void product_tile_of(index rows, const PanelProduct<T>& p, const T* x, T* y) {
  if (rows == Rows) return product_tile<T, Rows, Vectors>(p, x, y);
  if constexpr (Rows > 1) product_tile_of<T, Vectors, Rows - 1>(rows, p, x, y);
}

template <class T, int Vectors>
static void product_tiles(const PanelProduct<T>& p) {
  const index tiles = (p.rows + tile_pixels<T> - 1) / tile_pixels<T>;
  const index least = p.rows / tiles, longer = p.rows % tiles;
  const T* x = p.x;
  T* y = p.y;
  for (index t = 0; t < tiles; ++t) {
    const index rows = least + (t < longer);
    product_tile_of<T, Vectors, tile_pixels<T>>(rows, p, x, y);
    x += rows * p.x_stride;
    y += rows * p.y_stride;
  }
}

template <class T>
static void panel_product(const PanelProduct<T>& p) {
  if (p.width <= lanes<T>)
    product_tiles<T, 1>(p);
  else
    product_tiles<T, vectors<T>>(p);
}
