// PixelSum: the outer products of two lists of pixels, summed. Channels of x are broadcast, channels of dy lie in
// lanes; both are read where they are, so nothing is packed.
template <class T, int Channels, int Vectors>
static void pixel_sum_tile(const PixelSum<T>& sum, const T* x, T* dw) {
  using vec = decltype(zero<T>());
  vec acc[Channels][Vectors];
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) acc[c][v] = zero<T>();
  }
  const bool whole = sum.columns == Vectors * lanes<T>;
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) prefetch(dw + c * sum.dw_stride);
  for (index r = 0; r < sum.rows; ++r) {
    const T* xp = x + r * sum.x_row;
    const T* dyp = sum.dy + r * sum.dy_row;
    for (index i = sum.cols; i > 0; --i, xp += sum.x_pixel, dyp += sum.dy_pixel) {
      vec d[Vectors];
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        d[v] = whole ? load(dyp + v * lanes<T>) : load_first(dyp + v * lanes<T>, sum.columns - v * lanes<T>);
      }
      PCX_UNROLL
      for (int c = 0; c < Channels; ++c) {
        const vec xc = set1(xp[c]);
        PCX_UNROLL
        for (int v = 0; v < Vectors; ++v) acc[c][v] = fmadd(xc, d[v], acc[c][v]);
      }
    }
  }
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c, dw += sum.dw_stride) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const index first = v * lanes<T>, left = sum.columns - first;
      store_first(dw + first, add(load_first(dw + first, left), acc[c][v]), left);
    }
  }
}

template <class T, int Vectors, int Channels>
PCX_INLINE void pixel_sum_tile_of(index channels, const PixelSum<T>& sum, const T* x, T* dw) {
  if (channels == Channels) return pixel_sum_tile<T, Channels, Vectors>(sum, x, dw);
  if constexpr (Channels > 1) pixel_sum_tile_of<T, Vectors, Channels - 1>(channels, sum, x, dw);
}

template <class T, int Vectors>
static void pixel_sum_tiles(const PixelSum<T>& sum) {
  const index tiles = (sum.channels + tile_pixels<T> - 1) / tile_pixels<T>;
  const index least = sum.channels / tiles, longer = sum.channels % tiles;
  const T* x = sum.x;
  T* dw = sum.dw;
  for (index t = 0; t < tiles; ++t) {
    const index channels = least + (t < longer);
    pixel_sum_tile_of<T, Vectors, tile_pixels<T>>(channels, sum, x, dw);
    x += channels;
    dw += channels * sum.dw_stride;
  }
}

template <class T>
static void pixel_sum(const PixelSum<T>& sum) {
  if (sum.columns <= lanes<T>)
    pixel_sum_tiles<T, 1>(sum);
  else
    pixel_sum_tiles<T, vectors<T>>(sum);
}
