// ConvPixels for few output channels: lanes run along the contraction, so that none is idle whatever the number of
// channels, and x is read as it stands. A tile keeps one vector of partial sums for each (pixel, output channel); with
// 4 x 3 a step loads 4 vectors of pixels and 3 of weights for 12 FMAs.

// As many pixels as leave room for the weights. Where these are too few sums to keep the ports busy, there are more,
// and some weights come from memory for each use.
constexpr int dot_sums = 12;
template <int Columns>
constexpr int dot_room = (registers - 1 - Columns) / Columns;
template <int Columns>
constexpr int dot_pixels = dot_room<Columns> >= 8                    ? 8
                           : dot_room<Columns> * Columns >= dot_sums ? dot_room<Columns>
                                                                     : dot_sums / Columns;

// Whole: as many elements as lanes.
template <bool Whole, int Columns, int Pixels, class T, class Vector>
PCX_INLINE void dot_step(const T* const (&x)[Pixels], index i, index left, const T* w, Vector* sum) {
  Vector wi[Columns];
  PCX_UNROLL
  for (int k = 0; k < Columns; ++k) {
    wi[k] = load(w + k * lanes<T>);
    if (Pixels > 1 && k < registers - 1 - Pixels * Columns) wi[k] = held(wi[k]);
  }
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    Vector xp = Whole ? load(x[p] + i) : load_first(x[p] + i, left);
    if constexpr (Columns > 1) xp = held(xp);
    PCX_UNROLL
    for (int k = 0; k < Columns; ++k) sum[p * Columns + k] = fmadd(xp, wi[k], sum[p * Columns + k]);
  }
}

// What the pixels hold for the next group: its channels are too few for the processor to see where they go on.
template <int Pixels, class T>
PCX_INLINE void fetch_next(const ConvPixels<T>& tile, const index* x_at) {
  constexpr index line = 64 / index(sizeof(T));
  const index length = tile.runs->length;
  for (index back = 1; back <= length; back += line) {
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) prefetch(tile.x + x_at[p] + 2 * length - back);
  }
}

template <class T, int Columns, int Pixels>
static void dot_tile(const ConvPixels<T>& tile, const index* x_at, const index* y_at) {
  using vec = decltype(zero<T>());
  constexpr int sums = Pixels * Columns, blocks = (sums + lanes<T> - 1) / lanes<T>;
  vec sum[blocks * lanes<T>];
  PCX_UNROLL
  for (int s = 0; s < blocks * lanes<T>; ++s) sum[s] = zero<T>();
  const T* w = tile.w;
  if (tile.fetch_x) fetch_next<Pixels>(tile, x_at);
  for (index r = 0; r < tile.run_count; ++r) {
    const T* x[Pixels];
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) x[p] = tile.x + x_at[p] + tile.runs[r].start;
    const index length = tile.runs[r].length;
    w += tile.runs[r].skip * Columns;
    index i = 0;
    for (; i + lanes<T> <= length; i += lanes<T>, w += Columns * lanes<T>)
      dot_step<true, Columns, Pixels>(x, i, lanes<T>, w, sum);
    if (i < length) {
      dot_step<false, Columns, Pixels>(x, i, length - i, w, sum);
      w += Columns * lanes<T>;
    }
  }
  T total[blocks * lanes<T>];
  PCX_UNROLL
  for (int b = 0; b < blocks; ++b) {
    vec part[lanes<T>];
    PCX_UNROLL
    for (int l = 0; l < lanes<T>; ++l) part[l] = sum[b * lanes<T> + l];
    store(total + b * lanes<T>, sum_each(part));
  }
  if (!tile.accumulate && !tile.bias && !tile.relu) {
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      T* y = tile.y + y_at[p];
      PCX_UNROLL
      for (int k = 0; k < Columns; ++k) y[k] = total[p * Columns + k];
    }
    return;
  }
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    T* y = tile.y + y_at[p];
    PCX_UNROLL
    for (int k = 0; k < Columns; ++k) {
      T s = total[p * Columns + k];
      if (tile.accumulate) s = y[k] + s;
      if (tile.bias) s = s + tile.bias[k];
      if (tile.relu) s = s < 0 ? T(0) : s;
      y[k] = s;
    }
  }
}

template <class T, int Columns, int Pixels>
PCX_INLINE void dot_tile_of(index pixels, const ConvPixels<T>& tile, const index* x_at, const index* y_at) {
  if (pixels == Pixels) return dot_tile<T, Columns, Pixels>(tile, x_at, y_at);
  if constexpr (Pixels > 1) dot_tile_of<T, Columns, Pixels - 1>(pixels, tile, x_at, y_at);
}

// Pixels of one short run: the weights stay in registers, and as many pixels are taken at once as fill whole vectors of
// results. Where these lie together they are stored as such.
template <class T, int Columns>
constexpr int short_pixels = lanes<T> % Columns == 0 ? lanes<T> / Columns : lanes<T>;

template <class T, int Columns, int Vectors, class Vector>
PCX_INLINE void short_sums(const T* const (&x)[short_pixels<T, Columns>], index left,
                           const Vector (&w)[Vectors][Columns], Vector* total) {
  PCX_UNROLL
  for (int b = 0; b < short_pixels<T, Columns> * Columns / lanes<T>; ++b) {
    Vector sum[lanes<T>];
    PCX_UNROLL
    for (int l = 0; l < lanes<T>; ++l) {
      const int p = (b * lanes<T> + l) / Columns, k = (b * lanes<T> + l) % Columns;
      sum[l] = zero<T>();
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const Vector xv = v < Vectors - 1 ? load(x[p] + v * lanes<T>) : load_first(x[p] + v * lanes<T>, left);
        sum[l] = fmadd(xv, w[v][k], sum[l]);
      }
    }
    total[b] = sum_each(sum);
  }
}

// Results of `pixels` pixels, each where it belongs.
template <int Columns, class T>
PCX_INLINE void store_apart(const T* results, index pixels, T* y, const index* y_at) {
  for (index i = 0; i < pixels; ++i) {
    PCX_UNROLL
    for (int k = 0; k < Columns; ++k) y[y_at[i] + k] = results[i * Columns + k];
  }
}

template <class T, int Columns, int Vectors>
static void conv_dot_short(const ConvPixels<T>& tile) {
  using vec = decltype(zero<T>());
  constexpr int most = short_pixels<T, Columns>, blocks = most * Columns / lanes<T>;
  const T *const from = tile.x + tile.runs->start, *wi = tile.w + tile.runs->skip * Columns;
  const index left = tile.runs->length - (Vectors - 1) * lanes<T>;
  vec w[Vectors][Columns], bias[blocks];
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    PCX_UNROLL
    for (int k = 0; k < Columns; ++k, wi += lanes<T>) w[v][k] = load(wi);
  }
  T results[blocks * lanes<T>];
  for (int i = 0; i < blocks * lanes<T>; ++i) results[i] = tile.bias ? tile.bias[i % Columns] : T(0);
  PCX_UNROLL
  for (int b = 0; b < blocks; ++b) bias[b] = load(results + b * lanes<T>);
  for (index p = 0; p < tile.pixels; p += most) {
    const index *const x_at = tile.x_at + p, *const y_at = tile.y_at + p;
    const bool whole = tile.pixels - p >= most;
    bool together = whole;
    const T* x[most];
    if (whole) {
      PCX_UNROLL
      for (int i = 0; i < most; ++i) {
        x[i] = from + x_at[i];
        together &= y_at[i] - y_at[0] == i * Columns;
      }
      if (tile.fetch_x) fetch_next<most>(tile, x_at);
    } else {
      for (int i = 0; i < most; ++i) x[i] = from + x_at[p + i < tile.pixels ? i : 0];
    }
    vec total[blocks];
    short_sums<T, Columns, Vectors>(x, left, w, total);
    PCX_UNROLL
    for (int b = 0; b < blocks; ++b) {
      if (tile.bias) total[b] = add(total[b], bias[b]);
      if (tile.relu) total[b] = max(zero<T>(), total[b]);
    }
    T* const to = together ? tile.y + y_at[0] : results;
    PCX_UNROLL
    for (int b = 0; b < blocks; ++b) store(to + b * lanes<T>, total[b]);
    if (!together) store_apart<Columns>(results, whole ? most : tile.pixels - p, tile.y, y_at);
  }
}

// Whether that took it.
template <class T, int Columns, int Vectors>
PCX_INLINE bool takes_short(const ConvPixels<T>& tile) {
  if constexpr (Vectors * Columns > short_weights)
    return false;
  else {
    if (tile.runs->length > Vectors * lanes<T>) return takes_short<T, Columns, Vectors + 1>(tile);
    conv_dot_short<T, Columns, Vectors>(tile);
    return true;
  }
}

template <class T, int Columns>
static void conv_dot(const ConvPixels<T>& tile) {
  if constexpr (Columns > 1) {
    if (tile.columns < Columns) return conv_dot<T, Columns - 1>(tile);
  }
  if (tile.run_count == 1 && !tile.accumulate && takes_short<T, Columns, 1>(tile)) return;
  constexpr int most = dot_pixels<Columns>;
  const index tiles = (tile.pixels + most - 1) / most, least = tile.pixels / tiles, longer = tile.pixels % tiles;
  for (index t = 0, p = 0; t < tiles; ++t) {
    const index pixels = least + (t < longer);
    dot_tile_of<T, Columns, most>(pixels, tile, tile.x_at + p, tile.y_at + p);
    p += pixels;
  }
}
