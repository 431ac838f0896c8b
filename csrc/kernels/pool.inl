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

// Taps: their number where it is known to the compiler, else 0. IndexBytes: 0 where no index is wanted.
template <class T, int IndexBytes, int Taps, bool Whole>
PCX_INLINE void max_of_window(const PoolRow<T>& row, const T* x, index at, index n) {
  auto best = load_part<Whole>(x + row.offsets[0], n);
  auto position = bits_of<T>(IndexBytes ? row.positions[0] : 0);
  const index taps = Taps ? Taps : row.taps;
  for (index i = 1; i < taps; ++i) {
    const auto value = load_part<Whole>(x + row.offsets[i], n);
    const auto better = beats(value, best);
    best = select(better, value, best);
    if constexpr (IndexBytes != 0) position = select(better, bits_of<T>(row.positions[i]), position);
  }
  store_part<Whole>(row.y + at, best, n);
  if constexpr (IndexBytes != 0) {
    store_bits(static_cast<typename IndexOf<IndexBytes>::type*>(row.indices) + at, position, Whole ? lanes<T> : n);
  }
}

template <class T, int IndexBytes, int Taps>
static void max_of_windows(const PoolRow<T>& row) {
  const index whole = row.channels / lanes<T> * lanes<T>;
  for (index p = 0; p < row.windows; ++p) {
    const T* x = row.x + p * row.x_step;
    const index y = p * row.y_step;
    for (index c = 0; c < whole; c += lanes<T>) max_of_window<T, IndexBytes, Taps, true>(row, x + c, y + c, lanes<T>);
    if (whole < row.channels) {
      max_of_window<T, IndexBytes, Taps, false>(row, x + whole, y + whole, row.channels - whole);
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
PCX_INLINE void mean_of_window(const PoolRow<T>& row, const T* x, T* y, index n) {
  auto sum = load_part<Whole>(x + row.offsets[0], n);
  const index taps = Taps ? Taps : row.taps;
  for (index i = 1; i < taps; ++i) sum = add(sum, load_part<Whole>(x + row.offsets[i], n));
  store_part<Whole>(y, divide(sum, set1(row.divisor)), n);
}

template <class T, int Taps>
static void mean_of_windows(const PoolRow<T>& row) {
  const index whole = row.channels / lanes<T> * lanes<T>;
  for (index p = 0; p < row.windows; ++p) {
    const T* x = row.x + p * row.x_step;
    T* y = row.y + p * row.y_step;
    for (index c = 0; c < whole; c += lanes<T>) mean_of_window<T, Taps, true>(row, x + c, y + c, lanes<T>);
    if (whole < row.channels) mean_of_window<T, Taps, false>(row, x + whole, y + whole, row.channels - whole);
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
