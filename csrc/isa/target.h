// The only macros of the project: they open a region that is compiled for one instruction set, and ask for inlining
// and unrolling there. Intrinsic headers are included before a region, never inside.
#pragma once

#define PCX_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define PCX_TARGET_BEGIN(features) \
  PCX_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define PCX_TARGET_END PCX_PRAGMA(clang attribute pop)
#define PCX_UNROLL PCX_PRAGMA(unroll)
#elif defined(__GNUC__)
#define PCX_TARGET_BEGIN(features) PCX_PRAGMA(GCC push_options) PCX_PRAGMA(GCC target(features))
#define PCX_TARGET_END PCX_PRAGMA(GCC pop_options)
#define PCX_UNROLL PCX_PRAGMA(GCC unroll 64)
#else  // MSVC compiles every intrinsic everywhere
#define PCX_TARGET_BEGIN(features)
#define PCX_TARGET_END
#define PCX_UNROLL
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define PCX_INLINE static __forceinline
#else
#define PCX_INLINE static inline __attribute__((always_inline))
#endif
// Neither inlined nor copied for constant arguments.
#if defined(_MSC_VER) && !defined(__clang__)
#define PCX_APART static __declspec(noinline)
#elif defined(__clang__)
#define PCX_APART static __attribute__((noinline))
#else
#define PCX_APART static __attribute__((noinline, noclone))
#endif
