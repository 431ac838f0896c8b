// Pooling and its gradients: channels in lanes, whole vectors first, then a masked one. The position of a maximum
// travels as bits in a lane of T, so that one comparison chooses both.
template <int Bytes>
struct IndexOf;
template <>
struct IndexOf<1> {
  using type = std::uint8_t;
};
template <>
struct IndexOf<2> {
  using type = std::uint16_t;
};
template <>
struct IndexOf<4> {
  using type = std::uint32_t;
};

// The taps of a row. Where their number is known they are kept in registers: stores of vectors may change anything, as
// far as the compiler knows, and the lists would be read again after each. That took three times as long.
template <class T, int Taps>
struct TapList {
  index offsets[Taps];
  decltype(zero<T>()) positions[Taps];

  template <class Row>
  explicit TapList(const Row& row) {
    for (int i = 0; i < Taps; ++i) {
      offsets[i] = row.offsets[i];
      positions[i] = bits_of<T>(row.index_bytes ? row.positions[i] : 0);
    }
  }
  index offset(index i) const { return offsets[i]; }
  auto position(index i) const { return positions[i]; }
};
template <class T>
struct TapList<T, 0> {
  const index* offsets;
  const std::uint32_t* positions;

  template <class Row>
  explicit TapList(const Row& row) : offsets(row.offsets), positions(row.positions) {}
  index offset(index i) const { return offsets[i]; }
  auto position(index i) const { return bits_of<T>(positions[i]); }
};

// Taps: their number where it is known to the compiler, else 0. IndexBytes: 0 where no index is wanted.
template <class T, int IndexBytes, int Taps, bool Whole>
PCX_INLINE void max_of_window(const PoolRow<T>& row, const TapList<T, Taps>& tap, const T* x, index at, index n) {
  auto best = load_part<Whole>(x + tap.offset(0), n);
  auto position = IndexBytes ? tap.position(0) : zero<T>();
  const index taps = Taps ? Taps : row.taps;
  for (index i = 1; i < taps; ++i) {
    const auto value = load_part<Whole>(x + tap.offset(i), n);
    if constexpr (IndexBytes == 0) {
      best = larger(value, best);
    } else {
      const auto better = beats(value, best);
      best = select(better, value, best);
      position = select(better, tap.position(i), position);
    }
  }
  store_part<Whole>(row.y + at, best, n);
  if constexpr (IndexBytes != 0) {
    store_bits(static_cast<typename IndexOf<IndexBytes>::type*>(row.indices) + at, position, Whole ? lanes<T> : n);
  }
}

template <class T, int IndexBytes, int Taps>
static void max_of_windows(const PoolRow<T>& row) {
  const index channels = row.channels, whole = channels / lanes<T> * lanes<T>;
  const index x_step = row.x_step, y_step = row.y_step;
  const TapList<T, Taps> taps(row);
  const T* x = row.x;
  index y = 0;
  for (index p = row.windows; p > 0; --p, x += x_step, y += y_step) {
    for (index c = 0; c < whole; c += lanes<T>) {
      max_of_window<T, IndexBytes, Taps, true>(row, taps, x + c, y + c, lanes<T>);
    }
    if (whole < channels) {
      max_of_window<T, IndexBytes, Taps, false>(row, taps, x + whole, y + whole, channels - whole);
    }
  }
}

template <class T, int Taps>
static void max_pool_taps(const PoolRow<T>& row) {
  switch (row.index_bytes) {
    case 0:
      return max_of_windows<T, 0, Taps>(row);
    case 1:
      return max_of_windows<T, 1, Taps>(row);
    case 2:
      return max_of_windows<T, 2, 0>(row);  // large windows: their number of taps is never known
    default:
      return max_of_windows<T, 4, 0>(row);
  }
}

template <class T>
static void max_pool(const PoolRow<T>& row) {
  if (row.taps == 4)  // 2 x 2
    max_pool_taps<T, 4>(row);
  else
    max_pool_taps<T, 0>(row);
}

template <class T, int Taps, bool Whole>
PCX_INLINE void mean_of_window(const PoolRow<T>& row, const TapList<T, Taps>& tap, const T* x, T* y, index n) {
  auto sum = load_part<Whole>(x + tap.offset(0), n);
  const index taps = Taps ? Taps : row.taps;
  for (index i = 1; i < taps; ++i) sum = add(sum, load_part<Whole>(x + tap.offset(i), n));
  store_part<Whole>(y, divide(sum, set1(row.divisor)), n);
}

template <class T, int Taps>
static void mean_of_windows(const PoolRow<T>& row) {
  const index channels = row.channels, whole = channels / lanes<T> * lanes<T>;
  const index x_step = row.x_step, y_step = row.y_step;
  const TapList<T, Taps> taps(row);
  const T* x = row.x;
  T* y = row.y;
  for (index p = row.windows; p > 0; --p, x += x_step, y += y_step) {
    for (index c = 0; c < whole; c += lanes<T>) {
      mean_of_window<T, Taps, true>(row, taps, x + c, y + c, lanes<T>);
    }
    if (whole < channels) mean_of_window<T, Taps, false>(row, taps, x + whole, y + whole, channels - whole);
  }
}

template <class T>
static void avg_pool(const PoolRow<T>& row) {
  if (row.taps == 4)
    mean_of_windows<T, 4>(row);
  else
    mean_of_windows<T, 0>(row);
}

template <class T, int IndexBytes, int Taps, bool Whole>
PCX_INLINE void max_grad_of_pixel(const PoolGradRow<T>& row, index at, T* dx, index n) {
  const auto* indices = static_cast<const typename IndexOf<IndexBytes>::type*>(row.indices);
  auto sum = zero<T>();
  const index taps = Taps ? Taps : row.taps;
  for (index i = 0; i < taps; ++i) {
    const index from = at + row.offsets[i];
    const auto chosen = load_bits<T>(indices + from, Whole ? lanes<T> : n);
    sum = add(sum, keep_equal(chosen, bits_of<T>(row.positions[i]), load_part<Whole>(row.dy + from, n)));
  }
  store_part<Whole>(dx, sum, n);
}

template <class T, int IndexBytes, int Taps>
static void max_grad_of_pixels(const PoolGradRow<T>& row) {
  const index whole = row.channels / lanes<T> * lanes<T>;
  for (index p = 0; p < row.pixels; ++p) {
    const index at = p * row.dy_step;
    T* dx = row.dx + p * row.dx_step;
    for (index c = 0; c < whole; c += lanes<T>) {
      max_grad_of_pixel<T, IndexBytes, Taps, true>(row, at + c, dx + c, lanes<T>);
    }
    if (whole < row.channels) {
      max_grad_of_pixel<T, IndexBytes, Taps, false>(row, at + whole, dx + whole, row.channels - whole);
    }
  }
}

template <class T>
static void max_pool_grad(const PoolGradRow<T>& row) {
  switch (row.index_bytes) {
    case 1:
      if (row.taps == 1) return max_grad_of_pixels<T, 1, 1>(row);  // windows that do not overlap
      return max_grad_of_pixels<T, 1, 0>(row);
    case 2:
      return max_grad_of_pixels<T, 2, 0>(row);
    default:
      return max_grad_of_pixels<T, 4, 0>(row);
  }
}

template <class T, bool Whole>
PCX_INLINE void mean_grad_of_pixel(const PoolGradRow<T>& row, const T* dy, T* dx, index n) {
  auto sum = zero<T>();
  for (index i = 0; i < row.taps; ++i) {
    sum = fmadd(load_part<Whole>(dy + row.offsets[i], n), set1(row.scales[i]), sum);
  }
  store_part<Whole>(dx, sum, n);
}

template <class T>
static void avg_pool_grad(const PoolGradRow<T>& row) {
  const index whole = row.channels / lanes<T> * lanes<T>;
  for (index p = 0; p < row.pixels; ++p) {
    const T* dy = row.dy + p * row.dy_step;
    T* dx = row.dx + p * row.dx_step;
    for (index c = 0; c < whole; c += lanes<T>) mean_grad_of_pixel<T, true>(row, dy + c, dx + c, lanes<T>);
    if (whole < row.channels) mean_grad_of_pixel<T, false>(row, dy + whole, dx + whole, row.channels - whole);
  }
}

// Windows that do not overlap: a window's gradient is loaded once for all its pixels.
template <class T, int IndexBytes, int Taps, bool Whole>
PCX_INLINE void spread_window(const PoolSpread<T>& row, const TapList<T, Taps>& tap, index at, T* dx, index n) {
  const auto dy = load_part<Whole>(row.dy + at, n);
  const index taps = Taps ? Taps : row.taps;
  if constexpr (IndexBytes != 0) {
    const auto* indices = static_cast<const typename IndexOf<IndexBytes>::type*>(row.indices);
    const auto chosen = load_bits<T>(indices + at, Whole ? lanes<T> : n);
    for (index i = 0; i < taps; ++i) {
      store_part<Whole>(dx + tap.offset(i), keep_equal(chosen, tap.position(i), dy), n);
    }
  } else {
    const auto share = fmadd(dy, set1(row.scale), zero<T>());
    for (index i = 0; i < taps; ++i) store_part<Whole>(dx + tap.offset(i), share, n);
  }
}

template <class T, int IndexBytes, int Taps>
static void spread_windows(const PoolSpread<T>& row) {
  const index channels = row.channels, whole = channels / lanes<T> * lanes<T>;
  const index dy_step = row.dy_step, dx_step = row.dx_step;
  const TapList<T, Taps> taps(row);
  index at = 0;
  T* dx = row.dx;
  for (index p = row.windows; p > 0; --p, at += dy_step, dx += dx_step) {
    for (index c = 0; c < whole; c += lanes<T>) {
      spread_window<T, IndexBytes, Taps, true>(row, taps, at + c, dx + c, lanes<T>);
    }
    if (whole < channels) {
      spread_window<T, IndexBytes, Taps, false>(row, taps, at + whole, dx + whole, channels - whole);
    }
  }
}

template <class T>
static void pool_spread(const PoolSpread<T>& row) {
  const bool four = row.taps == 4;  // 2 x 2
  switch (row.index_bytes) {
    case 0:
      return four ? spread_windows<T, 0, 4>(row) : spread_windows<T, 0, 0>(row);
    case 1:
      return four ? spread_windows<T, 1, 4>(row) : spread_windows<T, 1, 0>(row);
    case 2:
      return spread_windows<T, 2, 0>(row);
    default:
      return spread_windows<T, 4, 0>(row);
  }
}
