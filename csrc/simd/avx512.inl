// AVX-512 F, VL, BW, DQ: 32 registers of 512 bits. A tile of 14 x 2 leaves two for weights and two for pixels.
constexpr int registers = 32;
constexpr int unrolled_steps = 4;     // of panel_product
constexpr bool fetches_ahead = true;  // conv_pixels: results and weights
// Such processors fetch enough by themselves: on an Emerald Rapids asking for more took up to 1.17 times as long.
constexpr bool fetches_rows = false;  // depthwise: x for the next row
constexpr bool few_kinds = false;
// Operations on the lower half of a vector alone, which some processors do in half the time.
template <class T>
constexpr bool has_halves = sizeof(T) == 4;
template <class T>
constexpr int lanes = 64 / sizeof(T);
template <class T>
constexpr int vectors = 2;
template <class T>
constexpr int tile_pixels = 14;
template <class T>
constexpr int distance_tile_rows = 4;  // x 4 sums, and 8 vectors of rows

template <class T>
PCX_INLINE auto zero() {
  if constexpr (sizeof(T) == 4)
    return _mm512_setzero_ps();
  else
    return _mm512_setzero_pd();
}
PCX_INLINE __m512 set1(float a) { return _mm512_set1_ps(a); }
PCX_INLINE __m512d set1(double a) { return _mm512_set1_pd(a); }
PCX_INLINE __m512 load(const float* p) { return _mm512_loadu_ps(p); }
PCX_INLINE __m512d load(const double* p) { return _mm512_loadu_pd(p); }
// v, in a register: what is used more than once is otherwise loaded more than once, as an operand of each use.
template <class Vector>
PCX_INLINE Vector held(Vector v) {
#if defined(__GNUC__) && !defined(PCX_EMULATED)
  asm("" : "+v"(v));
#endif
  return v;
}
PCX_INLINE void store(float* p, __m512 v) { _mm512_storeu_ps(p, v); }
PCX_INLINE void store(double* p, __m512d v) { _mm512_storeu_pd(p, v); }
// Past the caches; p is aligned to the vector. Others see it after a fence.
PCX_INLINE void stream(float* p, __m512 v) { _mm512_stream_ps(p, v); }
PCX_INLINE void stream(double* p, __m512d v) { _mm512_stream_pd(p, v); }
PCX_INLINE void fence() { _mm_sfence(); }

PCX_INLINE unsigned first(index n, int all) { return (1u << (n < 0 ? 0 : n < all ? n : all)) - 1; }
PCX_INLINE __m512 load_first(const float* p, index n) { return _mm512_maskz_loadu_ps(__mmask16(first(n, 16)), p); }
PCX_INLINE __m512d load_first(const double* p, index n) { return _mm512_maskz_loadu_pd(__mmask8(first(n, 8)), p); }
// The same for a loop, which finds out beforehand which lanes take part.
template <class T>
PCX_INLINE auto first_lanes(index n) {
  if constexpr (sizeof(T) == 4)
    return __mmask16(first(n, 16));
  else
    return __mmask8(first(n, 8));
}
PCX_INLINE __m512 load_lanes(const float* p, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, p); }
PCX_INLINE __m512d load_lanes(const double* p, __mmask8 lanes) { return _mm512_maskz_loadu_pd(lanes, p); }
PCX_INLINE void store_first(float* p, __m512 v, index n) { _mm512_mask_storeu_ps(p, __mmask16(first(n, 16)), v); }
PCX_INLINE void store_first(double* p, __m512d v, index n) { _mm512_mask_storeu_pd(p, __mmask8(first(n, 8)), v); }
// The same for n < 16, without a mask: stores under one hold up those that follow where lines come from memory (Zen 4).
PCX_INLINE void store_pieces(float* p, __m512 v, index n) {
  __m256 half = _mm512_castps512_ps256(v);
  if (n & 8) {
    _mm256_storeu_ps(p, half);
    half = _mm512_extractf32x8_ps(v, 1);
    p += 8;
  }
  __m128 rest = _mm256_castps256_ps128(half);
  if (n & 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(half, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}
PCX_INLINE void store_pieces(double* p, __m512d v, index n) { store_first(p, v, n); }
PCX_INLINE __m512 rounded(const __m512d (&v)[2]) {
  const __m256d low = _mm256_castps_pd(_mm512_cvtpd_ps(v[0])), high = _mm256_castps_pd(_mm512_cvtpd_ps(v[1]));
  return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1));
}
PCX_INLINE void widen(__m512 v, __m512d (&to)[2]) {
  to[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
  to[1] = _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
}

PCX_INLINE __m512 fmadd(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
PCX_INLINE __m512d fmadd(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
// The lower half alone, the upper one is undefined.
PCX_INLINE __m512 load_half(const float* p) { return _mm512_castps256_ps512(_mm256_loadu_ps(p)); }
PCX_INLINE __m512 set1_half(float a) { return _mm512_castps256_ps512(_mm256_set1_ps(a)); }
PCX_INLINE __m512 fmadd_half(__m512 a, __m512 b, __m512 c) {
  return _mm512_castps256_ps512(
      _mm256_fmadd_ps(_mm512_castps512_ps256(a), _mm512_castps512_ps256(b), _mm512_castps512_ps256(c)));
}
// sum += a * b in the register where it is. GCC 12 moves sums of panel_product about: 4% of it. Kernels whose factors
// come from memory at each use are faster without.
#if defined(__GNUC__) && !defined(PCX_EMULATED)
PCX_INLINE void accumulate(__m512& sum, __m512 a, __m512 b) {
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}
PCX_INLINE void accumulate(__m512d& sum, __m512d a, __m512d b) {
  asm("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}
#else
PCX_INLINE void accumulate(__m512& sum, __m512 a, __m512 b) { sum = fmadd(a, b, sum); }
PCX_INLINE void accumulate(__m512d& sum, __m512d a, __m512d b) { sum = fmadd(a, b, sum); }
#endif
PCX_INLINE __m512 fnmadd(__m512 a, __m512 b, __m512 c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
PCX_INLINE __m512d fnmadd(__m512d a, __m512d b, __m512d c) { return _mm512_fnmadd_pd(a, b, c); }
PCX_INLINE __m512 multiply(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }
PCX_INLINE __m512d multiply(__m512d a, __m512d b) { return _mm512_mul_pd(a, b); }
PCX_INLINE __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
PCX_INLINE __m512d add(__m512d a, __m512d b) { return _mm512_add_pd(a, b); }
PCX_INLINE __m512 sub(__m512 a, __m512 b) { return _mm512_sub_ps(a, b); }
PCX_INLINE __m512d sub(__m512d a, __m512d b) { return _mm512_sub_pd(a, b); }
PCX_INLINE __m512 max(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }  // b where either is NaN
PCX_INLINE __m512d max(__m512d a, __m512d b) { return _mm512_max_pd(a, b); }
PCX_INLINE __m512 divide(__m512 a, __m512 b) { return _mm512_div_ps(a, b); }
PCX_INLINE __m512d divide(__m512d a, __m512d b) { return _mm512_div_pd(a, b); }

// Whether v replaces the best so far: it is larger, or the first NaN.
PCX_INLINE __mmask16 beats(__m512 v, __m512 best) {
  return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(best, best, _CMP_ORD_Q), v, best, _CMP_NLE_UQ);
}
PCX_INLINE __mmask8 beats(__m512d v, __m512d best) {
  return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(best, best, _CMP_ORD_Q), v, best, _CMP_NLE_UQ);
}
PCX_INLINE __m512 select(__mmask16 mask, __m512 a, __m512 b) { return _mm512_mask_blend_ps(mask, b, a); }
PCX_INLINE __m512d select(__mmask8 mask, __m512d a, __m512d b) { return _mm512_mask_blend_pd(mask, b, a); }
// The larger, best where they are equal, NaN where either is.
PCX_INLINE __m512 larger(__m512 v, __m512 best) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), max(v, best), v);
}
PCX_INLINE __m512d larger(__m512d v, __m512d best) {
  return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(v, v, _CMP_UNORD_Q), max(v, best), v);
}

// Small integers that travel as the bits of a lane; in memory they are narrower.
template <class T>
PCX_INLINE auto bits_of(std::uint32_t n) {
  if constexpr (sizeof(T) == 4)
    return _mm512_castsi512_ps(_mm512_set1_epi32(int(n)));
  else
    return _mm512_castsi512_pd(_mm512_set1_epi64(n));
}
PCX_INLINE __m512i widen16(const std::uint8_t* p, unsigned mask) {
  return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(__mmask16(mask), p));
}
PCX_INLINE __m512i widen16(const std::uint16_t* p, unsigned mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(__mmask16(mask), p));
}
PCX_INLINE __m512i widen16(const std::uint32_t* p, unsigned mask) {
  return _mm512_maskz_loadu_epi32(__mmask16(mask), p);
}
PCX_INLINE __m512i widen8(const std::uint8_t* p, unsigned mask) {
  return _mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8(__mmask16(mask), p));
}
PCX_INLINE __m512i widen8(const std::uint16_t* p, unsigned mask) {
  return _mm512_cvtepu16_epi64(_mm_maskz_loadu_epi16(__mmask8(mask), p));
}
PCX_INLINE __m512i widen8(const std::uint32_t* p, unsigned mask) {
  return _mm512_cvtepu32_epi64(_mm256_maskz_loadu_epi32(__mmask8(mask), p));
}
template <class T, class U>
PCX_INLINE auto load_bits(const U* p, index n) {
  if constexpr (sizeof(T) == 4)
    return _mm512_castsi512_ps(widen16(p, first(n, 16)));
  else
    return _mm512_castsi512_pd(widen8(p, first(n, 8)));
}
PCX_INLINE void store_bits(std::uint8_t* p, __m512 v, index n) {
  _mm512_mask_cvtepi32_storeu_epi8(p, __mmask16(first(n, 16)), _mm512_castps_si512(v));
}
PCX_INLINE void store_bits(std::uint16_t* p, __m512 v, index n) {
  _mm512_mask_cvtepi32_storeu_epi16(p, __mmask16(first(n, 16)), _mm512_castps_si512(v));
}
PCX_INLINE void store_bits(std::uint32_t* p, __m512 v, index n) {
  _mm512_mask_storeu_epi32(p, __mmask16(first(n, 16)), _mm512_castps_si512(v));
}
PCX_INLINE void store_bits(std::uint8_t* p, __m512d v, index n) {
  _mm512_mask_cvtepi64_storeu_epi8(p, __mmask8(first(n, 8)), _mm512_castpd_si512(v));
}
PCX_INLINE void store_bits(std::uint16_t* p, __m512d v, index n) {
  _mm512_mask_cvtepi64_storeu_epi16(p, __mmask8(first(n, 8)), _mm512_castpd_si512(v));
}
PCX_INLINE void store_bits(std::uint32_t* p, __m512d v, index n) {
  _mm512_mask_cvtepi64_storeu_epi32(p, __mmask8(first(n, 8)), _mm512_castpd_si512(v));
}
PCX_INLINE __m512 keep_equal(__m512 a, __m512 b, __m512 v) {
  return _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(_mm512_castps_si512(a), _mm512_castps_si512(b)), v);
}
PCX_INLINE __m512d keep_equal(__m512d a, __m512d b, __m512d v) {
  return _mm512_maskz_mov_pd(_mm512_cmpeq_epi64_mask(_mm512_castpd_si512(a), _mm512_castpd_si512(b)), v);
}

// Eight elements and a bit for each: those above zero or NaN, and those that are kept.
PCX_INLINE unsigned passed8(const float* p) {
  return _mm256_cmp_ps_mask(_mm256_loadu_ps(p), _mm256_setzero_ps(), _CMP_NLE_UQ);
}
PCX_INLINE unsigned passed8(const double* p) { return _mm512_cmp_pd_mask(load(p), _mm512_setzero_pd(), _CMP_NLE_UQ); }
PCX_INLINE void keep8(unsigned bits, const float* from, float* to) {
  _mm256_storeu_ps(to, _mm256_maskz_loadu_ps(__mmask8(bits), from));
}
PCX_INLINE void keep8(unsigned bits, const double* from, double* to) {
  store(to, _mm512_maskz_loadu_pd(__mmask8(bits), from));
}

PCX_INLINE __m512 abs(__m512 a) { return _mm512_abs_ps(a); }
PCX_INLINE __m512d abs(__m512d a) { return _mm512_abs_pd(a); }
PCX_INLINE __m512 quotient(__m512 a, __m512 b) {  // 0 where b is 0
  return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(b, _mm512_setzero_ps(), _CMP_NEQ_UQ), a, b);
}
PCX_INLINE __m512d quotient(__m512d a, __m512d b) {
  return _mm512_maskz_div_pd(_mm512_cmp_pd_mask(b, _mm512_setzero_pd(), _CMP_NEQ_UQ), a, b);
}
// Lane i of `permute` is lane numbers[i] of v; the numbers are counted from the first of them, round and round.
template <class T, int Vectors = 1>
PCX_INLINE __m512i lane_numbers(const std::int32_t* from) {
  if constexpr (sizeof(T) == 4) {
    return _mm512_sub_epi32(_mm512_loadu_si512(from), _mm512_set1_epi32(*from));
  } else {
    const __m256i numbers = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_cvtepi32_epi64(_mm256_sub_epi32(numbers, _mm256_set1_epi32(*from)));
  }
}
PCX_INLINE __m512 permute(__m512 v, __m512i numbers) { return _mm512_permutexvar_ps(numbers, v); }
PCX_INLINE __m512d permute(__m512d v, __m512i numbers) { return _mm512_permutexvar_pd(numbers, v); }
// The same of two or four vectors, one after the other; and the number after each.
PCX_INLINE __m512 permute(__m512 a, __m512 b, __m512i numbers) { return _mm512_permutex2var_ps(a, numbers, b); }
PCX_INLINE __m512d permute(__m512d a, __m512d b, __m512i numbers) { return _mm512_permutex2var_pd(a, numbers, b); }
PCX_INLINE __m512 permute(__m512 a, __m512 b, __m512 c, __m512 d, __m512i numbers) {
  return _mm512_mask_blend_ps(_mm512_test_epi32_mask(numbers, _mm512_set1_epi32(32)), permute(a, b, numbers),
                              permute(c, d, numbers));
}
PCX_INLINE __m512d permute(__m512d a, __m512d b, __m512d c, __m512d d, __m512i numbers) {
  return _mm512_mask_blend_pd(_mm512_test_epi64_mask(numbers, _mm512_set1_epi64(16)), permute(a, b, numbers),
                              permute(c, d, numbers));
}
template <class T>
PCX_INLINE __m512i following(__m512i numbers) {
  if constexpr (sizeof(T) == 4)
    return _mm512_add_epi32(numbers, _mm512_set1_epi32(1));
  else
    return _mm512_add_epi64(numbers, _mm512_set1_epi64(1));
}
PCX_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
PCX_INLINE void prefetch_near(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
}  // the second cache
PCX_INLINE __m512 root(__m512 a) { return _mm512_sqrt_ps(a); }
PCX_INLINE __m512d root(__m512d a) { return _mm512_sqrt_pd(a); }

// Quarters of the result: a0 + a1, a2 + a3, b0 + b1, b2 + b3.
PCX_INLINE __m512 sum_quarters(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
PCX_INLINE __m512d sum_quarters(__m512d a, __m512d b) {
  return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd));
}
PCX_INLINE __m512 sum_each(const __m512 (&r)[16]) {  // lane i: the sum of r[i], neighbours first
  __m512 four[4];
  PCX_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512* p = r + 4 * i;
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_ps(p[0], p[1], 0x88), _mm512_shuffle_ps(p[0], p[1], 0xdd));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_ps(p[2], p[3], 0x88), _mm512_shuffle_ps(p[2], p[3], 0xdd));
    four[i] = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x88), _mm512_shuffle_ps(ab, cd, 0xdd));
  }
  return sum_quarters(sum_quarters(four[0], four[1]), sum_quarters(four[2], four[3]));
}
PCX_INLINE __m512d sum_each(const __m512d (&r)[8]) {
  __m512d two[4];
  PCX_UNROLL
  for (int i = 0; i < 4; ++i) {
    two[i] = _mm512_add_pd(_mm512_unpacklo_pd(r[2 * i], r[2 * i + 1]), _mm512_unpackhi_pd(r[2 * i], r[2 * i + 1]));
  }
  return sum_quarters(sum_quarters(two[0], two[1]), sum_quarters(two[2], two[3]));
}

// Transposes the 4 x 4 of 128-bit quarters that remains after each quarter has been transposed in itself.
PCX_INLINE void transpose_quarters(__m512& a, __m512& b, __m512& c, __m512& d) {
  const __m512 even_ab = _mm512_shuffle_f32x4(a, b, 0x88), even_cd = _mm512_shuffle_f32x4(c, d, 0x88);
  const __m512 odd_ab = _mm512_shuffle_f32x4(a, b, 0xdd), odd_cd = _mm512_shuffle_f32x4(c, d, 0xdd);
  a = _mm512_shuffle_f32x4(even_ab, even_cd, 0x88);
  b = _mm512_shuffle_f32x4(odd_ab, odd_cd, 0x88);
  c = _mm512_shuffle_f32x4(even_ab, even_cd, 0xdd);
  d = _mm512_shuffle_f32x4(odd_ab, odd_cd, 0xdd);
}

// Each quarter of 4, or 2, vectors in itself.
PCX_INLINE void transpose_parts(__m512* r) {
  const __m512d t0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d t1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d t2 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d t3 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
  r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2));
  r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2));
  r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3));
  r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3));
}
PCX_INLINE void transpose_parts(__m512d* r) {
  const __m512d low = _mm512_unpacklo_pd(r[0], r[1]);
  r[1] = _mm512_unpackhi_pd(r[0], r[1]);
  r[0] = low;
}

PCX_INLINE void transpose_block(__m512 (&r)[16]) {
  PCX_UNROLL
  for (int i = 0; i < 16; i += 4) transpose_parts(r + i);
  // r[4 i + j] now has, in quarter q, column 4 q + j of rows 4 i .. 4 i + 3; it belongs into row 4 q + j, quarter i.
  PCX_UNROLL
  for (int j = 0; j < 4; ++j) transpose_quarters(r[j], r[4 + j], r[8 + j], r[12 + j]);
}

PCX_INLINE void transpose_block(__m512d (&r)[8]) {
  PCX_UNROLL
  for (int i = 0; i < 8; i += 2) transpose_parts(r + i);
  PCX_UNROLL
  for (int j = 0; j < 2; ++j) {
    __m512 a = _mm512_castpd_ps(r[j]), b = _mm512_castpd_ps(r[2 + j]);
    __m512 c = _mm512_castpd_ps(r[4 + j]), d = _mm512_castpd_ps(r[6 + j]);
    transpose_quarters(a, b, c, d);
    r[j] = _mm512_castps_pd(a);
    r[2 + j] = _mm512_castps_pd(b);
    r[4 + j] = _mm512_castps_pd(c);
    r[6 + j] = _mm512_castps_pd(d);
  }
}

PCX_INLINE __m128 load_part(const float* p, int n, bool there) {
  if (!there) return _mm_setzero_ps();
  return n == 4 ? _mm_loadu_ps(p) : _mm_maskz_loadu_ps(__mmask8((1 << n) - 1), p);
}
PCX_INLINE __m128d load_part(const double* p, bool there) { return there ? _mm_loadu_pd(p) : _mm_setzero_pd(); }

// The first n elements (at least two) of the 16 bytes at p in a quarter, of those `step` further in the next one;
// quarters [0, count).
PCX_INLINE __m512 load_parts(const float* p, index step, int n, index count) {
  __m512 v = _mm512_zextps128_ps512(load_part(p, n, count > 0));
  v = _mm512_insertf32x4(v, load_part(p + step, n, count > 1), 1);
  v = _mm512_insertf32x4(v, load_part(p + 2 * step, n, count > 2), 2);
  return _mm512_insertf32x4(v, load_part(p + 3 * step, n, count > 3), 3);
}
PCX_INLINE __m512d load_parts(const double* p, index step, int, index count) {
  __m512d v = _mm512_zextpd128_pd512(load_part(p, count > 0));
  v = _mm512_insertf64x2(v, load_part(p + step, count > 1), 1);
  v = _mm512_insertf64x2(v, load_part(p + 2 * step, count > 2), 2);
  return _mm512_insertf64x2(v, load_part(p + 3 * step, count > 3), 3);
}
// GCC 12 makes one instruction of taking a quarter and storing some of it, which, unlike a store, faults where the
// others have no memory: it must not see both.
PCX_INLINE void store_part(float* p, __m128 v, int n) {
#ifdef __GNUC__
  asm("" : "+v"(v));
#endif
  _mm_mask_storeu_ps(p, __mmask8((1 << n) - 1), v);
}
PCX_INLINE void store_parts(float* p, index step, __m512 v, int n, index count) {
  if (count > 0) store_part(p, _mm512_castps512_ps128(v), n);
  if (count > 1) store_part(p + step, _mm512_extractf32x4_ps(v, 1), n);
  if (count > 2) store_part(p + 2 * step, _mm512_extractf32x4_ps(v, 2), n);
  if (count > 3) store_part(p + 3 * step, _mm512_extractf32x4_ps(v, 3), n);
}
PCX_INLINE void store_parts(double* p, index step, __m512d v, int, index count) {
  if (count > 0) _mm_storeu_pd(p, _mm512_castpd512_pd128(v));
  if (count > 1) _mm_storeu_pd(p + step, _mm512_extractf64x2_pd(v, 1));
  if (count > 2) _mm_storeu_pd(p + 2 * step, _mm512_extractf64x2_pd(v, 2));
  if (count > 3) _mm_storeu_pd(p + 3 * step, _mm512_extractf64x2_pd(v, 3));
}
