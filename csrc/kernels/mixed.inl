// MixedRow: neighbouring outputs lie in lanes, whatever their pixels and channels. What a vector of them reads lies in
// one, two or four vectors of x: the first input of each is dealt out from there, then the second.

// Periods under way together: each waits for its own sums.
constexpr int mixed_periods = registers > 16 ? 4 : 2;

template <class Vector, class Numbers>
PCX_INLINE Vector deal(const Vector (&x)[1], Numbers numbers) {
  return permute(x[0], numbers);
}
template <class Vector, class Numbers>
PCX_INLINE Vector deal(const Vector (&x)[2], Numbers numbers) {
  return permute(x[0], x[1], numbers);
}
template <class Vector, class Numbers>
PCX_INLINE Vector deal(const Vector (&x)[4], Numbers numbers) {
  return permute(x[0], x[1], x[2], x[3], numbers);
}

// The loads of x that are whole, and the others' lanes that are there.
template <class T, int Loads>
struct MixedLoads {
  static constexpr int whole = Loads / 2;
  decltype(first_lanes<T>(0)) part[Loads - whole];
};

// The vector of outputs from `first` on, of some periods.
template <class T, int Loads, int Periods, class Numbers>
PCX_INLINE void mixed_tile(const MixedRow<T>& row, index first, const T* x, Numbers numbers,
                           const MixedLoads<T, Loads>& loads, T* y) {
  using vec = decltype(zero<T>());
  constexpr int whole = MixedLoads<T, Loads>::whole;
  vec seen[Periods][Loads], sum[Periods];
  PCX_UNROLL
  for (int p = 0; p < Periods; ++p) {
    const T* const from = x + p * row.x_step;
    PCX_UNROLL
    for (int l = 0; l < whole; ++l) seen[p][l] = load(from + l * lanes<T>);
    PCX_UNROLL
    for (int l = whole; l < Loads; ++l) seen[p][l] = load_lanes(from + l * lanes<T>, loads.part[l - whole]);
    sum[p] = zero<T>();
  }
  const T* w = row.w + first * row.terms;
  for (index j = row.terms; j > 0; --j, w += lanes<T>) {
    const vec wj = held(load(w));
    PCX_UNROLL
    for (int p = 0; p < Periods; ++p) sum[p] = fmadd(deal(seen[p], numbers), wj, sum[p]);
    numbers = following<T>(numbers);
  }
  const index count = row.outputs - first;
  if (row.bias) {
    const vec bias = load_first(row.bias + first, count);
    PCX_UNROLL
    for (int p = 0; p < Periods; ++p) sum[p] = add(sum[p], bias);
  }
  PCX_UNROLL
  for (int p = 0; p < Periods; ++p) {
    if (row.relu) sum[p] = max(zero<T>(), sum[p]);
    T* const to = y + p * row.outputs;
    count < lanes<T> ? store_first(to, sum[p], count) : store(to, sum[p]);
  }
}

template <class T, int Loads>
static void mixed_vector(const MixedRow<T>& row, index first, index span) {
  std::int32_t from[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) from[i] = row.from[first + (first + i < row.outputs ? i : 0)];
  const auto numbers = lane_numbers<T, Loads>(from);
  MixedLoads<T, Loads> loads;
  for (int l = loads.whole; l < Loads; ++l) loads.part[l - loads.whole] = first_lanes<T>(span - l * lanes<T>);
  const T* x = row.x + from[0];
  T* y = row.y + first;
  index left = row.periods;
  for (; left >= mixed_periods; left -= mixed_periods) {
    mixed_tile<T, Loads, mixed_periods>(row, first, x, numbers, loads, y);
    x += mixed_periods * row.x_step;
    y += mixed_periods * row.outputs;
  }
  for (; left > 0; --left, x += row.x_step, y += row.outputs) {
    mixed_tile<T, Loads, 1>(row, first, x, numbers, loads, y);
  }
}

template <class T>
static void mixed_row(const MixedRow<T>& row) {
  for (index first = 0; first < row.outputs; first += lanes<T>) {
    const index end = first + lanes<T> < row.outputs ? first + lanes<T> : row.outputs;
    const index span = row.from[end - 1] - row.from[first] + row.terms;
    if (span <= lanes<T>)
      mixed_vector<T, 1>(row, first, span);
    else if (span <= 2 * lanes<T>)
      mixed_vector<T, 2>(row, first, span);
    else
      mixed_vector<T, 4>(row, first, span);
  }
}
