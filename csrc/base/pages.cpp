#include "base/pages.h"

#include <cstdint>
#include <cstdlib>

#if defined(_WIN32)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pcx {

namespace {

#if defined(__linux__)

void* take(std::size_t bytes) {
  const std::size_t mapped = bytes + huge_page;
  void* const all = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(all), end = begin + mapped;
  const std::uintptr_t piece = (begin + huge_page - 1) / huge_page * huge_page;
  if (piece > begin) munmap(all, piece - begin);
  if (end > piece + bytes) munmap(reinterpret_cast<void*>(piece + bytes), end - piece - bytes);
#if defined(MADV_HUGEPAGE)
  madvise(reinterpret_cast<void*>(piece), bytes, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<void*>(piece);
}

void give(void* memory, std::size_t bytes) noexcept { munmap(memory, bytes); }

// One page a call: a range that was put together from several would be refused.
bool move(void* from, void* to) noexcept {
  return mremap(from, huge_page, huge_page, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
}

#else

void* take(std::size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, huge_page);
#else
  void* memory = nullptr;
  return posix_memalign(&memory, huge_page, bytes) == 0 ? memory : nullptr;
#endif
}

void give(void* memory, std::size_t) noexcept {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

constexpr bool (*move)(void*, void*) noexcept = nullptr;

#endif

}  // namespace

const PageSource moving_pages{take, give, move}, still_pages{take, give, nullptr};

}  // namespace pcx
