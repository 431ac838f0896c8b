// AVX-512 for processors without it: every intrinsic that csrc/simd/avx512.inl uses, as loops over lanes. Slow, and
// only for the checker. One that is missing here fails to compile: the real one needs a target that is not asked for.
#pragma once
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace pcx::emulated {

template <class V>
using Lane = std::conditional_t<
    std::is_same_v<V, __m512> || std::is_same_v<V, __m256> || std::is_same_v<V, __m128>, float,
    std::conditional_t<std::is_same_v<V, __m512d> || std::is_same_v<V, __m256d> || std::is_same_v<V, __m128d>, double,
                       std::uint32_t>>;

// The lanes of a vector, as numbers that can be read and written.
template <class V, class L = Lane<V>>
struct Lanes {
  static constexpr int count = sizeof(V) / sizeof(L);
  L at[count];

  Lanes() : at{} {}
  explicit Lanes(const V& v) { std::memcpy(at, &v, sizeof v); }
  V vector() const {
    V v;
    std::memcpy(&v, at, sizeof v);
    return v;
  }
};

template <class V, class L = Lane<V>, class F>
V each(F value) {
  Lanes<V, L> r;
  for (int i = 0; i < r.count; ++i) r.at[i] = value(i);
  return r.vector();
}
template <class V, class F>
V map(V a, F f) {
  const Lanes<V> x(a);
  return each<V>([&](int i) { return f(x.at[i]); });
}
template <class V, class F>
V map(V a, V b, F f) {
  const Lanes<V> x(a), y(b);
  return each<V>([&](int i) { return f(x.at[i], y.at[i]); });
}
inline bool has(unsigned mask, int i) { return mask >> i & 1; }

template <class V>
V add(V a, V b) {
  return map(a, b, [](auto x, auto y) { return x + y; });
}
template <class V>
V sub(V a, V b) {
  return map(a, b, [](auto x, auto y) { return x - y; });
}
template <class V>
V div(V a, V b) {
  return map(a, b, [](auto x, auto y) { return x / y; });
}
template <class V>
V max(V a, V b) {
  return map(a, b, [](auto x, auto y) { return x > y ? x : y; });
}
template <class V>
V sqrt(V a) {
  return map(a, [](auto x) { return std::sqrt(x); });
}
template <class V>
V abs(V a) {
  return map(a, [](auto x) { return std::fabs(x); });
}
template <class V>
V fmadd(V a, V b, V c) {
  const Lanes<V> x(a), y(b), z(c);
  return each<V>([&](int i) { return std::fma(x.at[i], y.at[i], z.at[i]); });
}
template <class V>
V fnmadd(V a, V b, V c) {
  const Lanes<V> x(a), y(b), z(c);
  return each<V>([&](int i) { return std::fma(-x.at[i], y.at[i], z.at[i]); });
}
template <class V>
V mul(V a, V b) {
  return map(a, b, [](auto x, auto y) { return x * y; });
}
template <class V>
V set1(Lane<V> a) {
  return each<V>([&](int) { return a; });
}
inline __m512i set1_epi64(long long a) {
  return each<__m512i, std::int64_t>([&](int) { return a; });
}

template <class V, class P>
V load(const P* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class P>
void store(P* p, V v) {
  std::memcpy(p, &v, sizeof v);
}
template <class V, class P>
void aligned_store(P* p, V v) {  // elsewhere the processor faults
  if (reinterpret_cast<std::uintptr_t>(p) % sizeof v != 0) std::abort();
  store(p, v);
}
template <class V, class L = Lane<V>>
V masked_load(unsigned mask, const void* p) {
  return each<V, L>([&](int i) {
    L value{};
    if (has(mask, i)) std::memcpy(&value, static_cast<const L*>(p) + i, sizeof value);
    return value;
  });
}
template <class V, class L = Lane<V>>
void masked_store(void* p, unsigned mask, V v) {
  const Lanes<V, L> x(v);
  for (int i = 0; i < x.count; ++i) {
    if (has(mask, i)) std::memcpy(static_cast<L*>(p) + i, &x.at[i], sizeof(L));
  }
}
inline __m256 round(__m512d v) {
  const Lanes<__m512d> x(v);
  return each<__m256>([&](int i) { return static_cast<float>(x.at[i]); });
}
inline __m512d double_of(__m256 v) {
  const Lanes<__m256> x(v);
  return each<__m512d>([&](int i) { return static_cast<double>(x.at[i]); });
}
template <class V, class Q>
V first_half(Q v) {  // what follows is undefined
  const Lanes<Q> x(v);
  return each<V>([&](int i) { return i < x.count ? x.at[i] : -1; });
}
inline __m512d insert_half(__m512d v, __m256d part, int half) {
  const Lanes<__m512d> x(v);
  const Lanes<__m256d> y(part);
  return each<__m512d>([&](int i) { return i / 4 == half ? y.at[i % 4] : x.at[i]; });
}
template <class V, class Q>
V zero_but_first(Q part) {
  const Lanes<Q> x(part);
  return each<V>([&](int i) { return i < x.count ? x.at[i] : 0; });
}
template <class V, class Q>
V insert_quarter(V v, Q part, int quarter) {
  const Lanes<V> x(v);
  const Lanes<Q> y(part);
  return each<V>([&](int i) { return i / y.count == quarter ? y.at[i % y.count] : x.at[i]; });
}
template <class Q, class V>
Q extract_quarter(V v, int quarter) {  // or a half: so many lanes as Q has
  const Lanes<V> x(v);
  return each<Q>([&](int i) { return x.at[quarter * Lanes<Q>::count + i]; });
}
template <class Q, class V>
Q first_quarter(V v) {
  return extract_quarter<Q>(v, 0);
}
template <class V>
V zero_unless(unsigned mask, V v) {
  const Lanes<V> x(v);
  return each<V>([&](int i) { return has(mask, i) ? x.at[i] : Lane<V>(0); });
}
template <class V>
V blend(unsigned mask, V a, V b) {  // b where the bit is set
  const Lanes<V> x(a), y(b);
  return each<V>([&](int i) { return has(mask, i) ? y.at[i] : x.at[i]; });
}

// Lanes of integers of one width to those of another: `Whole` is the vector of wide lanes of type W.
template <class Whole, class W, class N, class Part>
Whole widen(const Part& part) {
  const Lanes<Part, N> x(part);
  return each<Whole, W>([&](int i) { return W(x.at[i]); });
}
template <class W, class N, class V>
void masked_narrow(void* p, unsigned mask, V v) {
  const Lanes<V, W> x(v);
  for (int i = 0; i < x.count; ++i) {
    const N value = static_cast<N>(x.at[i]);
    if (has(mask, i)) std::memcpy(static_cast<N*>(p) + i, &value, sizeof value);
  }
}

template <class V>
unsigned compare(V a, V b, int predicate) {
  const Lanes<V> x(a), y(b);
  unsigned mask = 0;
  for (int i = 0; i < x.count; ++i) {
    const auto l = x.at[i], r = y.at[i];
    const bool holds = predicate == _CMP_NLE_UQ    ? !(l <= r)
                       : predicate == _CMP_ORD_Q   ? l == l && r == r
                       : predicate == _CMP_UNORD_Q ? l != l || r != r
                       : predicate == _CMP_NEQ_UQ  ? !(l == r)
                                                   : (std::abort(), false);
    mask |= unsigned(holds) << i;
  }
  return mask;
}
template <class W, class V>
unsigned equal(V a, V b) {
  const Lanes<V, W> x(a), y(b);
  unsigned mask = 0;
  for (int i = 0; i < x.count; ++i) mask |= unsigned(x.at[i] == y.at[i]) << i;
  return mask;
}

// Within each quarter of 128 bits, n lanes.
template <class V>
constexpr int quarter = 16 / sizeof(Lane<V>);
template <class V>
V unpack(V a, V b, bool high) {
  const Lanes<V> x(a), y(b);
  return each<V>([&](int i) {
    const int n = quarter<V>, from = i / n * n + i % n / 2 + (high ? n / 2 : 0);
    return i % 2 ? y.at[from] : x.at[from];
  });
}
inline __m512 shuffle(__m512 a, __m512 b, int control) {
  const Lanes<__m512> x(a), y(b);
  return each<__m512>([&](int i) {
    const int from = i / 4 * 4 + (control >> 2 * (i % 4) & 3);
    return i % 4 < 2 ? x.at[from] : y.at[from];
  });
}
template <class V>
V shuffle_quarters(V a, V b, int control) {
  const Lanes<V> x(a), y(b);
  return each<V>([&](int i) {
    const int n = quarter<V>, q = i / n, from = (control >> 2 * q & 3) * n + i % n;
    return q < 2 ? x.at[from] : y.at[from];
  });
}

template <class To, class From>
To cast(From v) {
  To to;
  std::memcpy(&to, &v, sizeof to);
  return to;
}

// Lane i of the result is lane numbers[i] of v; `Number` is as wide as a lane.
template <class V, class Number>
V permute(__m512i numbers, V v) {
  const Lanes<__m512i, Number> from(numbers);
  const Lanes<V> x(v);
  return each<V>([&](int i) { return x.at[from.at[i] % static_cast<Number>(x.count)]; });
}
template <class V, class Number>
V permute_both(V a, __m512i numbers, V b) {
  const Lanes<__m512i, Number> from(numbers);
  const Lanes<V> x(a), y(b);
  return each<V>([&](int i) {
    const Number number = from.at[i] % static_cast<Number>(2 * x.count), count = static_cast<Number>(x.count);
    return number < count ? x.at[number] : y.at[number - count];
  });
}
template <class Number>
unsigned test(__m512i a, __m512i b) {  // a bit for each lane
  const Lanes<__m512i, Number> x(a), y(b);
  unsigned bits = 0;
  for (int i = 0; i < x.count; ++i) bits |= unsigned((x.at[i] & y.at[i]) != 0) << i;
  return bits;
}
inline __m512i add_epi64(__m512i a, __m512i b) {
  const Lanes<__m512i, std::int64_t> x(a), y(b);
  return each<__m512i, std::int64_t>([&](int i) { return x.at[i] + y.at[i]; });
}

}  // namespace pcx::emulated

#define PCX_E ::pcx::emulated
#define _mm512_add_ps PCX_E::add<__m512>
#define _mm512_add_pd PCX_E::add<__m512d>
#define _mm512_sub_ps PCX_E::sub<__m512>
#define _mm512_sub_pd PCX_E::sub<__m512d>
#define _mm512_sub_epi32 PCX_E::sub<__m512i>
#define _mm512_add_epi32 PCX_E::add<__m512i>
#define _mm512_add_epi64 PCX_E::add_epi64
#define _mm512_test_epi32_mask PCX_E::test<std::int32_t>
#define _mm512_test_epi64_mask PCX_E::test<std::int64_t>
#define _mm512_permutex2var_ps PCX_E::permute_both<__m512, std::uint32_t>
#define _mm512_permutex2var_pd PCX_E::permute_both<__m512d, std::uint64_t>
#define _mm512_permutexvar_ps PCX_E::permute<__m512, std::uint32_t>
#define _mm512_permutexvar_pd PCX_E::permute<__m512d, std::uint64_t>
#define _mm512_div_ps PCX_E::div<__m512>
#define _mm512_div_pd PCX_E::div<__m512d>
#define _mm512_max_ps PCX_E::max<__m512>
#define _mm512_max_pd PCX_E::max<__m512d>
#define _mm512_sqrt_ps PCX_E::sqrt<__m512>
#define _mm512_sqrt_pd PCX_E::sqrt<__m512d>
#define _mm512_abs_ps PCX_E::abs<__m512>
#define _mm512_abs_pd PCX_E::abs<__m512d>
#define _mm512_fmadd_ps PCX_E::fmadd<__m512>
#define _mm512_fmadd_pd PCX_E::fmadd<__m512d>
#define _mm512_fnmadd_ps PCX_E::fnmadd<__m512>
#define _mm512_fnmadd_pd PCX_E::fnmadd<__m512d>
#define _mm512_mul_ps PCX_E::mul<__m512>
#define _mm512_mul_pd PCX_E::mul<__m512d>
#define _mm512_setzero_ps() PCX_E::set1<__m512>(0)
#define _mm512_setzero_pd() PCX_E::set1<__m512d>(0)
#define _mm512_set1_ps PCX_E::set1<__m512>
#define _mm512_set1_pd PCX_E::set1<__m512d>
#define _mm512_set1_epi32 PCX_E::set1<__m512i>
#define _mm512_set1_epi64 PCX_E::set1_epi64
#define _mm512_loadu_ps PCX_E::load<__m512>
#define _mm512_loadu_pd PCX_E::load<__m512d>
#define _mm512_loadu_si512 PCX_E::load<__m512i>
#define _mm512_storeu_ps PCX_E::store
#define _mm512_storeu_pd PCX_E::store
#define _mm512_stream_ps PCX_E::aligned_store
#define _mm512_stream_pd PCX_E::aligned_store
#define _mm512_maskz_loadu_ps PCX_E::masked_load<__m512>
#define _mm512_maskz_loadu_pd PCX_E::masked_load<__m512d>
#define _mm512_maskz_loadu_epi32 PCX_E::masked_load<__m512i>
#define _mm256_maskz_loadu_ps PCX_E::masked_load<__m256>
#define _mm256_maskz_loadu_epi32 PCX_E::masked_load<__m256i>
#define _mm256_maskz_loadu_epi16 PCX_E::masked_load<__m256i, std::uint16_t>
#define _mm_maskz_loadu_ps PCX_E::masked_load<__m128>
#define _mm_maskz_loadu_epi16 PCX_E::masked_load<__m128i, std::uint16_t>
#define _mm_maskz_loadu_epi8 PCX_E::masked_load<__m128i, std::uint8_t>
#define _mm512_mask_storeu_ps PCX_E::masked_store
#define _mm512_mask_storeu_pd PCX_E::masked_store
#define _mm512_mask_storeu_epi32 PCX_E::masked_store
#define _mm256_mask_storeu_ps PCX_E::masked_store
#define _mm_mask_storeu_ps PCX_E::masked_store
#define _mm512_cvtpd_ps PCX_E::round
#define _mm512_cvtps_pd PCX_E::double_of
#define _mm512_maskz_mov_ps PCX_E::zero_unless<__m512>
#define _mm512_maskz_mov_pd PCX_E::zero_unless<__m512d>
#define _mm512_maskz_div_ps(mask, a, b) PCX_E::zero_unless(mask, PCX_E::div<__m512>(a, b))
#define _mm512_maskz_div_pd(mask, a, b) PCX_E::zero_unless(mask, PCX_E::div<__m512d>(a, b))
#define _mm512_mask_blend_ps PCX_E::blend<__m512>
#define _mm512_mask_blend_pd PCX_E::blend<__m512d>
#define _mm512_cvtepu8_epi32 PCX_E::widen<__m512i, std::uint32_t, std::uint8_t>
#define _mm512_cvtepu16_epi32 PCX_E::widen<__m512i, std::uint32_t, std::uint16_t>
#define _mm512_cvtepu8_epi64 PCX_E::widen<__m512i, std::uint64_t, std::uint8_t>
#define _mm512_cvtepu16_epi64 PCX_E::widen<__m512i, std::uint64_t, std::uint16_t>
#define _mm512_cvtepi32_epi64 PCX_E::widen<__m512i, std::int64_t, std::int32_t>
#define _mm512_cvtepu32_epi64 PCX_E::widen<__m512i, std::uint64_t, std::uint32_t>
#define _mm512_mask_cvtepi32_storeu_epi8 PCX_E::masked_narrow<std::uint32_t, std::uint8_t>
#define _mm512_mask_cvtepi32_storeu_epi16 PCX_E::masked_narrow<std::uint32_t, std::uint16_t>
#define _mm512_mask_cvtepi64_storeu_epi8 PCX_E::masked_narrow<std::uint64_t, std::uint8_t>
#define _mm512_mask_cvtepi64_storeu_epi16 PCX_E::masked_narrow<std::uint64_t, std::uint16_t>
#define _mm512_mask_cvtepi64_storeu_epi32 PCX_E::masked_narrow<std::uint64_t, std::uint32_t>
#undef _mm512_cmp_ps_mask
#undef _mm512_cmp_pd_mask
#undef _mm256_cmp_ps_mask
#undef _mm512_mask_cmp_ps_mask
#undef _mm512_mask_cmp_pd_mask
#define _mm512_cmp_ps_mask PCX_E::compare<__m512>
#define _mm512_cmp_pd_mask PCX_E::compare<__m512d>
#define _mm256_cmp_ps_mask PCX_E::compare<__m256>
#define _mm512_mask_cmp_ps_mask(mask, a, b, predicate) ((mask) & PCX_E::compare<__m512>(a, b, predicate))
#define _mm512_mask_cmp_pd_mask(mask, a, b, predicate) ((mask) & PCX_E::compare<__m512d>(a, b, predicate))
#define _mm512_cmpeq_epi32_mask PCX_E::equal<std::uint32_t>
#define _mm512_cmpeq_epi64_mask PCX_E::equal<std::uint64_t>
#undef _mm512_insertf64x4
#undef _mm512_insertf32x4
#undef _mm512_insertf64x2
#undef _mm512_extractf32x4_ps
#undef _mm512_extractf32x8_ps
#undef _mm512_extractf64x4_pd
#undef _mm512_extractf64x2_pd
#undef _mm512_shuffle_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_f64x2
#define _mm512_unpacklo_ps(a, b) PCX_E::unpack<__m512>(a, b, false)
#define _mm512_unpackhi_ps(a, b) PCX_E::unpack<__m512>(a, b, true)
#define _mm512_unpacklo_pd(a, b) PCX_E::unpack<__m512d>(a, b, false)
#define _mm512_unpackhi_pd(a, b) PCX_E::unpack<__m512d>(a, b, true)
#define _mm512_shuffle_ps PCX_E::shuffle
#define _mm512_shuffle_f32x4 PCX_E::shuffle_quarters<__m512>
#define _mm512_shuffle_f64x2 PCX_E::shuffle_quarters<__m512d>
#define _mm512_castpd256_pd512 PCX_E::first_half<__m512d>
#define _mm512_insertf64x4 PCX_E::insert_half
#define _mm512_insertf32x4 PCX_E::insert_quarter<__m512, __m128>
#define _mm512_insertf64x2 PCX_E::insert_quarter<__m512d, __m128d>
#define _mm512_extractf32x4_ps PCX_E::extract_quarter<__m128>
#define _mm512_extractf64x2_pd PCX_E::extract_quarter<__m128d>
#define _mm512_extractf64x4_pd PCX_E::extract_quarter<__m256d>
#define _mm512_extractf32x8_ps PCX_E::extract_quarter<__m256>
#define _mm512_castps512_ps256 PCX_E::first_quarter<__m256>
#define _mm512_castps256_ps512 PCX_E::first_half<__m512>
#define _mm512_castps512_ps128 PCX_E::first_quarter<__m128>
#define _mm512_castpd512_pd128 PCX_E::first_quarter<__m128d>
#define _mm512_zextps128_ps512 PCX_E::zero_but_first<__m512>
#define _mm512_zextpd128_pd512 PCX_E::zero_but_first<__m512d>
#define _mm512_castps_pd PCX_E::cast<__m512d>
#define _mm512_castpd_ps PCX_E::cast<__m512>
#define _mm512_castps_si512 PCX_E::cast<__m512i>
#define _mm512_castpd_si512 PCX_E::cast<__m512i>
#define _mm512_castsi512_ps PCX_E::cast<__m512>
#define _mm512_castsi512_pd PCX_E::cast<__m512d>
