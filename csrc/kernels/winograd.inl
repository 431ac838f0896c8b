// TransformPass: Winograd's transforms along one axis, channels in lanes, the matrix of isa/toom_cook.h unrolled. Rows
// (or columns) of opposite points +p, -p differ in the sign of every second entry, so they share two partial sums.
// The sum over i = first, first + step, ... of row[i] in[i]. It begins with an entry of 1, which costs no operation.
template <class T, class Vector, int Size>
PCX_INLINE Vector combine(const double (&row)[Size], const Vector (&in)[Size], int first, int step) {
  Vector sum = zero<T>();
  int begin = -1;
  PCX_UNROLL
  for (int i = 0; i < Size; ++i) {
    if (begin < 0 && i >= first && (i - first) % step == 0 && row[i] == 1) begin = i;
  }
  if (begin >= 0) sum = in[begin];
  PCX_UNROLL
  for (int i = 0; i < Size; ++i) {
    if (i < first || (i - first) % step != 0 || row[i] == 0 || i == begin) continue;
    if (row[i] == 1)
      sum = add(sum, in[i]);
    else if (row[i] == -1)
      sum = sub(sum, in[i]);
    else
      sum = fmadd(set1(T(row[i])), in[i], sum);
  }
  return sum;
}

template <class T, int Tile, int Kernel, class Vector, int Size>
PCX_INLINE void input_transform(const Vector (&in)[Size], Vector (&out)[Size]) {
  constexpr auto& matrix = toom_cook<Tile, Kernel>;
  PCX_UNROLL
  for (int j = 0; j < Size; ++j) {
    if (begins_pair(j, Size)) {
      const Vector same = combine<T>(matrix.input[j], in, Size % 2, 2);
      const Vector turned = combine<T>(matrix.input[j], in, 1 - Size % 2, 2);
      out[j] = add(same, turned);
      out[j + 1] = sub(same, turned);
    } else if (!ends_pair(j, Size)) {
      out[j] = combine<T>(matrix.input[j], in, 0, 1);
    }
  }
}

template <class T, int Tile, int Kernel, class Vector, int Size>
PCX_INLINE void output_transform(const Vector (&in)[Size], Vector (&out)[Tile]) {
  constexpr auto& matrix = toom_cook<Tile, Kernel>;
  Vector both[2][Size];  // of opposite points j and j + 1: their sum and their difference
  PCX_UNROLL
  for (int j = 0; j < Size; ++j) {
    const bool first = begins_pair(j, Size);
    both[0][j] = first ? add(in[j], in[j + 1]) : in[j];
    both[1][j] = first ? sub(in[j], in[j + 1]) : in[j];
  }
  PCX_UNROLL
  for (int i = 0; i < Tile; ++i) {
    double row[Size] = {};
    PCX_UNROLL
    for (int j = 0; j < Size; ++j) row[j] = ends_pair(j, Size) ? 0 : matrix.output[i][j];
    out[i] = combine<T>(row, both[i % 2], 0, 1);
  }
}

// Many lines at a time, more than the first cache can wait for.
template <class T>
PCX_INLINE void prefetch_pixel(const T* p, index channels) {
  for (index k = 0; k < channels; k += 64 / int(sizeof(T))) prefetch_near(p + k);
}

// What a transform uses more than once is loaded once, where there are registers beside the constants of an input's.
template <bool Output, class Vector>
PCX_INLINE Vector kept(Vector v) {
  return Output || registers > 16 ? held(v) : v;
}

template <class T, int Tile, int Kernel, bool Whole>
PCX_INLINE void input_pass(const TransformPass<T>& pass) {
  constexpr int size = Tile + Kernel - 1;
  const TransformPass<T> p = pass;  // a copy, that no store can alias
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      T* to = p.out + r * p.out_outer + c * p.out_inner;
      if (p.ahead) {  // the first Kernel - 1 entries were read before
        PCX_UNROLL
        for (int i = Kernel - 1; i < size; ++i) prefetch_pixel(from + i * p.in_step + p.ahead, p.fetched);
      }
      for (index k = 0; k < p.channels; k += lanes<T>) {
        decltype(zero<T>()) in[size], out[size];
        PCX_UNROLL
        for (int i = 0; i < size; ++i) in[i] = kept<false>(load_part<Whole>(from + i * p.in_step + k, p.channels - k));
        input_transform<T, Tile, Kernel>(in, out);
        PCX_UNROLL
        for (int i = 0; i < size; ++i) store_part<Whole>(to + i * p.out_step + k, out[i], p.channels - k);
      }
    }
  }
}

template <class T, int Tile, int Kernel>
static void winograd_input(const TransformPass<T>& p) {
  if (p.channels % lanes<T> == 0)
    input_pass<T, Tile, Kernel, true>(p);
  else
    input_pass<T, Tile, Kernel, false>(p);
}

static void widen_rows(const WidenedRows& rows) {
  constexpr int parts = lanes<float> / lanes<double>, line = 16;
  for (index r = 0; r < rows.rows; ++r) {
    const float* from = rows.from + r * rows.stride;
    double* to = rows.to + r * rows.width;
    for (index k = 0; k < rows.columns; k += line) prefetch(from + rows.ahead + k);
    prefetch(from + rows.ahead + rows.columns - 1);  // rows need not begin with a line
    for (index k = 0; k < rows.width; k += lanes<float>) {
      decltype(zero<double>()) wide[parts];
      widen(load_first(from + k, rows.columns - k), wide);
      PCX_UNROLL
      for (int v = 0; v < parts; ++v) store(to + k + v * lanes<double>, wide[v]);
    }
  }
}

// Row i of a filter's transform of a line.
template <class T, int Kernel, class Vector>
PCX_INLINE Vector filter_row(const double* matrix, index i, const Vector (&in)[Kernel]) {
  Vector sum = zero<T>();
  PCX_UNROLL
  for (int j = 0; j < Kernel; ++j) sum = fmadd(set1(matrix[i * Kernel + j]), in[j], sum);
  return sum;
}

// A filter's transform in float64 by a matrix that is read as it goes: less code, and a tenth more time.
template <class T, int Kernel>
PCX_APART void filter_by_matrix(const TransformPass<T>& pass, const double* matrix, index size) {
  const TransformPass<T> p = pass;
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      T* to = p.out + r * p.out_outer + c * p.out_inner;
      for (index k = 0; k < p.channels; k += lanes<T>) {
        decltype(zero<T>()) in[Kernel];
        PCX_UNROLL
        for (int i = 0; i < Kernel; ++i) in[i] = load(from + i * p.in_step + k);
        for (index i = 0; i < size; ++i) store(to + i * p.out_step + k, filter_row<T>(matrix, i, in));
      }
    }
  }
}

template <class T, int Kernel>
PCX_APART void filter_by_matrix_rounded(const TransformPass<T>& pass, const double* matrix, index size, float* out) {
  constexpr int parts = lanes<float> / lanes<T>;
  using vec = decltype(zero<T>());
  const TransformPass<T> p = pass;
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      float* to = out + r * p.out_outer + c * p.out_inner;
      for (index k = 0; k < p.channels; k += lanes<float>, from += lanes<float>, to += lanes<float>) {
        vec in[parts][Kernel];
        PCX_UNROLL
        for (int i = 0; i < Kernel; ++i) {
          PCX_UNROLL
          for (int v = 0; v < parts; ++v) in[v][i] = load(from + i * p.in_step + v * lanes<T>);
        }
        for (index i = 0; i < size; ++i) {
          vec sum[parts];
          PCX_UNROLL
          for (int v = 0; v < parts; ++v) sum[v] = filter_row<T>(matrix, i, in[v]);
          store(to + i * p.out_step, rounded(sum));
        }
      }
    }
  }
}

template <class T, int Kernel>
constexpr bool by_matrix = sizeof(T) == 8 && (few_kinds || Kernel > 5);

template <class T, int Tile, int Kernel>
static void winograd_filter(const TransformPass<T>& pass) {
  constexpr bool whole = sizeof(T) == 8;  // in float64 there are whole vectors alone
  constexpr int size = Tile + Kernel - 1;
  if constexpr (by_matrix<T, Kernel>)
    return filter_by_matrix<T, Kernel>(pass, &toom_cook<Tile, Kernel>.filter[0][0], size);
  const TransformPass<T> p = pass;
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      T* to = p.out + r * p.out_outer + c * p.out_inner;
      for (index k = 0; k < p.channels; k += lanes<T>) {
        decltype(zero<T>()) in[Kernel];
        PCX_UNROLL
        for (int i = 0; i < Kernel; ++i) in[i] = load_part<whole>(from + i * p.in_step + k, p.channels - k);
        PCX_UNROLL
        for (int i = 0; i < size; ++i) {
          const auto sum = combine<T>(toom_cook<Tile, Kernel>.filter[i], in, 0, 1);
          store_part<whole>(to + i * p.out_step + k, sum, p.channels - k);
        }
      }
    }
  }
}

// As winograd_filter; two vectors of doubles become one of floats.
template <class T, int Tile, int Kernel>
static void winograd_filter_rounded(const TransformPass<T>& pass, float* out) {
  constexpr int size = Tile + Kernel - 1, parts = lanes<float> / lanes<T>;
  using vec = decltype(zero<T>());
  if constexpr (by_matrix<T, Kernel>)
    return filter_by_matrix_rounded<T, Kernel>(pass, &toom_cook<Tile, Kernel>.filter[0][0], size, out);
  const TransformPass<T> p = pass;
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      float* to = out + r * p.out_outer + c * p.out_inner;
      for (index k = 0; k < p.channels; k += lanes<float>, from += lanes<float>, to += lanes<float>) {
        vec in[parts][Kernel];
        PCX_UNROLL
        for (int i = 0; i < Kernel; ++i) {
          PCX_UNROLL
          for (int v = 0; v < parts; ++v) in[v][i] = load(from + i * p.in_step + v * lanes<T>);
        }
        PCX_UNROLL
        for (int i = 0; i < size; ++i) {
          vec sum[parts];
          PCX_UNROLL
          for (int v = 0; v < parts; ++v) sum[v] = combine<T>(toom_cook<Tile, Kernel>.filter[i], in[v], 0, 1);
          store(to + i * p.out_step, rounded(sum));
        }
      }
    }
  }
}

template <class T, int Tile, int Kernel, bool Last, bool Whole>
PCX_INLINE bool output_pass(const TransformPass<T>& pass) {
  using vec = decltype(zero<T>());
  constexpr int size = Tile + Kernel - 1;
  const TransformPass<T> p = pass;
  vec not_finite = zero<T>();  // becomes NaN with the first sum that is not finite
  for (index r = 0; r < p.outer; ++r) {
    for (index c = 0; c < p.inner; ++c) {
      const T* from = p.in + r * p.in_outer + c * p.in_inner;
      T* to = p.out + r * p.out_outer + c * p.out_inner;
      if (Last && p.ahead) {
        PCX_UNROLL
        for (int i = 0; i < Tile; ++i) prefetch_pixel(to + i * p.out_step + p.ahead, p.fetched);
      }
      for (index k = 0; k < p.channels; k += lanes<T>) {
        vec in[size], out[Tile];
        PCX_UNROLL
        for (int i = 0; i < size; ++i) in[i] = kept<true>(load_part<Whole>(from + i * p.in_step + k, p.channels - k));
        output_transform<T, Tile, Kernel>(in, out);
        PCX_UNROLL
        for (int i = 0; i < Tile; ++i) {
          if constexpr (Last) {
            not_finite = fmadd(out[i], zero<T>(), not_finite);
            if (p.bias) out[i] = add(out[i], load_part<Whole>(p.bias + k, p.channels - k));
            if (p.relu) out[i] = max(zero<T>(), out[i]);
          }
          store_part<Whole>(to + i * p.out_step + k, out[i], p.channels - k);
        }
      }
    }
  }
  if constexpr (!Last) return true;
  T flags[lanes<T>];
  store(flags, not_finite);
  bool finite = true;
  for (int i = 0; i < lanes<T>; ++i) finite = finite && flags[i] == 0;
  return finite;
}

template <class T, int Tile, int Kernel>
static void winograd_output(const TransformPass<T>& p) {
  if (p.channels % lanes<T> == 0)
    output_pass<T, Tile, Kernel, false, true>(p);
  else
    output_pass<T, Tile, Kernel, false, false>(p);
}

template <class T, int Tile, int Kernel>
static bool winograd_last(const TransformPass<T>& p) {
  return p.channels % lanes<T> == 0 ? output_pass<T, Tile, Kernel, true, true>(p)
                                    : output_pass<T, Tile, Kernel, true, false>(p);
}

template <class T, int Tile, int Kernel>
constexpr WinogradAxis<T> winograd_axis() {
  WinogradAxis<T> axis{
      Tile,    Kernel, toom_cook<Tile, Kernel>.amplification, nullptr, winograd_filter<T, Tile, Kernel>, nullptr,
      nullptr, nullptr};
  if constexpr (sizeof(T) == 8) {
    axis.filter_rounded = winograd_filter_rounded<T, Tile, Kernel>;
  } else {
    axis.input = winograd_input<T, Tile, Kernel>;
    axis.output = winograd_output<T, Tile, Kernel>;
    axis.last = winograd_last<T, Tile, Kernel>;
  }
  return axis;
}
