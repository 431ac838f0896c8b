// ConvRow for few output channels: pixels lie in lanes and weights are broadcast, so that no lane is idle. The window
// keeps neighbouring pixels together, which makes every load of pixels one vector; results are transposed on their way
// out, but for those that stay in planes, or are a plane.
template <class T>  // output channels up to which this is the better way; in plain code one, so that it runs there too
constexpr int narrow = lanes<T> > 1 ? lanes<T> / 2 : 1;

// Vectors of pixels in a register tile: sums, pixels and one weight fill the registers.
template <int Channels>
constexpr int narrow_vectors = (registers - 1) / (Channels + 1) < 8 ? (registers - 1) / (Channels + 1) : 8;

template <class T, int Channels, int Vectors>
static void narrow_tile(const ConvRow<T>& row, const T* x, T* y, index pixels) {
  using vec = decltype(zero<T>());
  constexpr int width = Vectors * lanes<T>;
  const index left = pixels - (Vectors - 1) * lanes<T>;  // pixels of the last vector
  vec sum[Channels][Vectors];
  PCX_UNROLL
  for (int k = 0; k < Channels; ++k) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[k][v] = zero<T>();
  }
  const T* w = row.w;
  const std::int32_t* offset = row.offsets;
  for (index i = row.depth; i > 0; --i, ++offset, w += row.w_stride) {
    const T* xi = x + *offset;
    vec pixel[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      pixel[v] = v < Vectors - 1 ? load(xi + v * lanes<T>) : load_first(xi + v * lanes<T>, left);
    }
    PCX_UNROLL
    for (int k = 0; k < Channels; ++k) {
      const vec wk = set1(w[k]);
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[k][v] = fmadd(pixel[v], wk, sum[k][v]);
    }
  }
  if (row.planes || (Channels == 1 && row.y_stride == 1)) {
    PCX_UNROLL
    for (int k = 0; k < Channels; ++k) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        T* at = y + k * row.y_stride + v * lanes<T>;
        vec s = sum[k][v];
        if (row.accumulate) s = add(v < Vectors - 1 ? load(at) : load_first(at, left), s);
        if (row.bias) s = add(s, set1(row.bias[k]));
        if (row.relu) s = max(zero<T>(), s);
        v < Vectors - 1 ? store(at, s) : store_first(at, s, left);
      }
    }
    return;
  }
  T out[Channels * width];
  if (row.accumulate) transpose(y, row.y_stride, out, width, pixels, Channels);
  PCX_UNROLL
  for (int k = 0; k < Channels; ++k) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      T* at = out + k * width + v * lanes<T>;
      vec s = sum[k][v];
      if (row.accumulate) s = add(load(at), s);
      if (row.bias) s = add(s, set1(row.bias[k]));
      if (row.relu) s = max(zero<T>(), s);
      store(at, s);
    }
  }
  transpose(out, width, y, row.y_stride, Channels, pixels);
}

template <class T, int Channels, int Vectors>
PCX_INLINE void narrow_tile_of(index vectors, const ConvRow<T>& row, const T* x, T* y, index pixels) {
  if (vectors == Vectors) return narrow_tile<T, Channels, Vectors>(row, x, y, pixels);
  if constexpr (Vectors > 1) narrow_tile_of<T, Channels, Vectors - 1>(vectors, row, x, y, pixels);
}

template <class T, int Channels>
static void narrow_tiles(const ConvRow<T>& row) {
  constexpr int most = narrow_vectors<Channels>;
  const index whole = (row.pixels + lanes<T> - 1) / lanes<T>;
  const index tiles = (whole + most - 1) / most, least = whole / tiles, longer = whole % tiles;
  const T* x = row.x;
  T* y = row.y;
  index left = row.pixels;
  for (index t = 0; t < tiles; ++t) {
    const index vectors = least + (t < longer);
    const index pixels = left < vectors * lanes<T> ? left : vectors * lanes<T>;
    narrow_tile_of<T, Channels, most>(vectors, row, x, y, pixels);
    x += pixels;
    y += row.planes ? pixels : pixels * row.y_stride;
    left -= pixels;
  }
}

template <class T, int Channels>
PCX_INLINE void conv_narrow(const ConvRow<T>& row) {
  if (row.columns == Channels) return narrow_tiles<T, Channels>(row);
  if constexpr (Channels > 1) conv_narrow<T, Channels - 1>(row);
}

template <class T>
static void conv_row(const ConvRow<T>& row) {
  if constexpr (narrow<T> > 0) conv_narrow<T, narrow<T>>(row);
}
