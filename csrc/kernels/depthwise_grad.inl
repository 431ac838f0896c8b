// DepthwiseSum: the products of Rows rows and a run of Taps taps in as many accumulators; dy is loaded once for them.
template <class T>
struct SumRows {
  const T* x[6];
  T* dw[6];
};

template <class T, int Taps, int Rows>
static void sum_tile(const DepthwiseSum<T>& sum, const SumRows<T>& rows, const T* dy, index left) {
  using vec = decltype(zero<T>());
  vec acc[Rows][Taps];
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int i = 0; i < Taps; ++i) acc[r][i] = zero<T>();
  }
  index at = 0;
  for (index p = sum.pixels; p > 0; --p, dy += sum.dy_step, at += lanes<T>) {
    const vec d = load_first(dy, left);
    PCX_UNROLL
    for (int r = 0; r < Rows; ++r) {
      PCX_UNROLL
      for (int i = 0; i < Taps; ++i) acc[r][i] = fmadd(load(rows.x[r] + at + i * lanes<T>), d, acc[r][i]);
    }
  }
  PCX_UNROLL
  for (int r = 0; r < Rows; ++r) {
    PCX_UNROLL
    for (int i = 0; i < Taps; ++i) {
      T* to = rows.dw[r] + i * lanes<T>;
      store(to, add(load(to), acc[r][i]));
    }
  }
}

template <class T, int Taps, int Rows>
PCX_INLINE void sum_tile_of(index count, const DepthwiseSum<T>& sum, const SumRows<T>& rows, const T* dy, index left) {
  if (count == Rows) return sum_tile<T, Taps, Rows>(sum, rows, dy, left);
  if constexpr (Rows > 1) sum_tile_of<T, Taps, Rows - 1>(count, sum, rows, dy, left);
}

// All rows for one run of one vector of channels, the null ones left out.
template <class T, int Taps>
static void sum_run(const DepthwiseSum<T>& sum, index x_at, const T* dy, T* dw, index left) {
  constexpr int most = Taps == 1 ? 6 : 12 / Taps;
  SumRows<T> rows;
  index count = 0;
  for (index r = 0; r < sum.rows; ++r, dw += sum.taps * lanes<T>) {
    if (sum.x[r]) {
      rows.x[count] = sum.x[r] + x_at;
      rows.dw[count++] = dw;
    }
    if (count == most || (r + 1 == sum.rows && count > 0)) {
      sum_tile_of<T, Taps, most>(count, sum, rows, dy, left);
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
      const index at = c * sum.columns + run->column * lanes<T>;
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
