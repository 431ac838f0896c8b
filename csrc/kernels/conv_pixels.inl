// ConvPixels: a list of pixels, cut into register tiles of `tile_pixels` x `vectors` or a little less. An element of a
// pixel is broadcast once for all vectors of weights. Pixels have a pointer each and share one counter, so a step takes
// no address arithmetic: 12 FMAs, 6 broadcasts, 2 loads and 4 more operations with 6 x 2.
// Pixels of a tile of one vector: 12 chains of FMAs are more than latency x ports on every processor of these.
template <class T>
constexpr int single_pixels = 12;

// The last lines before `end`, as many as a panel has: a store that does not fill its line waits for it.
template <class T, int Pixels, int Vectors>
PCX_INLINE void fetch_lines(const T* end, const index* y_at) {
  constexpr int columns = Vectors * lanes<T>, line = 64 / sizeof(T), lines = columns < line ? 1 : columns / line;
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    PCX_UNROLL
    for (int i = 0; i < lines; ++i) prefetch(end + y_at[p] - 1 - i * line);
  }
}

template <bool Streamed, class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void store_whole(T* to, const index* y_at, const Vector (&sum)[Pixels][Vectors]) {
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      T* const y = to + y_at[p] + v * lanes<T>;
      if constexpr (Streamed)
        stream(y, sum[p][v]);
      else
        store(y, sum[p][v]);
    }
  }
}

// Whole: all columns of the vectors are stored. One branch an option and tile: with few taps they would show.
template <bool Whole, class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void finish_pixels(const ConvPixels<T>& tile, const index* y_at, Vector (&sum)[Pixels][Vectors]) {
  T* const to = tile.y;  // stores could change what tile says
  const index columns = tile.columns;
  if (tile.y_next_end) fetch_lines<T, Pixels, Vectors>(to + tile.y_next_end, y_at);
  if (tile.accumulate) {
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      const T* y = to + y_at[p];
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const index first = v * lanes<T>;
        sum[p][v] = add(Whole ? load(y + first) : load_first(y + first, columns - first), sum[p][v]);
      }
    }
  }
  if (tile.bias) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      const index first = v * lanes<T>;
      const Vector bias = Whole ? load(tile.bias + first) : load_first(tile.bias + first, columns - first);
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p) sum[p][v] = add(sum[p][v], bias);
    }
  }
  if (tile.relu) {
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[p][v] = max(zero<T>(), sum[p][v]);
    }
  }
  if constexpr (Whole) {
    if (tile.streamed) return store_whole<true>(to, y_at, sum);
    return store_whole<false>(to, y_at, sum);
  }
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    T* y = to + y_at[p];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      if (v == 0 && Vectors > 1)
        store(y, sum[p][v]);
      else
        store_pieces(y + v * lanes<T>, sum[p][v], columns - v * lanes<T>);
    }
  }
}

constexpr int weights_ahead = 32;  // vectors, 16 steps: where pixels are few, weights come from L3 or from memory

// Elements [begin, end) of the pixels. Where asked, each step fetches the results of one pixel, to which the sums will
// go: all of them at once would keep what the products need waiting.
template <bool Half, bool Fetch, class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void pixels_steps(const T* const (&x)[Pixels], const T*& w, index begin, index end, const T* y,
                             const index* y_at, Vector (&sum)[Pixels][Vectors]) {
  for (index i = begin; i < end; ++i, w += Vectors * lanes<T>) {
    if constexpr (Fetch) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) prefetch(y + y_at[i - begin] + v * lanes<T>);
    }
    Vector wi[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      if constexpr (fetches_ahead && Vectors > 1) prefetch(w + (v + weights_ahead) * lanes<T>);
      wi[v] = Half && v == Vectors - 1 ? load_half(w + v * lanes<T>) : load(w + v * lanes<T>);
    }
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) add_products<Half>(x[p][i], wi, sum[p]);
  }
}

template <class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void begin_sums(Vector (&sum)[Pixels][Vectors]) {
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[p][v] = zero<T>();
  }
}

// Of pixel p of a tile.
template <class T, int Vectors>
PCX_INLINE T* waiting_sums(const ConvPixels<T>& tile, index first, int p) {
  return tile.sums + (tile.sums_at ? tile.sums_at[first + p] : first + p) * Vectors * lanes<T>;
}

template <class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void resume_sums(const ConvPixels<T>& tile, index first, Vector (&sum)[Pixels][Vectors]) {
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    const T* from = waiting_sums<T, Vectors>(tile, first, p);
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) sum[p][v] = load(from + v * lanes<T>);
  }
}

template <class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void leave_sums(const ConvPixels<T>& tile, index first, const Vector (&sum)[Pixels][Vectors]) {
  T* to[Pixels];  // stores could change what tile says
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) to[p] = waiting_sums<T, Vectors>(tile, first, p);
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) store(to[p] + v * lanes<T>, sum[p][v]);
  }
}

template <class T, int Pixels, int Vectors, bool Half>
static void pixels_tile(const ConvPixels<T>& tile, index first) {
  using vec = decltype(zero<T>());
  const index *const x_at = tile.x_at + first, *const y_at = tile.y_at + first;
  vec sum[Pixels][Vectors];
  if (tile.resumed)
    resume_sums(tile, first, sum);
  else
    begin_sums<T>(sum);
  const T *w = tile.w, *x[Pixels];
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) x[p] = tile.x + x_at[p];
  for (index r = 0; r < tile.run_count; ++r) {
    index begin = tile.runs[r].start;
    const index end = begin + tile.runs[r].length;
    w += tile.runs[r].skip * Vectors * lanes<T>;
    if constexpr (fetches_ahead && sizeof(T) == 4 && Pixels > 6) {
      if (r == 0 && !tile.incomplete && !tile.streamed) {
        const index fetched = begin + Pixels < end ? begin + Pixels : end;
        pixels_steps<Half, true>(x, w, begin, fetched, tile.y, y_at, sum);
        begin = fetched;
      }
    }
    pixels_steps<Half, false>(x, w, begin, end, tile.y, y_at, sum);
  }
  if (tile.incomplete) return leave_sums(tile, first, sum);
  if (!Half && tile.columns == Vectors * lanes<T>)
    finish_pixels<true>(tile, y_at, sum);
  else
    finish_pixels<false>(tile, y_at, sum);
}

template <class T, int Vectors, bool Half, int Pixels>
PCX_INLINE void pixels_tile_of(index pixels, const ConvPixels<T>& tile, index first) {
  if (pixels == Pixels) return pixels_tile<T, Pixels, Vectors, Half>(tile, first);
  if constexpr (Pixels > 1) pixels_tile_of<T, Vectors, Half, Pixels - 1>(pixels, tile, first);
}

template <class T, int Vectors, bool Half, int Pixels>
static void pixels_tiles(const ConvPixels<T>& tile) {
  const index tiles = (tile.pixels + Pixels - 1) / Pixels;
  const index least = tile.pixels / tiles, longer = tile.pixels % tiles;
  for (index t = 0, p = 0; t < tiles; ++t) {
    const index pixels = least + (t < longer);
    pixels_tile_of<T, Vectors, Half, Pixels>(pixels, tile, p);
    p += pixels;
  }
}

// Few elements a pixel: beginning and storing a tile takes as long as its products. Tiles of a few pixels, whose
// addresses all stay in registers, read where an element stands from a list: 1 to 12 products a result took half to
// five sixths of the time on a Zen 4.
constexpr index most_elements = 32;
constexpr int few_pixels = 6;

struct Elements {
  index at[most_elements], count = 0;  // seen from where a pixel reads

  bool take(const Run* runs, index run_count) {  // whether there is room for all of them
    for (const Run* run = runs; run < runs + run_count; ++run) {
      if (run->skip > 0 || count + run->length > most_elements) return false;
      for (index i = 0; i < run->length; ++i) at[count++] = run->start + i;
    }
    return true;
  }
};

template <bool Half, bool Fetch, class T, class Vector, int Pixels, int Vectors>
PCX_INLINE void few_steps(const T* const (&x)[Pixels], const T*& w, const index* at, index count, const T* y,
                          const index* y_at, Vector (&sum)[Pixels][Vectors]) {
  for (index i = 0; i < count; ++i, w += Vectors * lanes<T>) {
    if constexpr (Fetch) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) prefetch(y + y_at[i] + v * lanes<T>);
    }
    Vector wi[Vectors];
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v)
      wi[v] = held(Half && v == Vectors - 1 ? load_half(w + v * lanes<T>) : load(w + v * lanes<T>));
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) add_products<Half>(x[p][at[i]], wi, sum[p]);
  }
}

template <bool Whole, bool Half, class T, int Vectors, int Pixels>
PCX_INLINE void few_tile(const ConvPixels<T>& tile, const Elements& elements, index first) {
  using vec = decltype(zero<T>());
  const index *const x_at = tile.x_at + first, *const y_at = tile.y_at + first;
  const T *w = tile.w, *x[Pixels];
  PCX_UNROLL
  for (int p = 0; p < Pixels; ++p) x[p] = tile.x + x_at[p];
  vec sum[Pixels][Vectors];
  begin_sums<T>(sum);
  index fetched = 0;
  if (fetches_ahead && Vectors > 1 && !tile.streamed) {
    fetched = elements.count < Pixels ? elements.count : Pixels;
    few_steps<Half, true>(x, w, elements.at, fetched, tile.y, y_at, sum);
  }
  few_steps<Half, false>(x, w, elements.at + fetched, elements.count - fetched, tile.y, y_at, sum);
  finish_pixels<Whole>(tile, y_at, sum);
}

// The last pixels of the list are computed twice rather than one by one.
template <bool Whole, bool Half, class T, int Vectors>
static void few_tiles(const ConvPixels<T>& given, const Elements& elements) {
  const ConvPixels<T> tile = given;  // a copy, that no store can alias
  index p = 0;
  for (; p + few_pixels <= tile.pixels; p += few_pixels)
    few_tile<Whole, Half, T, Vectors, few_pixels>(tile, elements, p);
  if (p < tile.pixels) few_tile<Whole, Half, T, Vectors, few_pixels>(tile, elements, tile.pixels - few_pixels);
}

// Whether that took it.
template <class T, int Vectors, bool Half>
static bool takes_few(const ConvPixels<T>& tile) {
  if (tile.pixels < few_pixels || tile.accumulate || tile.resumed || tile.incomplete) return false;
  Elements elements;
  if (!elements.take(tile.runs, tile.run_count)) return false;
  if (!Half && tile.columns == Vectors * lanes<T>)
    few_tiles<!Half, Half, T, Vectors>(tile, elements);
  else
    few_tiles<false, Half, T, Vectors>(tile, elements);
  return true;
}

template <class T, int Vectors, int Pixels, bool Half = false>
static void pixels_of(const ConvPixels<T>& tile) {
  if constexpr (has_halves<T> && !Half) {
    if (tile.columns <= Vectors * lanes<T> - lanes<T> / 2) return pixels_of<T, Vectors, Pixels, true>(tile);
  }
  if (!takes_few<T, Vectors, Half>(tile)) pixels_tiles<T, Vectors, Half, Pixels>(tile);
}

template <class T>
static void conv_pixels(const ConvPixels<T>& tile) {
  if (tile.over_lanes)
    conv_dot<T, narrow<T>>(tile);
  else if (tile.columns <= lanes<T>)
    pixels_of<T, 1, single_pixels<T>>(tile);
  else
    pixels_of<T, vectors<T>, tile_pixels<T>>(tile);
}
