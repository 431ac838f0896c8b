// One element at a time, for any processor, and to be compared with.
constexpr int registers = 16;
constexpr int unrolled_steps = 2;      // of panel_product
constexpr bool fetches_ahead = false;  // conv_pixels: results and weights
constexpr bool fetches_rows = false;   // depthwise: x for the next row
constexpr bool few_kinds = true;       // of kernels: without vectors every one of them is code
template <class T>
constexpr bool has_halves = false;
template <class T>
constexpr int lanes = 1;
template <class T>
constexpr int vectors = 4;  // of a full panel: the compiler joins the four where it can
template <class T>
constexpr int tile_pixels = 3;
template <class T>
constexpr int distance_tile_rows = 2;

template <class T>
PCX_INLINE T zero() {
  return T(0);
}
template <class T>
PCX_INLINE T set1(T a) {
  return a;
}
template <class T>
PCX_INLINE T load(const T* p) {
  return *p;
}
template <class T>
PCX_INLINE T held(T v) {
  return v;
}
template <class T>
PCX_INLINE void store(T* p, T v) {
  *p = v;
}
template <class T>
PCX_INLINE void stream(T* p, T v) {
  *p = v;
}
PCX_INLINE void fence() {}
template <class T>
PCX_INLINE T load_first(const T* p, index n) {
  return n > 0 ? *p : T(0);
}
template <class T>
PCX_INLINE index first_lanes(index n) {
  return n;
}
template <class T>
PCX_INLINE T load_lanes(const T* p, index n) {
  return load_first(p, n);
}
template <class T>
PCX_INLINE void store_first(T* p, T v, index n) {
  if (n > 0) *p = v;
}
template <class T, class Vector>
PCX_INLINE void store_pieces(T* p, Vector v, index n) {
  store_first(p, v, n);
}
PCX_INLINE float rounded(const double (&v)[1]) { return float(v[0]); }
PCX_INLINE void widen(float v, double (&to)[1]) { to[0] = v; }
template <class T>
PCX_INLINE T fmadd(T a, T b, T c) {
  return a * b + c;
}
template <class T>
PCX_INLINE void accumulate(T& sum, T a, T b) {
  sum = fmadd(a, b, sum);
}
template <class T>
PCX_INLINE T fnmadd(T a, T b, T c) {
  return c - a * b;
}
template <class T>
PCX_INLINE T multiply(T a, T b) {
  return a * b;
}
template <class T>
PCX_INLINE T add(T a, T b) {
  return a + b;
}
template <class T>
PCX_INLINE T max(T a, T b) {
  return a > b ? a : b;
}  // b where either is NaN
template <class T>
PCX_INLINE T sub(T a, T b) {
  return a - b;
}
template <class T>
PCX_INLINE T abs(T a) {
  return a < 0 ? -a : a;
}
template <class T>
PCX_INLINE T quotient(T a, T b) {
  return b == 0 ? T(0) : a / b;
}  // 0 where b is 0
// Lane i of `permute` is lane numbers[i] of v: there is but one.
template <class T, int Vectors = 1>
PCX_INLINE int lane_numbers(const std::int32_t*) {
  return 0;
}
template <class T>
PCX_INLINE T permute(T v, int) {
  return v;
}
// The same of two or four vectors, one after the other; and the number after each.
template <class T>
PCX_INLINE T permute(T a, T b, int number) {
  return number == 0 ? a : b;
}
template <class T>
PCX_INLINE T permute(T a, T b, T c, T d, int number) {
  return number < 2 ? permute(a, b, number) : permute(c, d, number - 2);
}
template <class T>
PCX_INLINE int following(int number) {
  return number + 1;
}
template <class T>
PCX_INLINE void prefetch(const T*) {}
template <class T>
PCX_INLINE void prefetch_near(const T*) {}
PCX_INLINE float root(float a) { return sqrtf(a); }
PCX_INLINE double root(double a) { return sqrt(a); }
template <class T>
PCX_INLINE T sum_each(const T (&r)[1]) {
  return r[0];
}  // lane i: the sum of r[i], neighbours first
template <class T>
PCX_INLINE T divide(T a, T b) {
  return a / b;
}

// Whether v replaces the best so far: it is larger, or the first NaN.
template <class T>
PCX_INLINE bool beats(T v, T best) {
  return !(v <= best) && best == best;
}
template <class T>
PCX_INLINE T select(bool mask, T a, T b) {
  return mask ? a : b;
}
template <class T>
PCX_INLINE T larger(T v, T best) {
  return beats(v, best) ? v : best;
}
// Small integers that travel as the bits of a lane.
template <class T>
union LaneBits {
  T lane;
  std::uint32_t bits;
};
template <class T>
PCX_INLINE T bits_of(std::uint32_t n) {
  LaneBits<T> both{T(0)};
  both.bits = n;
  return both.lane;
}
template <class T>
PCX_INLINE std::uint32_t bits_in(T lane) {
  LaneBits<T> both{lane};
  return both.bits;
}
template <class T, class U>
PCX_INLINE T load_bits(const U* p, index n) {
  return bits_of<T>(n > 0 ? *p : 0);
}
template <class T, class U>
PCX_INLINE void store_bits(U* p, T v, index n) {
  if (n > 0) *p = static_cast<U>(bits_in(v));
}
template <class T>
PCX_INLINE T keep_equal(T a, T b, T v) {
  return bits_in(a) == bits_in(b) ? v : T(0);
}
// Eight elements and a bit for each: those above zero or NaN, and those that are kept.
template <class T>
PCX_INLINE unsigned passed8(const T* p) {
  unsigned bits = 0;
  PCX_UNROLL
  for (int i = 0; i < 8; ++i) bits |= unsigned(!(p[i] <= 0)) << i;
  return bits;
}
template <class T>
PCX_INLINE void keep8(unsigned bits, const T* from, T* to) {
  PCX_UNROLL
  for (int i = 0; i < 8; ++i) to[i] = bits >> i & 1 ? from[i] : T(0);
}
template <class T>
PCX_INLINE void transpose_block(T (&)[1]) {}
