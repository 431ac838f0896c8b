// DepthwiseRow: a register window slides over a row. Channels lie in lanes; each column of x is loaded once for a run of
// neighbouring taps, whose weights stay in registers: 7 pixels and 3 taps take 12 loads for 21 FMAs.
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
  const T* w = row.w;
  T* y = row.y + first * row.y_step;
  index at = first * lanes<T>;
  for (index c = 0; c < row.channels; c += lanes<T>, at += row.columns * lanes<T>) {
    vec sum[Pixels];
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p) sum[p] = zero<T>();
    for (index r = 0; r < row.rows; ++r) {
      const T* x = row.x[r];
      if (!x) {
        w += row.taps * lanes<T>;
        continue;
      }
      for (const TapRun* run = row.runs; run < row.runs + row.run_count; ++run) {
        slide_over<T, Pixels>(*run, x + at, w, sum);
        w += run->taps * lanes<T>;
      }
    }
    const index left = row.channels - c;
    if (row.bias) {
      const vec bias = load_first(row.bias + c, left);
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p) sum[p] = add(sum[p], bias);
    }
    if (row.relu) {
      PCX_UNROLL
      for (int p = 0; p < Pixels; ++p) sum[p] = max(zero<T>(), sum[p]);
    }
    T* to = y + c;
    PCX_UNROLL
    for (int p = 0; p < Pixels; ++p, to += row.y_step) {
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

// Pixels of x into columns of vectors.
template <class T>
static void fill_columns(const PixelColumns<T>& part) {
  const T* x = part.x;
  constexpr index line = 64 / sizeof(T);
  for (index p = 0; p < part.pixels; ++p, x += part.x_step) {
    T* to = part.to + p * lanes<T>;
    if (part.from) {
      for (index c = 0; c < part.channels; c += lanes<T>, to += part.columns * lanes<T>) {
        for (index i = 0; i < lanes<T>; ++i) to[i] = c + i < part.channels ? x[part.from[c + i]] : T(0);
      }
      continue;
    }
    for (index c = 0; c < part.channels; c += line) prefetch(x + part.ahead + c);
    for (index c = 0; c < part.channels; c += lanes<T>, to += part.columns * lanes<T>) {
      store(to, load_first(x + c, part.channels - c));
    }
  }
}
