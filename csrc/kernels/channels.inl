// Rows of channels: an affine map of each channel, sums over the rows, and the gradient of a normalisation.
// A sum so far lies in memory, in the first-level cache; four rows are added up before they meet it.
template <class T>
static void channel_map(const T* x, const T* scale, const T* shift, T floor, T* y, index rows, index channels) {
  const auto least = set1(floor);
  for (index r = 0; r < rows; ++r, x += channels, y += channels) {
    for (index c = 0; c < channels; c += lanes<T>) {
      const index n = channels - c;
      const auto mapped = fmadd(load_first(x + c, n), load_first(scale + c, n), load_first(shift + c, n));
      store_first(y + c, max(least, mapped), n);
    }
  }
}

template <class T, class Vector>
PCX_INLINE void add_to(T* sum, Vector more, index n) {
  store_first(sum, add(load_first(sum, n), more), n);
}

template <int together, class T>
PCX_INLINE void add_values(const T* x, T* sum, index channels) {
  for (index c = 0; c < channels; c += lanes<T>) {
    const index n = channels - c;
    auto more = load_first(x + c, n);
    for (int row = 1; row < together; ++row) more = add(more, load_first(x + row * channels + c, n));
    add_to(sum + c, more, n);
  }
}

template <class T>
static void channel_sums(const T* x, T* sum, index rows, index channels) {
  for (index c = 0; c < channels; ++c) sum[c] = 0;
  index r = 0;
  for (; r + 4 <= rows; r += 4) add_values<4>(x + r * channels, sum, channels);
  for (; r < rows; ++r) add_values<1>(x + r * channels, sum, channels);
}

template <int together, class T>
PCX_INLINE void add_squares(const T* x, const T* mean, T* sum, index channels) {
  for (index c = 0; c < channels; c += lanes<T>) {
    const index n = channels - c;
    const auto middle = load_first(mean + c, n);
    auto more = zero<T>();
    for (int row = 0; row < together; ++row) {
      const auto away = sub(load_first(x + row * channels + c, n), middle);
      more = fmadd(away, away, more);
    }
    add_to(sum + c, more, n);
  }
}

template <class T>
static void channel_squares(const T* x, const T* mean, T* sum, index rows, index channels) {
  for (index c = 0; c < channels; ++c) sum[c] = 0;
  index r = 0;
  for (; r + 4 <= rows; r += 4) add_squares<4>(x + r * channels, mean, sum, channels);
  for (; r < rows; ++r) add_squares<1>(x + r * channels, mean, sum, channels);
}

// dy, or where a ReLU came after the map only what that let through.
template <bool relu, class T>
PCX_INLINE auto passed_gradient(const ChannelGrad<T>& part, index at, index c, index n) {
  const auto dy = load_first(part.dy + at, n);
  if constexpr (!relu) {
    return dy;
  } else {
    const auto y = fmadd(load_first(part.x + at, n), load_first(part.scale + c, n), load_first(part.shift + c, n));
    return select(beats(y, zero<T>()), dy, zero<T>());
  }
}

template <bool relu, int together, class T>
PCX_INLINE void add_gradients(const ChannelGrad<T>& part, index row, T* total, T* along) {
  for (index c = 0; c < part.channels; c += lanes<T>) {
    const index n = part.channels - c;
    const auto middle = load_first(part.mean + c, n);
    auto sum = zero<T>(), product = zero<T>();
    for (int next = 0; next < together; ++next) {
      const index at = (row + next) * part.channels + c;
      const auto dy = passed_gradient<relu>(part, at, c, n);
      sum = add(sum, dy);
      product = fmadd(dy, sub(load_first(part.x + at, n), middle), product);
    }
    add_to(total + c, sum, n);
    add_to(along + c, product, n);
  }
}

template <bool relu, class T>
PCX_INLINE void sum_gradients(const ChannelGrad<T>& part, T* total, T* along) {
  for (index c = 0; c < part.channels; ++c) total[c] = along[c] = 0;
  index r = 0;
  for (; r + 4 <= part.rows; r += 4) add_gradients<relu, 4>(part, r, total, along);
  for (; r < part.rows; ++r) add_gradients<relu, 1>(part, r, total, along);
}

template <class T>
static void channel_grad_sums(const ChannelGrad<T>& part, T* total, T* along) {
  part.relu ? sum_gradients<true>(part, total, along) : sum_gradients<false>(part, total, along);
}

template <bool relu, class T>
PCX_INLINE void map_gradients(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx) {
  for (index r = 0; r < part.rows; ++r) {
    for (index c = 0; c < part.channels; c += lanes<T>) {
      const index n = part.channels - c, at = r * part.channels + c;
      const auto away = sub(load_first(part.x + at, n), load_first(part.mean + c, n));
      const auto rest = fmadd(away, load_first(slope + c, n), load_first(constant + c, n));
      store_first(dx + at, fmadd(passed_gradient<relu>(part, at, c, n), load_first(part.scale + c, n), rest), n);
    }
  }
}

template <class T>
static void channel_grad(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx) {
  part.relu ? map_gradients<true>(part, slope, constant, dx) : map_gradients<false>(part, slope, constant, dx);
}
