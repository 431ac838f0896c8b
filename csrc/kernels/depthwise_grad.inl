// DepthwiseSum: the products of Rows rows and a run of Taps taps in as many accumulators, over all rows of dy. Of few
// taps the window slides over dy, and a column of x is loaded once: 3 rows and 3 taps take 4 loads for 9 FMAs. Of more
// there is no register for a window: 2 rows and 7 taps take 15 loads for 14.
template <int Taps>
constexpr bool sums_slide = Taps == 2 || Taps == 3;
// Rows at most: their sums, the window or a pixel of dy, and a column fill 16 registers. Where there are no more, the
// lanes of dy take one of them.
constexpr int most_sums = registers > 16 ? 15 : 14;
template <int Taps>
constexpr int sum_rows = Taps == 1   ? few_kinds ? 3 : 8
                         : Taps == 2 ? few_kinds ? 3 : 6
                         : Taps == 3 ? (most_sums - Taps) / Taps
                                     : most_sums / Taps / (few_kinds ? 2 : 1);

// The products of a column: tap i meets dy[i], where First <= i < End.
template <int First, int End, class T, class Vector, int Rows, int Taps>
PCX_INLINE void add_column(const T* const (&x)[Rows], index at, const Vector (&dy)[Taps], Vector (&acc)[Rows][Taps]) {
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    const Vector column = End - First > 1 ? held(load(x[r] + at)) : load(x[r] + at);
    PCX_UNROLL
    for (int i = First; i < End; ++i) acc[r][i] = fmadd(column, dy[i], acc[r][i]);
  }
}

template <class Vector, int Taps>
PCX_INLINE void shift_in(Vector next, Vector (&dy)[Taps]) {
  PCX_UNROLL
  for (int i = Taps - 1; i > 0; --i) dy[i] = dy[i - 1];
  dy[0] = next;
}

// pixels >= Taps. The first columns meet no tap but the first ones, the last columns none but the last: what is not
// there is left out, for zero times infinity would not be zero.
template <class T, class Vector, int Rows, int Taps>
PCX_INLINE void slide_sums(const DepthwiseSum<T>& sum, const T* const (&x)[Rows], const T* dy, index left,
                           Vector (&acc)[Rows][Taps]) {
  static_assert(Taps == 2 || Taps == 3);
  const index dy_step = sum.dy_step;
  Vector window[Taps];
  PCX_UNROLL
  for (int i = 0; i < Taps; ++i) window[i] = load_first(dy, left);
  add_column<0, 1>(x, 0, window, acc);
  index at = lanes<T>;
  dy += dy_step;
  if constexpr (Taps == 3) {
    shift_in(load_first(dy, left), window);
    add_column<0, 2>(x, at, window, acc);
    at += lanes<T>;
    dy += dy_step;
  }
  for (index p = sum.pixels - (Taps - 1); p > 0; --p, dy += dy_step, at += lanes<T>) {
    shift_in(load_first(dy, left), window);
    add_column<0, Taps>(x, at, window, acc);
  }
  shift_in(window[0], window);
  add_column<1, Taps>(x, at, window, acc);
  if constexpr (Taps == 3) {
    shift_in(window[0], window);
    add_column<2, Taps>(x, at + lanes<T>, window, acc);
  }
}

template <class T, class Vector, int Rows, int Taps>
PCX_INLINE void add_sums(const DepthwiseSum<T>& sum, const T* const (&x)[Rows], const T* dy, index left,
                         Vector (&acc)[Rows][Taps]) {
  const index dy_step = sum.dy_step;
  index at = 0;
  for (index p = sum.pixels; p > 0; --p, dy += dy_step, at += lanes<T>) {
    const Vector d = load_first(dy, left);
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      PCX_UNROLL
      for (int i = 0; i < Taps; ++i) acc[r][i] = fmadd(load(x[r] + at + i * lanes<T>), d, acc[r][i]);
    }
  }
}

// Rows `row` of x, those of the first row of dy.
template <class T, int Taps, int Rows>
static void sum_tile(const DepthwiseSum<T>& sum, const index* row, index x_at, const T* dy, T* dw, index left) {
  using vec = decltype(zero<T>());
  vec acc[Rows][Taps];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int i = 0; i < Taps; ++i) acc[r][i] = zero<T>();
  }
  const T* const* rows = sum.x;
  for (index h = sum.high; h > 0; --h, dy += sum.dy_row, rows += sum.rows) {
    const T* x[Rows];
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) x[r] = rows[row[r]] + x_at;
    if constexpr (sums_slide<Taps>) {
      if (sum.pixels >= Taps) {
        slide_sums(sum, x, dy, left, acc);
        continue;
      }
    }
    add_sums(sum, x, dy, left, acc);
  }
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    T* to = dw + row[r] * sum.taps * lanes<T>;
    PCX_UNROLL
    for (int i = 0; i < Taps; ++i, to += lanes<T>) store(to, add(load(to), acc[r][i]));
  }
}

template <class T, int Taps, int Rows>
PCX_INLINE void sum_tile_of(index count, const DepthwiseSum<T>& sum, const index* row, index x_at, const T* dy, T* dw,
                            index left) {
  if (count == Rows) return sum_tile<T, Taps, Rows>(sum, row, x_at, dy, dw, left);
  if constexpr (Rows > 1) sum_tile_of<T, Taps, Rows - 1>(count, sum, row, x_at, dy, dw, left);
}

// All rows for one run of one vector of channels, the null ones left out.
template <class T, int Taps>
static void sum_run(const DepthwiseSum<T>& sum, index x_at, const T* dy, T* dw, index left) {
  constexpr int most = sum_rows<Taps>;
  index row[most], count = 0;
  for (index r = 0; r < sum.rows; ++r) {
    if (sum.x[r]) row[count++] = r;
    if (count == most || (r + 1 == sum.rows && count > 0)) {
      sum_tile_of<T, Taps, most>(count, sum, row, x_at, dy, dw, left);
      count = 0;
    }
  }
}

template <class T>
static void depthwise_sum(const DepthwiseSum<T>& sum) {
  T* dw = sum.dw;
  for (index c = 0; c < sum.channels; c += lanes<T>, dw += (sum.rows - 1) * sum.taps * lanes<T>) {
    const T* dy = sum.dy + c;
    const index left = sum.channels - c;
    for (const TapRun* run = sum.runs; run < sum.runs + sum.run_count; dw += run->taps * lanes<T>, ++run) {
      const index at = c / lanes<T> * sum.x_vector + run->at;
      switch (run->taps) {
        case 1:
          sum_run<T, 1>(sum, at, dy, dw, left);
          break;
        case 2:
          sum_run<T, 2>(sum, at, dy, dw, left);
          break;
        case 3:
          sum_run<T, 3>(sum, at, dy, dw, left);
          break;
        case 4:
          sum_run<T, 4>(sum, at, dy, dw, left);
          break;
        case 5:
          sum_run<T, 5>(sum, at, dy, dw, left);
          break;
        case 6:
          sum_run<T, 6>(sum, at, dy, dw, left);
          break;
        default:
          sum_run<T, 7>(sum, at, dy, dw, left);
      }
    }
  }
}
