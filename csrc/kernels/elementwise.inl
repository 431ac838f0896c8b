// Sums, ReLU, the bits that remember where it let its input through, and the gradient kept where they are set.
template <class T>
static void add_arrays(const T* a, const T* b, T floor, T* y, index count) {
  const auto least = set1(floor);
  for (index i = 0; i < count; i += lanes<T>) {
    const index n = count - i;
    store_first(y + i, max(least, add(load_first(a + i, n), load_first(b + i, n))), n);
  }
}

template <class T>
static void relu(const T* x, T* y, index count) {
  index i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) store(y + i, max(zero<T>(), load(x + i)));
  if (i < count) store_first(y + i, max(zero<T>(), load_first(x + i, count - i)), count - i);
}

template <class T>
static void relu_passed(const T* y, std::uint8_t* passed, index count) {
  const index bytes = count / 8;
  for (index b = 0; b < bytes; ++b) passed[b] = static_cast<std::uint8_t>(passed8(y + 8 * b));
  if (8 * bytes == count) return;
  unsigned last = 0;
  for (index i = 8 * bytes; i < count; ++i) last |= unsigned(!(y[i] <= 0)) << (i % 8);
  passed[bytes] = static_cast<std::uint8_t>(last);
}

template <class T>
static void keep_passed(const T* dy, const std::uint8_t* passed, T* dx, index count) {
  const index bytes = count / 8;
  for (index b = 0; b < bytes; ++b) keep8(passed[b], dy + 8 * b, dx + 8 * b);
  for (index i = 8 * bytes; i < count; ++i) dx[i] = passed[bytes] >> (i % 8) & 1 ? dy[i] : T(0);
}
