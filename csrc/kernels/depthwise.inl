// DepthwiseRow: a register window slides over a row. Channels lie in lanes; each column of x is loaded once for a run
// of neighbouring taps, whose weights stay in registers: 7 pixels and 3 taps take 12 loads for 21 FMAs.
constexpr int window_pixels = registers == 32 ? 14 : 7;

template <class T, int Taps, int Pixels, class Vector>
PCX_INLINE void slide(const T* x, const T* w, Vector (&sum)[Pixels]) {
  Vector wi[Taps];
  PCX_UNROLL
  for (int i = 0; i < Taps; ++i) wi[i] = load(w + i * lanes<T>);
  PCX_UNROLL
  for (int q = 0; q < Pixels + Taps - 1; ++q) {
    const Vector column = load(x + q * lanes<T>);
    PCX_UNROLL
    for (int i = 0; i < Taps; ++i) {
      if (q - i >= 0 && q - i < Pixels) sum[q - i] = fmadd(column, wi[i], sum[q - i]);
    }
  }
}

template <class T, int Pixels, class Vector>
PCX_INLINE void slide_over(const TapRun& run, const T* x, const T* w, Vector (&sum)[Pixels]) {
  x += run.column * lanes<T>;
  switch (run.taps) {
    case 1:
      return slide<T, 1>(x, w, sum);
    case 2:
      return slide<T, 2>(x, w, sum);
    case 3:
      return slide<T, 3>(x, w, sum);
    case 4:
      return slide<T, 4>(x, w, sum);
    case 5:
      return slide<T, 5>(x, w, sum);
    case 6:
      return slide<T, 6>(x, w, sum);
    default:
      return slide<T, 7>(x, w, sum);
  }
}

// Pixels [first, first + pixels), pixels <= Pixels: sums past the last one are computed and not stored.
template <class T, int Pixels>
static void depthwise_tile(const DepthwiseRow<T>& row, index first, index pixels) {
  using vec = decltype(zero<T>());
  const TapRun *const runs = row.runs, *const runs_end = row.runs + row.run_count;
  const T *const *const rows = row.x, *const *const rows_end = row.x + row.rows;
  const index row_weights = row.taps * lanes<T>, vector = row.columns * lanes<T>, y_step = row.y_step;
  const bool relu = row.relu;
  const T *w = row.w, *bias = row.bias;
  T* y = row.y + first * y_step;
  index at = first * lanes<T>;
  for (index left = row.channels; left > 0; left -= lanes<T>, at += vector, y += lanes<T>) {
    vec sum[Pixels];
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) sum[p] = zero<T>();
    for (const T* const* x = rows; x < rows_end; ++x, w += row_weights) {
      const T* wi = w;
      if (!*x) continue;
      for (const TapRun* run = runs; run < runs_end; wi += run->taps * lanes<T>, ++run) {
        slide_over<T, Pixels>(*run, *x + at, wi, sum);
      }
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
    if (pixels >= Pixels && left >= lanes<T>) {
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p, to += y_step) store(to, sum[p]);
      continue;
    }
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p, to += y_step) {
      if (p < pixels) store_first(to, sum[p], left);
    }
  }
}

template <class T>
static void depthwise_row(const DepthwiseRow<T>& row) {
  constexpr int whole = window_pixels, half = (whole + 1) / 2, few = (half + 1) / 2;
  for (index p = 0; p < row.pixels; p += whole) {
    const index left = row.pixels - p;
    if (left > half)
      depthwise_tile<T, whole>(row, p, left);
    else if (left > few)
      depthwise_tile<T, half>(row, p, left);
    else
      depthwise_tile<T, few>(row, p, left);
  }
}

// Channels that lanes take out of order: those of a vector mostly lie so close together that one load has them all.
template <class T>
static void spread_columns(const PixelColumns<T>& part) {
  const index x_step = part.x_step;
  T* to = part.to;
  for (index c = 0; c < part.channels; c += lanes<T>, to += part.columns * lanes<T>) {
    const std::int32_t* from = part.from + c;
    const index count = part.channels - c < lanes<T> ? part.channels - c : lanes<T>;
    const index span = from[count - 1] - from[0] + 1;
    if (count == lanes<T> && span <= lanes<T>) {
      const auto numbers = lane_numbers<T>(from);
      const T* x = part.x + from[0];
      for (index p = 0; p < part.pixels; ++p, x += x_step) {
        store(to + p * lanes<T>, permute(load_first(x, span), numbers));
      }
      continue;
    }
    const T* x = part.x;
    for (index p = 0; p < part.pixels; ++p, x += x_step) {
      for (index i = 0; i < lanes<T>; ++i) to[p * lanes<T> + i] = i < count ? x[from[i]] : T(0);
    }
  }
}

template <class T>
static void fill_columns(const PixelColumns<T>& part) {
  if (part.from) return spread_columns(part);
  constexpr index line = 64 / sizeof(T);
  const index channels = part.channels, vector = part.columns * lanes<T>, ahead = part.ahead;
  const index whole = channels / lanes<T> * lanes<T>;
  const T* x = part.x;
  T* pixel = part.to;
  for (index p = part.pixels; p > 0; --p, x += part.x_step, pixel += lanes<T>) {
    T* to = pixel;
    for (index c = 0; c < channels; c += line) prefetch(x + ahead + c);
    for (index c = 0; c < whole; c += lanes<T>, to += vector) store(to, load(x + c));
    if (whole < channels) store(to, load_first(x + whole, channels - whole));
  }
}
