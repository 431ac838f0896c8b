// DepthwiseRow: a register window slides over a row. Channels lie in lanes; each column of x is loaded once for a run
// of neighbouring taps, whose weights stay in registers: 10 pixels and 3 taps take 15 loads for 30 FMAs. A row is cut
// into tiles of window_pixels or a little less, so that no tile is small: a sum is a chain of FMAs, and it takes more
// than eight chains to keep two ports busy that need four cycles for each. Of 7 taps there are registers for no more
// than 7 pixels; with 8 GCC keeps some of them in memory. With few kinds all but three taps make do with few tiles,
// and are one kind.
template <int Taps>
constexpr int window_pixels = few_kinds && Taps != 3  ? 4
                              : Taps == 0 || Taps > 5 ? 7
                                                      : 10;

// Three taps follow each other so closely that each waits for the sum of the one before it, where there is one port for
// 512 bits: then both halves of the pixels take turns, and two columns are loaded twice. 90 FMAs from the first-level
// cache took 92 cycles of a Zen 4 instead of 115 to 150. With 16 registers there is no room for a second column.
template <int Taps, int Pixels>
constexpr bool in_halves = Taps == 3 && Pixels > 3 && registers > 16;

// Column q of pixels [First, End), for tap i of pixel First + q - i.
template <int First, int End, class Vector, int Taps, int Pixels>
PCX_INLINE void add_taps(int q, Vector column, const Vector (&w)[Taps], Vector (&sum)[Pixels]) {
  PCX_UNROLL
  for (int i = 0; i < Taps; ++i) {
    const int p = First + q - i;
    if (p >= First && p < End) sum[p] = fmadd(column, w[i], sum[p]);
  }
}

// The columns of a tile that are there.
struct ColumnsThere {
  index begin, end;

  ColumnsThere(const TapRun& run, index first) : begin(run.begin - first), end(run.end - first) {}
};

// Those in the middle always are.
template <int Taps, int Pixels>
PCX_INLINE bool is_there(const ColumnsThere& columns, int q) {
  return (q >= Taps / 2 || q >= columns.begin) && (q < Pixels + Taps - 1 - Taps / 2 || q < columns.end);
}

template <class T, int Taps, int Pixels, class Vector>
PCX_INLINE void slide(const T* x, index x_step, const T* w, const ColumnsThere& columns, Vector (&sum)[Pixels]) {
  constexpr int half = in_halves<Taps, Pixels> ? (Pixels + 1) / 2 : Pixels;
  Vector wi[Taps];
  PCX_UNROLL
  for (int i = 0; i < Taps; ++i) wi[i] = load(w + i * lanes<T>);
  const T* second = x + half * x_step;
  PCX_UNROLL
  for (int q = 0; q < half + Taps - 1; ++q, x += x_step, second += x_step) {
    // Of three taps and more the column stays in a register anyway, or there is none for it.
    if (is_there<Taps, Pixels>(columns, q)) {
      add_taps<0, half>(q, Taps == 2 || half < Pixels ? held(load(x)) : load(x), wi, sum);
    }
    if (q < Pixels - half + Taps - 1 && half < Pixels && is_there<Taps, Pixels>(columns, half + q)) {
      add_taps<half, Pixels>(q, held(load(second)), wi, sum);
    }
  }
}

template <class T, int Pixels, class Vector>
PCX_INLINE void slide_over(const TapRun& run, const T* x, index first, index x_step, const T* w,
                           Vector (&sum)[Pixels]) {
  const ColumnsThere columns(run, first);
  x += run.at;
  switch (run.taps) {
    case 1:
      return slide<T, 1>(x, x_step, w, columns, sum);
    case 2:
      return slide<T, 2>(x, x_step, w, columns, sum);
    case 3:
      return slide<T, 3>(x, x_step, w, columns, sum);
    case 4:
      return slide<T, 4>(x, x_step, w, columns, sum);
    case 5:
      return slide<T, 5>(x, x_step, w, columns, sum);
    case 6:
      return slide<T, 6>(x, x_step, w, columns, sum);
    default:
      return slide<T, 7>(x, x_step, w, columns, sum);
  }
}

// One vector of channels of what these pixels will be in the next row: where x comes from memory, asking for it a row
// before, bit by bit, takes less than two thirds of the time; for a tile at once four fifths. Inlined: GCC leaves out
// calls of a function that only fetches.
template <int Pixels, class T>
PCX_INLINE void fetch_ahead(const DepthwiseRow<T>& row, index at) {
  for (index i = 0; i < row.ahead_count; ++i) {
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) prefetch(row.ahead[i] + at + p * row.ahead_step);
  }
}

// Pixels [first, first + Pixels). Every row is a run of First taps and one of Second, which may be 0; where First is 1,
// as many runs as there are, of a tap each; where it is 0, any runs. Rows: their number, or 0 for any.
// Ahead: a version of its own, for where nothing is fetched its registers cost a tenth.
template <class T, int Rows, int First, int Second, bool Ahead, int Pixels>
static void depthwise_tile(const DepthwiseRow<T>& row, index first) {
  using vec = decltype(zero<T>());
  const TapRun *const runs = row.runs, *const runs_end = row.runs + row.run_count;
  const T *const *const rows = row.x, *const *const rows_end = row.x + row.rows;
  const index row_weights = row.taps * lanes<T>, x_step = row.x_step, y_step = row.y_step;
  const index skipped = row.w_vector - row.rows * row_weights;
  const index second = Second ? runs[1].at - runs->at : 0;
  const ColumnsThere columns(*runs, first), columns_of_second(runs[Second ? 1 : 0], first);
  const bool relu = row.relu;
  const T *w = row.w, *bias = row.bias;
  T* y = row.y + first * y_step;
  index at = first * x_step + (First > 1 ? runs->at : 0), ahead = Ahead ? first * row.ahead_step : 0;
  for (index left = row.channels; left > 0; left -= lanes<T>, at += lanes<T>, y += lanes<T>) {
    if constexpr (Ahead) {
      fetch_ahead<Pixels>(row, ahead);
      ahead += lanes<T>;
    }
    vec sum[Pixels];
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) sum[p] = zero<T>();
    if constexpr (Rows != 0) {
      PCX_UNROLL
      for (int r = 0; r < Rows; ++r, w += First * lanes<T>) {
        if (rows[r]) slide<T, First>(rows[r] + at, x_step, w, columns, sum);
      }
    } else {
      for (const T* const* x = rows; x < rows_end; ++x, w += row_weights) {
        if (!*x) continue;
        if constexpr (First == 1) {
          const T* wi = w;
          for (const TapRun* run = runs; run < runs_end; wi += lanes<T>, ++run) {
            slide<T, 1>(*x + at + run->at, x_step, wi, columns, sum);
          }
        } else if constexpr (First != 0) {
          slide<T, First>(*x + at, x_step, w, columns, sum);
          if constexpr (Second != 0) {
            slide<T, Second>(*x + at + second, x_step, w + First * lanes<T>, columns_of_second, sum);
          }
        } else {
          const T* wi = w;
          for (const TapRun* run = runs; run < runs_end; wi += run->taps * lanes<T>, ++run) {
            slide_over<T>(*run, *x + at, first, x_step, wi, sum);
          }
        }
      }
      w += skipped;
    }
    if (bias) {
      const vec b = load_first(bias, left);
      bias += lanes<T>;
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p) sum[p] = add(sum[p], b);
    }
    if (relu) {
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p) sum[p] = max(zero<T>(), sum[p]);
    }
    T* to = y;
    if (left >= lanes<T>) {
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p, to += y_step) store(to, sum[p]);
    } else {
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p, to += y_step) store_first(to, sum[p], left);
    }
  }
}

template <class T, int Rows, int First, int Second, bool Ahead, int Pixels>
PCX_INLINE void depthwise_tile_of(index pixels, const DepthwiseRow<T>& row, index first) {
  if (pixels == Pixels) return depthwise_tile<T, Rows, First, Second, Ahead, Pixels>(row, first);
  if constexpr (Pixels > 1) depthwise_tile_of<T, Rows, First, Second, Ahead, Pixels - 1>(pixels, row, first);
}

template <class T, int Rows, int First, int Second, bool Ahead = false>
static void depthwise_tiles(const DepthwiseRow<T>& row) {
  if constexpr (fetches_rows && !Ahead) {
    if (row.ahead_count) return depthwise_tiles<T, Rows, First, Second, true>(row);
  }
  constexpr int window = window_pixels<First>;
  const index tiles = (row.pixels + window - 1) / window;
  const index least = row.pixels / tiles, longer = row.pixels % tiles;
  index first = 0;
  for (index t = 0; t < tiles; ++t) {
    const index pixels = least + (t < longer);
    depthwise_tile_of<T, Rows, First, Second, Ahead, window>(pixels, row, first);
    first += pixels;
  }
}

// Rows of other taps than three neighbours are all of one kind: without vectors, and in float64, which is rare.
template <class T>
constexpr bool few_rows = few_kinds || sizeof(T) == 8;

template <class T>
static void depthwise_row(const DepthwiseRow<T>& row) {
  const index first = row.runs->taps, second = row.run_count == 2 ? row.runs[1].taps : 0;
  if (row.taps == row.run_count) return depthwise_tiles<T, 0, 1, 0>(row);  // dilated, or one column of taps
  if (row.run_count > 2 || (few_rows<T> && 8 * first + second != 8 * 3)) return depthwise_tiles<T, 0, 0, 0>(row);
  if constexpr (few_rows<T>) return depthwise_tiles<T, 0, 3, 0>(row);
  switch (8 * first + second) {
    case 8 * 2:
      return depthwise_tiles<T, 0, 2, 0>(row);
    case 8 * 2 + 1:  // 3 taps, stride 2
      return depthwise_tiles<T, 0, 2, 1>(row);
    case 8 * 3:
      if (row.rows == 3 && row.w_vector == 9 * lanes<T>) return depthwise_tiles<T, 3, 3, 0>(row);
      return depthwise_tiles<T, 0, 3, 0>(row);
    case 8 * 3 + 2:  // 5 taps, stride 2
      return depthwise_tiles<T, 0, 3, 2>(row);
    case 8 * 5:
      return depthwise_tiles<T, 0, 5, 0>(row);
    case 8 * 7:
      return depthwise_tiles<T, 0, 7, 0>(row);
    default:
      return depthwise_tiles<T, 0, 0, 0>(row);
  }
}

// One vector of channels that lanes take out of order, which up to four loads have among them: each lane from the load
// that has its channel, zero in the lanes beyond `count`.
template <class T, int Loads>
static void spread_vector(const PixelColumns<T>& part, const T* x, const std::int32_t* from, index count, T* to) {
  using vec = decltype(zero<T>());
  const index span = from[count - 1] - from[0] + 1, x_step = part.x_step, to_step = part.to_step;
  std::int32_t whole[lanes<T>];
  T chosen[Loads][lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) {
    whole[i] = from[i < count ? i : 0];
    for (int l = 0; l < Loads; ++l) chosen[l][i] = i < count && (whole[i] - from[0]) / lanes<T> == l ? T(1) : T(0);
  }
  const auto numbers = lane_numbers<T>(whole);
  for (index p = part.pixels; p > 0; --p, x += x_step, to += to_step) {
    vec v = zero<T>();
    PCX_UNROLL
    for (int l = 0; l < Loads; ++l) {
      const vec channels = l < Loads - 1 ? load(x + l * lanes<T>) : load_first(x + l * lanes<T>, span - l * lanes<T>);
      v = select(beats(load(chosen[l]), zero<T>()), permute(channels, numbers), v);
    }
    store(to, v);
  }
}

// Pixels from which looking for each lane's load pays: of one load, of more.
constexpr index pixels_for_one = 6, pixels_for_more = 16;

// Channels that lanes take out of order: those of a vector mostly lie so close together that a few loads have them all.
template <class T>
static void spread_columns(const PixelColumns<T>& part) {
  const index x_step = part.x_step, to_step = part.to_step;
  T* vector = part.to;
  for (index c = 0; c < part.channels; c += lanes<T>, vector += part.to_vector) {
    const std::int32_t* from = part.from + c;
    const index count = part.channels - c < lanes<T> ? part.channels - c : lanes<T>;
    const index span = from[count - 1] - from[0] + 1;
    const T* x = part.x + from[0];
    T* to = vector;
    if (count == lanes<T> && span <= lanes<T>) {
      const auto numbers = lane_numbers<T>(from);
      for (index p = part.pixels; p > 0; --p, x += x_step, to += to_step) {
        store(to, permute(load_first(x, span), numbers));
      }
    } else if (span <= lanes<T> && part.pixels >= pixels_for_one) {
      spread_vector<T, 1>(part, x, from, count, to);
    } else if (span <= 2 * lanes<T> && part.pixels >= pixels_for_more) {
      spread_vector<T, 2>(part, x, from, count, to);
    } else if (span <= 3 * lanes<T> && part.pixels >= pixels_for_more) {
      spread_vector<T, 3>(part, x, from, count, to);
    } else if (span <= 4 * lanes<T> && part.pixels >= pixels_for_more) {
      spread_vector<T, 4>(part, x, from, count, to);
    } else {
      x = part.x;
      for (index p = part.pixels; p > 0; --p, x += x_step, to += to_step) {
        for (index i = 0; i < lanes<T>; ++i) to[i] = i < count ? x[from[i]] : T(0);
      }
    }
  }
}

template <class T>
PCX_INLINE void copy_vectors(const T* x, T* to, index count, index to_vector) {
  constexpr index step = 4 * lanes<T>;
  const index two = 2 * to_vector, three = 3 * to_vector;
  for (; count >= step; count -= step, x += step, to += two + two) {
    store(to, load(x));
    store(to + to_vector, load(x + lanes<T>));
    store(to + two, load(x + 2 * lanes<T>));
    store(to + three, load(x + 3 * lanes<T>));
  }
  for (; count > 0; count -= lanes<T>, x += lanes<T>, to += to_vector) store(to, load_first(x, count));
}

template <class T>
static void fill_columns(const PixelColumns<T>& part) {
  if (part.from) return spread_columns(part);
  const T* x = part.x;
  T* to = part.to;
  const index channels = part.channels, vector = part.to_vector;
  if (channels == part.x_step && channels == part.to_step && vector == lanes<T>) {
    return copy_vectors(x, to, part.pixels * channels, vector);
  }
  for (index p = part.pixels; p > 0; --p, x += part.x_step, to += part.to_step) copy_vectors(x, to, channels, vector);
}
