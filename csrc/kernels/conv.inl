// ConvRow: a row of pixels, cut into register tiles of `tile_pixels` x `vectors` or a little less, so that no tile is
// small. A pixel is broadcast once for all vectors; with 14 x 2 a step loads 14 pixels and 2 weight vectors for 28
// FMAs.
template <class T>
constexpr int panel = vectors<T> * lanes<T>;

template <class T, int Pixels, int Vectors, int Step>
static void conv_tile(const ConvRow<T>& row, const T* x, T* y) {
  using vec = decltype(zero<T>());
  vec sum[Pixels][Vectors];
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[p][v] = zero<T>();
  }
  const T* w = row.w;
  const std::int32_t* offset = row.offsets;
  for (index i = row.depth; i > 0; --i, ++offset, w += Vectors * lanes<T>) {
    const T* xi = x + *offset;
    if constexpr (Step > 1) {
      prefetch(w + row.ahead);
      if (Vectors > 1) prefetch(w + row.ahead + lanes<T>);
    }
    vec wi[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) wi[v] = load(w + v * lanes<T>);
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      const vec xp = set1(xi[p * Step]);
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[p][v] = fmadd(xp, wi[v], sum[p][v]);
    }
  }
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p, y += row.y_stride) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const index first = v * lanes<T>, left = row.columns - first;
      vec s = sum[p][v];
      if (row.accumulate) s = add(load_first(y + first, left), s);
      if (row.bias) s = add(s, load_first(row.bias + first, left));
      if (row.relu) s = max(zero<T>(), s);
      store_first(y + first, s, left);
    }
  }
}

template <class T, int Vectors, int Step, int Pixels>
PCX_INLINE void conv_tile_of(index pixels, const ConvRow<T>& row, const T* x, T* y) {
  if (pixels == Pixels) return conv_tile<T, Pixels, Vectors, Step>(row, x, y);
  if constexpr (Pixels > 1) conv_tile_of<T, Vectors, Step, Pixels - 1>(pixels, row, x, y);
}

template <class T, int Vectors, int Step>
static void conv_tiles(const ConvRow<T>& row) {
  const index tiles = (row.pixels + tile_pixels<T> - 1) / tile_pixels<T>;
  const index least = row.pixels / tiles, longer = row.pixels % tiles;
  const T* x = row.x;
  T* y = row.y;
  for (index t = 0; t < tiles; ++t) {
    const index pixels = least + (t < longer);
    conv_tile_of<T, Vectors, Step, tile_pixels<T>>(pixels, row, x, y);
    x += pixels * Step;
    y += pixels * row.y_stride;
  }
}

// Few output channels: pixels that are neighbours in memory.
template <class T>
static void conv_row(const ConvRow<T>& row) {
  if constexpr (narrow<T> > 0) conv_narrow<T, narrow<T>>(row);
}

// Pixels that stand `spaced` elements apart: the products of Winograd's convolution.
template <class T>
static void conv_row_spaced(const ConvRow<T>& row) {
  if (row.columns <= lanes<T>)
    conv_tiles<T, 1, spaced>(row);
  else
    conv_tiles<T, vectors<T>, spaced>(row);
}
