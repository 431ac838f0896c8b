// AArch64 Advanced SIMD: 32 registers of 128 bits. A tile of 12 x 2 leaves two for weights and the rest for pixels.
constexpr int registers = 32;
constexpr int unrolled_steps = 2;      // of panel_product
constexpr bool fetches_ahead = false;  // conv_pixels: results and weights
constexpr bool fetches_rows = false;   // depthwise: x for the next row
constexpr bool few_kinds = false;
template <class T>
constexpr bool has_halves = false;
template <class T>
constexpr int lanes = 16 / sizeof(T);
template <class T>
constexpr int vectors = 2;
template <class T>
constexpr int tile_pixels = 12;
template <class T>
constexpr int distance_tile_rows = 4;  // x 4 sums, and 8 vectors of rows

template <class T>
PCX_INLINE auto zero() {
  if constexpr (sizeof(T) == 4)
    return vdupq_n_f32(0);
  else
    return vdupq_n_f64(0);
}
PCX_INLINE float32x4_t set1(float a) { return vdupq_n_f32(a); }
PCX_INLINE float64x2_t set1(double a) { return vdupq_n_f64(a); }
PCX_INLINE float32x4_t load(const float* p) { return vld1q_f32(p); }
PCX_INLINE float64x2_t load(const double* p) { return vld1q_f64(p); }
// Operands are in registers here.
template <class Vector>
PCX_INLINE Vector held(Vector v) {
  return v;
}
PCX_INLINE void store(float* p, float32x4_t v) { vst1q_f32(p, v); }
PCX_INLINE void store(double* p, float64x2_t v) { vst1q_f64(p, v); }
// These processors notice by themselves that whole lines are written.
PCX_INLINE void stream(float* p, float32x4_t v) { store(p, v); }
PCX_INLINE void stream(double* p, float64x2_t v) { store(p, v); }
PCX_INLINE void fence() {}

// No masked access here: a tail goes through a vector's worth of stack.
PCX_INLINE float32x4_t load_first(const float* p, index n) {
  float part[4] = {};
  for (index i = 0; i < n && i < 4; ++i) part[i] = p[i];
  return vld1q_f32(part);
}
PCX_INLINE float64x2_t load_first(const double* p, index n) {
  double part[2] = {};
  for (index i = 0; i < n && i < 2; ++i) part[i] = p[i];
  return vld1q_f64(part);
}
template <class T>
PCX_INLINE index first_lanes(index n) {
  return n;
}
PCX_INLINE float32x4_t load_lanes(const float* p, index n) { return load_first(p, n); }
PCX_INLINE float64x2_t load_lanes(const double* p, index n) { return load_first(p, n); }
PCX_INLINE void store_first(float* p, float32x4_t v, index n) {
  float part[4];
  vst1q_f32(part, v);
  for (index i = 0; i < n && i < 4; ++i) p[i] = part[i];
}
PCX_INLINE void store_first(double* p, float64x2_t v, index n) {
  double part[2];
  vst1q_f64(part, v);
  for (index i = 0; i < n && i < 2; ++i) p[i] = part[i];
}
template <class T, class Vector>
PCX_INLINE void store_pieces(T* p, Vector v, index n) {
  store_first(p, v, n);
}

PCX_INLINE float32x4_t rounded(const float64x2_t (&v)[2]) {
  return vcombine_f32(vcvt_f32_f64(v[0]), vcvt_f32_f64(v[1]));
}
PCX_INLINE void widen(float32x4_t v, float64x2_t (&to)[2]) {
  to[0] = vcvt_f64_f32(vget_low_f32(v));
  to[1] = vcvt_f64_f32(vget_high_f32(v));
}

PCX_INLINE float32x4_t fmadd(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
PCX_INLINE float64x2_t fmadd(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmaq_f64(c, a, b); }
PCX_INLINE void accumulate(float32x4_t& sum, float32x4_t a, float32x4_t b) { sum = fmadd(a, b, sum); }
PCX_INLINE void accumulate(float64x2_t& sum, float64x2_t a, float64x2_t b) { sum = fmadd(a, b, sum); }
PCX_INLINE float32x4_t fnmadd(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmsq_f32(c, a, b); }  // c - a * b
PCX_INLINE float64x2_t fnmadd(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmsq_f64(c, a, b); }
PCX_INLINE float32x4_t multiply(float32x4_t a, float32x4_t b) { return vmulq_f32(a, b); }
PCX_INLINE float64x2_t multiply(float64x2_t a, float64x2_t b) { return vmulq_f64(a, b); }
PCX_INLINE float32x4_t add(float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); }
PCX_INLINE float64x2_t add(float64x2_t a, float64x2_t b) { return vaddq_f64(a, b); }
PCX_INLINE float32x4_t sub(float32x4_t a, float32x4_t b) { return vsubq_f32(a, b); }
PCX_INLINE float64x2_t sub(float64x2_t a, float64x2_t b) { return vsubq_f64(a, b); }
PCX_INLINE float32x4_t max(float32x4_t a, float32x4_t b) { return vmaxq_f32(a, b); }  // NaN where either is NaN
PCX_INLINE float64x2_t max(float64x2_t a, float64x2_t b) { return vmaxq_f64(a, b); }
PCX_INLINE float32x4_t divide(float32x4_t a, float32x4_t b) { return vdivq_f32(a, b); }
PCX_INLINE float64x2_t divide(float64x2_t a, float64x2_t b) { return vdivq_f64(a, b); }

// Whether v replaces the best so far: it is larger, or the first NaN.
PCX_INLINE uint32x4_t beats(float32x4_t v, float32x4_t best) {
  return vbicq_u32(vceqq_f32(best, best), vcleq_f32(v, best));
}
PCX_INLINE uint64x2_t beats(float64x2_t v, float64x2_t best) {
  return vbicq_u64(vceqq_f64(best, best), vcleq_f64(v, best));
}
PCX_INLINE float32x4_t select(uint32x4_t mask, float32x4_t a, float32x4_t b) { return vbslq_f32(mask, a, b); }
PCX_INLINE float64x2_t select(uint64x2_t mask, float64x2_t a, float64x2_t b) { return vbslq_f64(mask, a, b); }
// The larger, best where they are equal, NaN where either is.
PCX_INLINE float32x4_t larger(float32x4_t v, float32x4_t best) { return select(beats(v, best), v, best); }
PCX_INLINE float64x2_t larger(float64x2_t v, float64x2_t best) { return select(beats(v, best), v, best); }

// Small integers that travel as the bits of a lane; in memory they are narrower.
template <class T>
PCX_INLINE auto bits_of(std::uint32_t n) {
  if constexpr (sizeof(T) == 4)
    return vreinterpretq_f32_u32(vdupq_n_u32(n));
  else
    return vreinterpretq_f64_u64(vdupq_n_u64(n));
}
template <class T, class U>
PCX_INLINE auto load_bits(const U* p, index n) {
  if constexpr (sizeof(T) == 4) {
    std::uint32_t part[4] = {};
    for (index i = 0; i < n && i < 4; ++i) part[i] = p[i];
    return vreinterpretq_f32_u32(vld1q_u32(part));
  } else {
    std::uint64_t part[2] = {};
    for (index i = 0; i < n && i < 2; ++i) part[i] = p[i];
    return vreinterpretq_f64_u64(vld1q_u64(part));
  }
}
template <class U>
PCX_INLINE void store_bits(U* p, float32x4_t v, index n) {
  std::uint32_t part[4];
  vst1q_u32(part, vreinterpretq_u32_f32(v));
  for (index i = 0; i < n && i < 4; ++i) p[i] = static_cast<U>(part[i]);
}
template <class U>
PCX_INLINE void store_bits(U* p, float64x2_t v, index n) {
  std::uint64_t part[2];
  vst1q_u64(part, vreinterpretq_u64_f64(v));
  for (index i = 0; i < n && i < 2; ++i) p[i] = static_cast<U>(part[i]);
}
PCX_INLINE float32x4_t keep_equal(float32x4_t a, float32x4_t b, float32x4_t v) {
  const uint32x4_t equal = vceqq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
  return vreinterpretq_f32_u32(vandq_u32(equal, vreinterpretq_u32_f32(v)));
}
PCX_INLINE float64x2_t keep_equal(float64x2_t a, float64x2_t b, float64x2_t v) {
  const uint64x2_t equal = vceqq_u64(vreinterpretq_u64_f64(a), vreinterpretq_u64_f64(b));
  return vreinterpretq_f64_u64(vandq_u64(equal, vreinterpretq_u64_f64(v)));
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

PCX_INLINE float32x4_t abs(float32x4_t a) { return vabsq_f32(a); }
PCX_INLINE float64x2_t abs(float64x2_t a) { return vabsq_f64(a); }
PCX_INLINE float32x4_t quotient(float32x4_t a, float32x4_t b) {  // 0 where b is 0
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(vdivq_f32(a, b)), vceqzq_f32(b)));
}
PCX_INLINE float64x2_t quotient(float64x2_t a, float64x2_t b) {
  return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(vdivq_f64(a, b)), vceqzq_f64(b)));
}
// Lane i of `permute` is lane numbers[i] of v; the numbers, here bytes, are counted from the first, round and round.
template <class T, int Vectors = 1>
PCX_INLINE uint8x16_t lane_numbers(const std::int32_t* from) {
  if constexpr (sizeof(T) == 4) {
    const int32x4_t whole = vsubq_s32(vld1q_s32(from), vdupq_n_s32(*from));
    const uint32x4_t numbers = vandq_u32(vreinterpretq_u32_s32(whole), vdupq_n_u32(4 * Vectors - 1));
    return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), numbers, 0x04040404));
  } else {
    const std::uint64_t bytes[2] = {
        0x0706050403020100u,
        0x0706050403020100u + std::uint64_t((from[1] - from[0]) & (2 * Vectors - 1)) * 0x0808080808080808u};
    return vreinterpretq_u8_u64(vld1q_u64(bytes));
  }
}
PCX_INLINE float32x4_t permute(float32x4_t v, uint8x16_t numbers) {
  return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), numbers));
}
PCX_INLINE float64x2_t permute(float64x2_t v, uint8x16_t numbers) {
  return vreinterpretq_f64_u8(vqtbl1q_u8(vreinterpretq_u8_f64(v), numbers));
}
// The same of two or four vectors, one after the other; and the number after each.
PCX_INLINE float32x4_t permute(float32x4_t a, float32x4_t b, uint8x16_t numbers) {
  const uint8x16x2_t both = {{vreinterpretq_u8_f32(a), vreinterpretq_u8_f32(b)}};
  return vreinterpretq_f32_u8(vqtbl2q_u8(both, numbers));
}
PCX_INLINE float64x2_t permute(float64x2_t a, float64x2_t b, uint8x16_t numbers) {
  const uint8x16x2_t both = {{vreinterpretq_u8_f64(a), vreinterpretq_u8_f64(b)}};
  return vreinterpretq_f64_u8(vqtbl2q_u8(both, numbers));
}
PCX_INLINE float32x4_t permute(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d, uint8x16_t numbers) {
  const uint8x16x4_t all = {
      {vreinterpretq_u8_f32(a), vreinterpretq_u8_f32(b), vreinterpretq_u8_f32(c), vreinterpretq_u8_f32(d)}};
  return vreinterpretq_f32_u8(vqtbl4q_u8(all, numbers));
}
PCX_INLINE float64x2_t permute(float64x2_t a, float64x2_t b, float64x2_t c, float64x2_t d, uint8x16_t numbers) {
  const uint8x16x4_t all = {
      {vreinterpretq_u8_f64(a), vreinterpretq_u8_f64(b), vreinterpretq_u8_f64(c), vreinterpretq_u8_f64(d)}};
  return vreinterpretq_f64_u8(vqtbl4q_u8(all, numbers));
}
template <class T>
PCX_INLINE uint8x16_t following(uint8x16_t numbers) {
  return vaddq_u8(numbers, vdupq_n_u8(sizeof(T)));
}
PCX_INLINE void prefetch(const void*) {}  // left to the hardware
PCX_INLINE void prefetch_near(const void*) {}
PCX_INLINE float32x4_t root(float32x4_t a) { return vsqrtq_f32(a); }
PCX_INLINE float64x2_t root(float64x2_t a) { return vsqrtq_f64(a); }

PCX_INLINE float32x4_t sum_each(const float32x4_t (&r)[4]) {  // lane i: the sum of r[i], neighbours first
  return vpaddq_f32(vpaddq_f32(r[0], r[1]), vpaddq_f32(r[2], r[3]));
}
PCX_INLINE float64x2_t sum_each(const float64x2_t (&r)[2]) { return vpaddq_f64(r[0], r[1]); }

PCX_INLINE void transpose_block(float32x4_t (&r)[4]) {
  const float64x2_t t0 = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])),
                    t1 = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
  const float64x2_t t2 = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])),
                    t3 = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
  r[0] = vreinterpretq_f32_f64(vtrn1q_f64(t0, t2));
  r[1] = vreinterpretq_f32_f64(vtrn1q_f64(t1, t3));
  r[2] = vreinterpretq_f32_f64(vtrn2q_f64(t0, t2));
  r[3] = vreinterpretq_f32_f64(vtrn2q_f64(t1, t3));
}
PCX_INLINE void transpose_block(float64x2_t (&r)[2]) {
  const float64x2_t low = vtrn1q_f64(r[0], r[1]);
  r[1] = vtrn2q_f64(r[0], r[1]);
  r[0] = low;
}
