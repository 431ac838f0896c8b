// LaneSum: as pixel_sum, but channels of x lie in lanes, read as vectors wherever they stand, and those of dy, which
// are few, are broadcast.

// Channels of dy and vectors of x whose sums are under way together, beside the vectors themselves and one of dy. A
// pointer for each vector and what counts pixels are what the general registers hold.
constexpr int lane_channels = 4, lane_pointers = 8;
template <int Channels>
constexpr int lane_vectors =
    (registers - 2) / (Channels + 1) < lane_pointers ? (registers - 2) / (Channels + 1) : lane_pointers;

// Few sums wait for themselves: then so many pixels that follow each other have sums of their own, if registers allow.
template <int Sums, int Others>
constexpr int pixels_apart = Sums < 4 && 4 * Sums + Others <= registers   ? 4
                             : Sums < 8 && 2 * Sums + Others <= registers ? 2
                                                                          : 1;

template <int Apart, int Channels, int Vectors, class Vector>
PCX_INLINE void begin_apart(Vector (&acc)[Apart][Channels][Vectors], Vector nothing) {
  PCX_UNROLL
  for (int a = 0; a < Apart; ++a) {
    PCX_UNROLL
    for (int c = 0; c < Channels; ++c) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) acc[a][c][v] = nothing;
    }
  }
}

template <int Apart, int Channels, int Vectors, class Vector>
PCX_INLINE void join_apart(Vector (&acc)[Apart][Channels][Vectors]) {
  PCX_UNROLL
  for (int a = 1; a < Apart; ++a) {
    PCX_UNROLL
    for (int c = 0; c < Channels; ++c) {
      PCX_UNROLL
      for (int v = 0; v < Vectors; ++v) acc[0][c][v] = add(acc[0][c][v], acc[a][c][v]);
    }
  }
}

template <class T, class Vector, int Channels, int Vectors>
PCX_INLINE void lane_sum_step(const T* const (&each)[Vectors], index p, const T* d, Vector (&acc)[Channels][Vectors]) {
  Vector x[Vectors];
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) x[v] = Channels > 1 ? held(load(each[v] + p)) : load(each[v] + p);
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) {
    const Vector dc = Vectors > 1 ? held(set1(d[c])) : set1(d[c]);
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) acc[c][v] = fmadd(x[v], dc, acc[c][v]);
  }
}

template <class T, int Channels, int Vectors>
static void lane_sum_tile(const LaneSum<T>& sum, const T* dy, const index* at, T* to) {
  using vec = decltype(zero<T>());
  constexpr int apart = pixels_apart<Channels * Vectors, Vectors + 1>;
  vec acc[apart][Channels][Vectors];
  begin_apart(acc, zero<T>());
  const T* each[Vectors];
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) each[v] = sum.x + at[v];
  const index x_pixel = sum.x_pixel, dy_pixel = sum.dy_pixel;
  for (index r = 0; r < sum.rows; ++r) {
    index p = sum.x_rows[r];
    const T* d = dy + sum.dy_rows[r];
    index i = sum.cols;
    if constexpr (apart > 1) {
      for (; i >= apart; i -= apart) {
        PCX_UNROLL
        for (int a = 0; a < apart; ++a, p += x_pixel, d += dy_pixel) lane_sum_step(each, p, d, acc[a]);
      }
    }
    for (; i > 0; --i, p += x_pixel, d += dy_pixel) lane_sum_step(each, p, d, acc[0]);
  }
  join_apart(acc);
  PCX_UNROLL
  for (int c = 0; c < Channels; ++c) {
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      T* const s = to + (c * sum.vectors + v) * lanes<T>;
      store(s, sum.overwrite ? acc[0][c][v] : add(load(s), acc[0][c][v]));
    }
  }
}

// A tile of some channels from `channel` on and some vectors from `vector` on.
template <class T, int Channels, int Vectors>
PCX_INLINE void lane_sum_vectors(const LaneSum<T>& sum, index channel, index vector, index vectors) {
  if constexpr (Vectors > 1) {
    if (vectors < Vectors) return lane_sum_vectors<T, Channels, Vectors - 1>(sum, channel, vector, vectors);
  }
  lane_sum_tile<T, Channels, Vectors>(sum, sum.dy + channel, sum.x_at + vector,
                                      sum.sums + (channel * sum.vectors + vector) * lanes<T>);
}

template <class T, int Channels>
PCX_INLINE void lane_sum_channels(const LaneSum<T>& sum, index channel, index channels, index vector, index vectors) {
  if constexpr (Channels > 1) {
    if (channels < Channels) return lane_sum_channels<T, Channels - 1>(sum, channel, channels, vector, vectors);
  }
  lane_sum_vectors<T, Channels, lane_vectors<Channels>>(sum, channel, vector, vectors);
}

// All tiles of so many channels at most that differ by one at most; the channels of some vectors, then those of others.
template <class T, int Channels>
static void lane_sum_tiles(const LaneSum<T>& sum) {
  constexpr int most = lane_vectors<Channels>;
  const index c_tiles = (sum.channels + Channels - 1) / Channels, v_tiles = (sum.vectors + most - 1) / most;
  for (index v = 0; v < v_tiles; ++v) {
    const index vector = sum.vectors * v / v_tiles, vectors = sum.vectors * (v + 1) / v_tiles - vector;
    for (index c = 0; c < c_tiles; ++c) {
      const index channel = sum.channels * c / c_tiles, channels = sum.channels * (c + 1) / c_tiles - channel;
      lane_sum_channels<T, Channels>(sum, channel, channels, vector, vectors);
    }
  }
}

template <class T>
static void lane_sum(const LaneSum<T>& sum) {
  switch (sum.channels) {
    case 1:
      return lane_sum_tiles<T, 1>(sum);
    case 2:
      return lane_sum_tiles<T, 2>(sum);
    case 3:
    case 6:
      return lane_sum_tiles<T, 3>(sum);
    default:
      return lane_sum_tiles<T, 4>(sum);
  }
}
