// PixelSum: the outer products of two lists of pixels, summed. Channels of x are broadcast, channels of dy lie in
// lanes; both are read where they are. A tile of channels that are not side by side keeps a pointer for each. ColumnSum
// is what remains of it where x is one.
// Channels of a tile: with one vector of columns a third more, so that enough sums are under way.
template <class T, int Vectors>
constexpr int sum_channels = Vectors > 1 ? tile_pixels<T> : tile_pixels<T> + tile_pixels<T> / 3;

// The lanes that take part, found once for a row.
template <class T, int Vectors>
struct ColumnLanes {
  decltype(first_lanes<T>(0)) part[Vectors];
};

// Pixel p of a row. Whole: all columns of the vectors are there.
template <bool Whole, bool Listed, class T, class Vector, int Channels, int Vectors>
PCX_INLINE void pixel_sum_step(const T* const* each, index p, const T* dy, const ColumnLanes<T, Vectors>& columns,
                               Vector (&acc)[Channels][Vectors]) {
  Vector d[Vectors];
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    if constexpr (Whole)
      d[v] = Channels > 1 ? held(load(dy + v * lanes<T>)) : load(dy + v * lanes<T>);
    else
      d[v] = load_lanes(dy + v * lanes<T>, columns.part[v]);
  }
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) {
    const Vector xc = set1(Listed ? each[c][p] : each[0][p + c]);
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) acc[c][v] = fmadd(xc, d[v], acc[c][v]);
  }
}

// Two pixels at a time, where counting them would show, and those of sums of their own.
template <bool Whole, bool Listed, class T, class Vector, int Apart, int Channels, int Vectors>
PCX_INLINE void pixel_sum_row(const PixelSum<T>& sum, const T* x, const index* at, const T* dy,
                              Vector (&acc)[Apart][Channels][Vectors]) {
  constexpr bool twice = Whole && !Listed && sizeof(T) == 4 && lanes<T> > 1 && Channels > 5;
  const index x_pixel = sum.x_pixel, dy_pixel = sum.dy_pixel;
  ColumnLanes<T, Vectors> columns;
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) columns.part[v] = first_lanes<T>(sum.columns - v * lanes<T>);
  const T* each[Listed ? Channels : 1] = {x};
  if constexpr (Listed) {
    PCX_UNROLL
    for (int c = 0; c < Channels; ++c) each[c] = x + at[c];
  }
  index i = sum.cols, p = 0;
  if constexpr (twice) {
    for (; i >= 2; i -= 2, p += 2 * x_pixel, dy += 2 * dy_pixel) {
      pixel_sum_step<Whole, Listed>(each, p, dy, columns, acc[0]);
      pixel_sum_step<Whole, Listed>(each, p + x_pixel, dy + dy_pixel, columns, acc[Apart > 1]);
    }
  } else if constexpr (Apart > 1) {
    for (; i >= Apart; i -= Apart) {
      PCX_UNROLL
      for (int a = 0; a < Apart; ++a, p += x_pixel, dy += dy_pixel)
        pixel_sum_step<Whole, Listed>(each, p, dy, columns, acc[a]);
    }
  }
  for (; i > 0; --i, p += x_pixel, dy += dy_pixel) pixel_sum_step<Whole, Listed>(each, p, dy, columns, acc[0]);
}

template <class T, int Channels, int Vectors, bool Listed>
static void pixel_sum_tile(const PixelSum<T>& sum, const T* x, const index* at, T* dw) {
  using vec = decltype(zero<T>());
  vec acc[pixels_apart<Channels * Vectors, Vectors + 1>][Channels][Vectors];
  begin_apart(acc, zero<T>());
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) prefetch(dw + c * sum.dw_stride);
  const bool whole = sum.columns == Vectors * lanes<T>;
  for (index r = 0; r < sum.rows; ++r) {
    const T* xr = sum.x_rows ? x + sum.x_rows[r] : x;
    const T* dyr = sum.x_rows ? sum.dy + sum.dy_rows[r] : sum.dy;
    if (whole)
      pixel_sum_row<true, Listed>(sum, xr, at, dyr, acc);
    else
      pixel_sum_row<false, Listed>(sum, xr, at, dyr, acc);
  }
  join_apart(acc);
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c, dw += sum.dw_stride) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const index first = v * lanes<T>, left = sum.columns - first;
      const vec s = acc[0][c][v];
      store_first(dw + first, sum.overwrite ? s : add(load_first(dw + first, left), s), left);
    }
  }
}

// Whether a tile's channels are side by side after all.
PCX_INLINE bool side_by_side(const index* at, index channels) {
  for (index c = 1; c < channels; ++c) {
    if (at[c] != at[0] + c) return false;
  }
  return true;
}

template <class T, int Vectors, int Channels>
PCX_INLINE void pixel_sum_tile_of(index channels, const PixelSum<T>& sum, index first, T* dw) {
  if (channels == Channels) {
    if (!sum.x_at) return pixel_sum_tile<T, Channels, Vectors, false>(sum, sum.x + first, nullptr, dw);
    const index* at = sum.x_at + first;
    if (side_by_side(at, channels)) return pixel_sum_tile<T, Channels, Vectors, false>(sum, sum.x + *at, nullptr, dw);
    return pixel_sum_tile<T, Channels, Vectors, true>(sum, sum.x, at, dw);
  }
  if constexpr (Channels > 1) pixel_sum_tile_of<T, Vectors, Channels - 1>(channels, sum, first, dw);
}

template <class T, int Vectors>
static void pixel_sum_tiles(const PixelSum<T>& sum) {
  constexpr int most = sum_channels<T, Vectors>;
  const index tiles = (sum.channels + most - 1) / most;
  const index least = sum.channels / tiles, longer = sum.channels % tiles;
  index first = 0;
  for (index t = 0; t < tiles; ++t) {
    const index channels = least + (t < longer);
    pixel_sum_tile_of<T, Vectors, most>(channels, sum, first, sum.dw + first * sum.dw_stride);
    first += channels;
  }
}

template <class T>
static void pixel_sum(const PixelSum<T>& sum) {
  if (sum.columns <= lanes<T>)
    pixel_sum_tiles<T, 1>(sum);
  else
    pixel_sum_tiles<T, vectors<T>>(sum);
}

// Four pixels at a time, each with sums of its own. Meanwhile as much is fetched of what follows, where a pixel has
// that many columns: often this is the first to read it.
template <class T, int Vectors>
static void column_sum_panel(const ColumnSum<T>& sum, const T* x, T* y, index columns) {
  using vec = decltype(zero<T>());
  constexpr int pixels = 4;
  const bool whole = columns >= Vectors * lanes<T>;
  vec acc[pixels][Vectors];
  PCX_UNROLL
  for (int p = 0; p < pixels; ++p) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) acc[p][v] = zero<T>();
  }
  const index following = sum.pixels * sum.step;
  index left = sum.pixels;
  for (; left >= pixels; left -= pixels, x += pixels * sum.step) {
    PCX_UNROLL
    for (int p = 0; p < pixels; ++p) {
      if constexpr (Vectors > 1) prefetch(x + following + p * sum.step);
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const T* at = x + p * sum.step + v * lanes<T>;
        acc[p][v] = add(acc[p][v], whole ? load(at) : load_first(at, columns - v * lanes<T>));
      }
    }
  }
  for (; left > 0; --left, x += sum.step) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) acc[0][v] = add(acc[0][v], load_first(x + v * lanes<T>, columns - v * lanes<T>));
  }
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    const vec all = add(add(acc[0][v], acc[1][v]), add(acc[2][v], acc[3][v]));
    const index first = v * lanes<T>;
    store_first(y + first, add(load_first(y + first, columns - first), all), columns - first);
  }
}

template <class T>
static void column_sum(const ColumnSum<T>& sum) {
  for (index k = 0; k < sum.columns; k += panel<T>) {
    const index columns = sum.columns - k;
    if (columns <= lanes<T>)
      column_sum_panel<T, 1>(sum, sum.x + k, sum.y + k, columns);
    else
      column_sum_panel<T, vectors<T>>(sum, sum.x + k, sum.y + k, columns);
  }
}
