// Independent chains of fused multiply-adds and nothing else: what the processor can do at most.
// Compiled when a benchmark runs (peak.py). 16 chains keep four pipes of latency 4 busy and leave registers for m and
// c. NAME_fma(rounds, sink) does rounds * 16 * LANES multiply-adds and returns their number of operations.
#define STEP(i) a##i = a##i * m + c;
#define DECLARE(i) V a##i = {static_cast<float>(i)};
#define SUM(i) total += a##i[0];
#define ALL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

// AVX2 has 16 registers: 12 chains there, so that none goes to memory.
#define TWELVE(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define FMA_LOOP(NAME, TARGET, LANES, CHAINS, COUNT)                       \
  extern "C" TARGET double NAME##_fma(long rounds, volatile float* sink) { \
    typedef float V __attribute__((vector_size(4 * LANES)));               \
    CHAINS(DECLARE)                                                        \
    const V m = V{} + sink[0], c = V{} + sink[1];                          \
    for (long round = 0; round < rounds; ++round) {                        \
      CHAINS(STEP)                                                         \
    }                                                                      \
    float total = 0;                                                       \
    CHAINS(SUM)                                                            \
    sink[2] = total;                                                       \
    return 2.0 * LANES * COUNT * static_cast<double>(rounds);              \
  }

#if defined(__x86_64__)
FMA_LOOP(avx2, __attribute__((target("avx2,fma"))), 8, TWELVE, 12)
FMA_LOOP(avx512, __attribute__((target("avx512f"))), 16, ALL, 16)
#elif defined(__aarch64__)
FMA_LOOP(neon, , 4, ALL, 16)
#endif
