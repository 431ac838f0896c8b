// ShiftAdd: sums of a few cells stay in registers over all terms, so that the terms' offsets are read once for them.
template <class T, int Cells>
static void shift_add_cells(const ShiftAdd<T>& s, const T* p, T* y) {
  using vec = decltype(zero<T>());
  for (index k = 0; k < s.length; k += lanes<T>, p += lanes<T>, y += lanes<T>) {
    vec sum[Cells];
    PCX_UNROLL
    for (int c = 0; c < Cells; ++c) sum[c] = load(y + c * s.y_stride);
    for (index i = 0; i < s.terms; ++i) {
      const T* from = p + s.offsets[i];
      PCX_UNROLL
      for (int c = 0; c < Cells; ++c) sum[c] = add(sum[c], load(from + c * s.p_stride));
    }
    if (k < s.part_length) {
      const T* from = p + s.part_offset;
      PCX_UNROLL
      for (int c = 0; c < Cells; ++c) sum[c] = add(sum[c], load_first(from + c * s.p_stride, s.part_length - k));
    }
    PCX_UNROLL
    for (int c = 0; c < Cells; ++c) store(y + c * s.y_stride, sum[c]);
  }
}

template <class T>
static void shift_add(const ShiftAdd<T>& s) {
  constexpr int most = 4;
  index m = 0;
  for (; m + most <= s.cells; m += most) shift_add_cells<T, most>(s, s.p + m * s.p_stride, s.y + m * s.y_stride);
  for (; m < s.cells; ++m) shift_add_cells<T, 1>(s, s.p + m * s.p_stride, s.y + m * s.y_stride);
}

// Cells of up to three elements: no vector of them is worth its way.
template <class T, int Length>
PCX_INLINE void store_few(const StoreCells<T>& s, const T* p, T* y) {
  T bias[Length];
  PCX_UNROLL
  for (int k = 0; k < Length; ++k) bias[k] = s.bias[k];
  for (index m = s.cells; m > 0; --m, p += s.p_stride, y += s.y_stride) {
    PCX_UNROLL
    for (int k = 0; k < Length; ++k) {
      const T v = p[k] + bias[k];
      y[k] = s.relu && v < 0 ? T(0) : v;
    }
  }
}

// Cells of one element each, which stand one after the other here and there.
template <class T>
PCX_INLINE void store_plane(const StoreCells<T>& s, const T* p, T* y) {
  const auto bias = set1(*s.bias);
  for (index m = 0; m < s.cells; m += lanes<T>) {
    const index left = s.cells - m;
    auto v = add(left >= lanes<T> ? load(p + m) : load_first(p + m, left), bias);
    if (s.relu) v = max(zero<T>(), v);
    left >= lanes<T> ? store(y + m, v) : store_first(y + m, v, left);
  }
}

// Where cells stand one after the other in y, whole vectors are stored as long as they end before the last cell does:
// what is too much is what the next cell writes again.
template <class T>
PCX_INLINE void store_row(const StoreCells<T>& s, const T* p, T* y) {
  if (s.length == 1) return s.p_stride == 1 && s.y_stride == 1 ? store_plane(s, p, y) : store_few<T, 1>(s, p, y);
  if (s.length == 2) return store_few<T, 2>(s, p, y);
  if (s.length == 3 && s.y_stride != 3) return store_few<T, 3>(s, p, y);
  index m = s.cells;
  if (s.length <= lanes<T> && s.y_stride == s.length && !s.relu) {  // gradients of few channels: a vector a cell
    const auto bias = load(s.bias);
    for (; m * s.length >= lanes<T>; --m, p += s.p_stride, y += s.length) store(y, add(load(p), bias));
  }
  for (; m > 0; --m, p += s.p_stride, y += s.y_stride) {
    const index room = s.y_stride == s.length ? m * s.length : s.length;
    for (index k = 0; k < s.length; k += lanes<T>) {
      auto v = add(load(p + k), load(s.bias + k));
      if (s.relu) v = max(zero<T>(), v);
      if (room - k >= lanes<T>)
        store(y + k, v);
      else
        store_first(y + k, v, s.length - k);
    }
  }
}

template <class T>
static void store_cells(const StoreCells<T>& s) {
  for (index r = 0; r < s.rows; ++r) store_row(s, s.p + r * s.p_row, s.y + r * s.y_row);
}
