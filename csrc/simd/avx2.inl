// AVX2 and FMA: 16 registers of 256 bits. A tile of 6 x 2 leaves two for weights and two for pixels.
constexpr int registers = 16;
constexpr int unrolled_steps = 2;      // of panel_product
constexpr bool fetches_ahead = false;  // conv_pixels: results and weights
constexpr bool fetches_rows = true;    // depthwise: x for the next row
constexpr bool few_kinds = false;
template <class T>
constexpr bool has_halves = false;
template <class T>
constexpr int lanes = 32 / sizeof(T);
template <class T>
constexpr int vectors = 2;
template <class T>
constexpr int tile_pixels = 6;
template <class T>
constexpr int distance_tile_rows = 2;  // x 4 sums, and 6 vectors of rows

template <class T>
PCX_INLINE auto zero() {
  if constexpr (sizeof(T) == 4)
    return _mm256_setzero_ps();
  else
    return _mm256_setzero_pd();
}
PCX_INLINE __m256 set1(float a) { return _mm256_set1_ps(a); }
PCX_INLINE __m256d set1(double a) { return _mm256_set1_pd(a); }
PCX_INLINE __m256 load(const float* p) { return _mm256_loadu_ps(p); }
PCX_INLINE __m256d load(const double* p) { return _mm256_loadu_pd(p); }
// v, in a register: what is used more than once is otherwise loaded more than once, as an operand of each use.
template <class Vector>
PCX_INLINE Vector held(Vector v) {
#ifdef __GNUC__
  asm("" : "+x"(v));
#endif
  return v;
}
PCX_INLINE void store(float* p, __m256 v) { _mm256_storeu_ps(p, v); }
PCX_INLINE void store(double* p, __m256d v) { _mm256_storeu_pd(p, v); }
// Past the caches; p is aligned to the vector. Others see it after a fence.
PCX_INLINE void stream(float* p, __m256 v) { _mm256_stream_ps(p, v); }
PCX_INLINE void stream(double* p, __m256d v) { _mm256_stream_pd(p, v); }
PCX_INLINE void fence() { _mm_sfence(); }

// Lane i takes part where i < n.
PCX_INLINE __m256i first32(index n) {
  const int count = n > 8 ? 8 : n < 0 ? 0 : int(n);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PCX_INLINE __m256i first64(index n) {
  const int count = n > 4 ? 4 : n < 0 ? 0 : int(n);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}
// Whole vectors are the rule. Masked stores take AMD's processors a dozen cycles; halves and quarters of a vector do
// not.
PCX_INLINE __m256 load_first(const float* p, index n) { return n >= 8 ? load(p) : _mm256_maskload_ps(p, first32(n)); }
PCX_INLINE __m256d load_first(const double* p, index n) { return n >= 4 ? load(p) : _mm256_maskload_pd(p, first64(n)); }
// The same for a loop, which finds out beforehand which lanes take part.
template <class T>
PCX_INLINE __m256i first_lanes(index n) {
  return sizeof(T) == 4 ? first32(n) : first64(n);
}
PCX_INLINE __m256 load_lanes(const float* p, __m256i lanes) { return _mm256_maskload_ps(p, lanes); }
PCX_INLINE __m256d load_lanes(const double* p, __m256i lanes) { return _mm256_maskload_pd(p, lanes); }
PCX_INLINE void store_first(float* p, __m256 v, index n) {
  if (n >= 8) return store(p, v);
  if (n <= 0) return;
  __m128 rest = _mm256_castps256_ps128(v);
  if (n & 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}
PCX_INLINE void store_first(double* p, __m256d v, index n) {
  if (n >= 4) return store(p, v);
  if (n <= 0) return;
  __m128d rest = _mm256_castpd256_pd128(v);
  if (n & 2) {
    _mm_storeu_pd(p, rest);
    rest = _mm256_extractf128_pd(v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, rest);
}

template <class T, class Vector>
PCX_INLINE void store_pieces(T* p, Vector v, index n) {
  store_first(p, v, n);
}
PCX_INLINE __m256 rounded(const __m256d (&v)[2]) {
  return _mm256_set_m128(_mm256_cvtpd_ps(v[1]), _mm256_cvtpd_ps(v[0]));
}
PCX_INLINE void widen(__m256 v, __m256d (&to)[2]) {
  to[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
  to[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

PCX_INLINE __m256 fmadd(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
PCX_INLINE __m256d fmadd(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
PCX_INLINE void accumulate(__m256& sum, __m256 a, __m256 b) { sum = fmadd(a, b, sum); }
PCX_INLINE void accumulate(__m256d& sum, __m256d a, __m256d b) { sum = fmadd(a, b, sum); }
PCX_INLINE __m256 fnmadd(__m256 a, __m256 b, __m256 c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a * b
PCX_INLINE __m256d fnmadd(__m256d a, __m256d b, __m256d c) { return _mm256_fnmadd_pd(a, b, c); }
PCX_INLINE __m256 multiply(__m256 a, __m256 b) { return _mm256_mul_ps(a, b); }
PCX_INLINE __m256d multiply(__m256d a, __m256d b) { return _mm256_mul_pd(a, b); }
PCX_INLINE __m256 add(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }
PCX_INLINE __m256d add(__m256d a, __m256d b) { return _mm256_add_pd(a, b); }
PCX_INLINE __m256 sub(__m256 a, __m256 b) { return _mm256_sub_ps(a, b); }
PCX_INLINE __m256d sub(__m256d a, __m256d b) { return _mm256_sub_pd(a, b); }
PCX_INLINE __m256 max(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }  // b where either is NaN
PCX_INLINE __m256d max(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
PCX_INLINE __m256 divide(__m256 a, __m256 b) { return _mm256_div_ps(a, b); }
PCX_INLINE __m256d divide(__m256d a, __m256d b) { return _mm256_div_pd(a, b); }

// Whether v replaces the best so far: it is larger, or the first NaN.
PCX_INLINE __m256 beats(__m256 v, __m256 best) {
  return _mm256_and_ps(_mm256_cmp_ps(v, best, _CMP_NLE_UQ), _mm256_cmp_ps(best, best, _CMP_ORD_Q));
}
PCX_INLINE __m256d beats(__m256d v, __m256d best) {
  return _mm256_and_pd(_mm256_cmp_pd(v, best, _CMP_NLE_UQ), _mm256_cmp_pd(best, best, _CMP_ORD_Q));
}
PCX_INLINE __m256 select(__m256 mask, __m256 a, __m256 b) { return _mm256_blendv_ps(b, a, mask); }
PCX_INLINE __m256d select(__m256d mask, __m256d a, __m256d b) { return _mm256_blendv_pd(b, a, mask); }

// The larger, best where they are equal, NaN where either is.
PCX_INLINE __m256 larger(__m256 v, __m256 best) {
  return _mm256_or_ps(_mm256_max_ps(v, best), _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}
PCX_INLINE __m256d larger(__m256d v, __m256d best) {
  return _mm256_or_pd(_mm256_max_pd(v, best), _mm256_cmp_pd(v, v, _CMP_UNORD_Q));
}

// Small integers that travel as the bits of a lane. In memory they are narrower; what is no whole vector of them goes
// through a vector's worth of stack.
template <class T>
PCX_INLINE auto bits_of(std::uint32_t n) {
  if constexpr (sizeof(T) == 4)
    return _mm256_castsi256_ps(_mm256_set1_epi32(int(n)));
  else
    return _mm256_castsi256_pd(_mm256_set1_epi64x(n));
}
template <class Word, class U>
PCX_INLINE __m256i widen_load(const U* p, index n) {
  constexpr int all = 32 / sizeof(Word), bytes = all * sizeof(U);
  U part[16] = {};
  if (n < all) {
    for (index i = 0; i < n; ++i) part[i] = p[i];
    p = part;
  }
  if constexpr (bytes == 32)
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  else if constexpr (bytes == 16 && sizeof(U) == 2)
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  else if constexpr (bytes == 16)
    return _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  else if constexpr (bytes == 8 && sizeof(U) == 1)
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  else if constexpr (bytes == 8)
    return _mm256_cvtepu16_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  else
    return _mm256_setr_epi64x(p[0], p[1], p[2], p[3]);
}
template <class Word, class U>
PCX_INLINE void narrow_store(U* p, __m256i v, index n) {
  constexpr int all = 32 / sizeof(Word);
  if constexpr (sizeof(Word) == 4 && sizeof(U) < 4) {
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    U part[8];
    U* to = n >= all ? p : part;
    if constexpr (sizeof(U) == 2)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), halves);
    else
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(halves, halves));
    for (index i = 0; n < all && i < n; ++i) p[i] = part[i];
  } else {
    Word part[all];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(part), v);
    for (index i = 0; i < all && i < n; ++i) p[i] = static_cast<U>(part[i]);
  }
}
template <class T, class U>
PCX_INLINE auto load_bits(const U* p, index n) {
  if constexpr (sizeof(T) == 4)
    return _mm256_castsi256_ps(widen_load<std::uint32_t>(p, n));
  else
    return _mm256_castsi256_pd(widen_load<std::uint64_t>(p, n));
}
template <class U>
PCX_INLINE void store_bits(U* p, __m256 v, index n) {
  narrow_store<std::uint32_t>(p, _mm256_castps_si256(v), n);
}
template <class U>
PCX_INLINE void store_bits(U* p, __m256d v, index n) {
  narrow_store<std::uint64_t>(p, _mm256_castpd_si256(v), n);
}
PCX_INLINE __m256 keep_equal(__m256 a, __m256 b, __m256 v) {
  const __m256i equal = _mm256_cmpeq_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
  return _mm256_and_ps(_mm256_castsi256_ps(equal), v);
}
PCX_INLINE __m256d keep_equal(__m256d a, __m256d b, __m256d v) {
  const __m256i equal = _mm256_cmpeq_epi64(_mm256_castpd_si256(a), _mm256_castpd_si256(b));
  return _mm256_and_pd(_mm256_castsi256_pd(equal), v);
}

// Eight elements and a bit for each: those above zero or NaN, and those that are kept.
PCX_INLINE unsigned passed8(const float* p) {
  return unsigned(_mm256_movemask_ps(_mm256_cmp_ps(load(p), _mm256_setzero_ps(), _CMP_NLE_UQ)));
}
PCX_INLINE unsigned passed8(const double* p) {
  const __m256d low = _mm256_cmp_pd(load(p), _mm256_setzero_pd(), _CMP_NLE_UQ);
  const __m256d high = _mm256_cmp_pd(load(p + 4), _mm256_setzero_pd(), _CMP_NLE_UQ);
  return unsigned(_mm256_movemask_pd(low) | _mm256_movemask_pd(high) << 4);
}
PCX_INLINE void keep8(unsigned bits, const float* from, float* to) {
  const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i kept = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(int(bits)), each), each);
  store(to, _mm256_and_ps(_mm256_castsi256_ps(kept), load(from)));
}
PCX_INLINE void keep8(unsigned bits, const double* from, double* to) {
  const __m256i all = _mm256_set1_epi64x(bits);
  PCX_UNROLL
  for (int half = 0; half < 8; half += 4) {
    const __m256i each = _mm256_slli_epi64(_mm256_setr_epi64x(1, 2, 4, 8), half);
    const __m256i kept = _mm256_cmpeq_epi64(_mm256_and_si256(all, each), each);
    store(to + half, _mm256_and_pd(_mm256_castsi256_pd(kept), load(from + half)));
  }
}

PCX_INLINE __m256 abs(__m256 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
PCX_INLINE __m256d abs(__m256d a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
PCX_INLINE __m256 quotient(__m256 a, __m256 b) {  // 0 where b is 0
  return _mm256_and_ps(_mm256_cmp_ps(b, _mm256_setzero_ps(), _CMP_NEQ_UQ), _mm256_div_ps(a, b));
}
PCX_INLINE __m256d quotient(__m256d a, __m256d b) {
  return _mm256_and_pd(_mm256_cmp_pd(b, _mm256_setzero_pd(), _CMP_NEQ_UQ), _mm256_div_pd(a, b));
}
// Lane i of `permute` is lane numbers[i] of v; the numbers are counted from the first of them, round and round.
template <class T, int Vectors = 1>
PCX_INLINE __m256i lane_numbers(const std::int32_t* from) {
  if constexpr (sizeof(T) == 4) {
    return _mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), _mm256_set1_epi32(*from));
  } else {  // halves of doubles: 2 i and 2 i + 1
    const __m128i numbers =
        _mm_sub_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), _mm_set1_epi32(*from));
    const __m256i low = _mm256_slli_epi64(_mm256_cvtepi32_epi64(numbers), 1);
    return _mm256_or_si256(low, _mm256_slli_epi64(_mm256_add_epi64(low, _mm256_set1_epi64x(1)), 32));
  }
}
PCX_INLINE __m256 permute(__m256 v, __m256i numbers) { return _mm256_permutevar8x32_ps(v, numbers); }
PCX_INLINE __m256d permute(__m256d v, __m256i numbers) {
  return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(v), numbers));
}
// The same of two or four vectors, one after the other: bits 3 and 4 tell which. And the number after each.
PCX_INLINE __m256 permute(__m256 a, __m256 b, __m256i numbers) {
  const __m256 of_b = _mm256_castsi256_ps(_mm256_slli_epi32(numbers, 28));
  return _mm256_blendv_ps(permute(a, numbers), permute(b, numbers), of_b);
}
PCX_INLINE __m256d permute(__m256d a, __m256d b, __m256i numbers) {
  const __m256d of_b = _mm256_castsi256_pd(_mm256_slli_epi32(numbers, 28));
  return _mm256_blendv_pd(permute(a, numbers), permute(b, numbers), of_b);
}
PCX_INLINE __m256 permute(__m256 a, __m256 b, __m256 c, __m256 d, __m256i numbers) {
  const __m256 of_others = _mm256_castsi256_ps(_mm256_slli_epi32(numbers, 27));
  return _mm256_blendv_ps(permute(a, b, numbers), permute(c, d, numbers), of_others);
}
PCX_INLINE __m256d permute(__m256d a, __m256d b, __m256d c, __m256d d, __m256i numbers) {
  const __m256d of_others = _mm256_castsi256_pd(_mm256_slli_epi32(numbers, 27));
  return _mm256_blendv_pd(permute(a, b, numbers), permute(c, d, numbers), of_others);
}
template <class T>
PCX_INLINE __m256i following(__m256i numbers) {
  return _mm256_add_epi32(numbers, _mm256_set1_epi32(sizeof(T) / 4));
}
PCX_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
PCX_INLINE void prefetch_near(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
}  // the second cache
PCX_INLINE __m256 root(__m256 a) { return _mm256_sqrt_ps(a); }
PCX_INLINE __m256d root(__m256d a) { return _mm256_sqrt_pd(a); }

// As vhaddps, which takes twice as long on Zen 3.
PCX_INLINE __m256 sum_pairs(__m256 a, __m256 b) {
  return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
}
PCX_INLINE __m256 sum_each(const __m256 (&r)[8]) {  // lane i: the sum of r[i], neighbours first
  const __m256 low = sum_pairs(sum_pairs(r[0], r[1]), sum_pairs(r[2], r[3]));
  const __m256 high = sum_pairs(sum_pairs(r[4], r[5]), sum_pairs(r[6], r[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}
PCX_INLINE __m256d sum_each(const __m256d (&r)[4]) {
  const __m256d low = _mm256_hadd_pd(r[0], r[1]), high = _mm256_hadd_pd(r[2], r[3]);
  return _mm256_add_pd(_mm256_permute2f128_pd(low, high, 0x20), _mm256_permute2f128_pd(low, high, 0x31));
}

// Each half of 4, or 2, vectors in itself.
PCX_INLINE void transpose_parts(__m256* r) {
  const __m256d t0 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
  const __m256d t1 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
  const __m256d t2 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
  const __m256d t3 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
  r[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
  r[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
  r[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
  r[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
}
PCX_INLINE void transpose_parts(__m256d* r) {
  const __m256d low = _mm256_unpacklo_pd(r[0], r[1]);
  r[1] = _mm256_unpackhi_pd(r[0], r[1]);
  r[0] = low;
}

PCX_INLINE void transpose_block(__m256 (&r)[8]) {
  transpose_parts(r);
  transpose_parts(r + 4);
  PCX_UNROLL
  for (int j = 0; j < 4; ++j) {
    const __m256 low = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
    r[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
    r[j] = low;
  }
}

PCX_INLINE void transpose_block(__m256d (&r)[4]) {
  const __m256d t0 = _mm256_unpacklo_pd(r[0], r[1]), t1 = _mm256_unpackhi_pd(r[0], r[1]);
  const __m256d t2 = _mm256_unpacklo_pd(r[2], r[3]), t3 = _mm256_unpackhi_pd(r[2], r[3]);
  r[0] = _mm256_permute2f128_pd(t0, t2, 0x20);
  r[1] = _mm256_permute2f128_pd(t1, t3, 0x20);
  r[2] = _mm256_permute2f128_pd(t0, t2, 0x31);
  r[3] = _mm256_permute2f128_pd(t1, t3, 0x31);
}

// The first n elements of 16 bytes, at least two.
PCX_INLINE __m128 load_part(const float* p, int n) {
  if (n == 4) return _mm_loadu_ps(p);
  const __m128 two = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(p));
  return n == 3 ? _mm_movelh_ps(two, _mm_load_ss(p + 2)) : two;
}
PCX_INLINE void store_part(float* p, __m128 v, int n) {
  if (n == 4) return _mm_storeu_ps(p, v);
  _mm_storel_pi(reinterpret_cast<__m64*>(p), v);
  if (n == 3) _mm_store_ss(p + 2, _mm_movehl_ps(v, v));
}

// The first n elements (at least two) of the 16 bytes at p in a half, of those `step` further in the other; halves [0,
// count).
PCX_INLINE __m256 load_parts(const float* p, index step, int n, index count) {
  const __m128 low = count > 0 ? load_part(p, n) : _mm_setzero_ps();
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), count > 1 ? load_part(p + step, n) : _mm_setzero_ps(), 1);
}
PCX_INLINE __m256d load_parts(const double* p, index step, int, index count) {
  const __m128d low = count > 0 ? _mm_loadu_pd(p) : _mm_setzero_pd();
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(low), count > 1 ? _mm_loadu_pd(p + step) : _mm_setzero_pd(), 1);
}
PCX_INLINE void store_parts(float* p, index step, __m256 v, int n, index count) {
  if (count > 0) store_part(p, _mm256_castps256_ps128(v), n);
  if (count > 1) store_part(p + step, _mm256_extractf128_ps(v, 1), n);
}
PCX_INLINE void store_parts(double* p, index step, __m256d v, int, index count) {
  if (count > 0) _mm_storeu_pd(p, _mm256_castpd256_pd128(v));
  if (count > 1) _mm_storeu_pd(p + step, _mm256_extractf128_pd(v, 1));
}
