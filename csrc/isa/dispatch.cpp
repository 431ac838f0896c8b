#include "isa/dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace pcx {

namespace {

#if defined(__x86_64__) && !defined(_MSC_VER)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#elif defined(_M_X64)
// Leaf 7 names the instruction set, XGETBV says whether the system saves its registers.
bool has_features(int ebx_bits, unsigned long long state_bits) {
  int leaf[4];
  __cpuid(leaf, 1);
  const bool fma_and_osxsave = (leaf[2] & (1 << 12)) && (leaf[2] & (1 << 27));
  if (!fma_and_osxsave || (_xgetbv(0) & state_bits) != state_bits) return false;
  __cpuidex(leaf, 7, 0);
  return (leaf[1] & ebx_bits) == ebx_bits;
}
bool has_avx2() { return has_features(1 << 5, 0x6); }
bool has_avx512() { return has_avx2() && has_features((1 << 16) | (1 << 17) | (1 << 30) | (1 << 31), 0xe6); }
#endif
bool always() { return true; }

struct Candidate {
  const KernelTable& table;
  bool (*supported)();
};

// Best first.
const Candidate candidates[] = {
#if defined(__x86_64__) || defined(_M_X64)
    {avx512_table, has_avx512},
    {avx2_table, has_avx2},
#elif defined(__aarch64__) || defined(_M_ARM64)
    {neon_table, always},
#endif
    {scalar_table, always},
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const KernelTable* find(const std::string& name) {
  for (const Candidate& candidate : candidates) {
    if ((name.empty() || name == candidate.table.isa) && candidate.supported()) return &candidate.table;
  }
  throw std::invalid_argument("instruction set '" + name +
                              "' cannot run here; this processor and build have: " + joined(available_isas()));
}

std::atomic<const KernelTable*> active{nullptr};

const KernelTable* find_default() {
  const char* name = std::getenv("PYCONVX_ISA");
  return find(name ? name : "");
}

}  // namespace

const KernelTable& active_table() {
  const KernelTable* table = active.load(std::memory_order_relaxed);
  if (table) return *table;
  const KernelTable* found = find_default();
  return active.compare_exchange_strong(table, found) ? *found : *table;  // or another thread forced one meanwhile
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates) {
    if (candidate.supported()) names.emplace_back(candidate.table.isa);
  }
  return names;
}

void force_isa(const std::string& name) { active = name.empty() ? find_default() : find(name); }

}  // namespace pcx
