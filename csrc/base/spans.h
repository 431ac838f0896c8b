// Large blocks, cut from chunks of the system's memory: a free span is split for a smaller block and merged with its
// neighbours when blocks come back. So memory that served one size serves the next, where a list for every size would
// keep the most that each size ever had. Where no span is large enough, the pages of free chunks move to a new chunk:
// to give them back and take others costs the clearing of each. Not thread-safe: the pool locks.
#pragma once
#include <cstddef>

#include "base/pages.h"

namespace pcx {

class Spans {
 public:
  explicit Spans(const PageSource& pages) : pages_(pages) {}

  // A block of at least `bytes`, aligned to a cache line, or nullptr if the system has none.
  void* take(std::size_t bytes);
  void give(void* block) noexcept;
  std::size_t size_of(const void* block) const noexcept;  // at least what `take` was asked for

  void trim(std::size_t keep) noexcept;  // gives wholly free chunks back until at most `keep` bytes are free
  std::size_t free_bytes() const noexcept { return free_bytes_; }

  static constexpr std::size_t grain = 64 << 10;

 private:
  struct Span;
  struct Chunk;

  Span* best_fit(std::size_t bytes) const noexcept;
  Chunk* grow(std::size_t bytes);
  char* take_chunk(std::size_t keep, std::size_t size);
  bool gather(char* memory, std::size_t size) noexcept;
  Chunk* least_spare() const noexcept;
  char* cut_page(Chunk* chunk) noexcept;
  void release(Chunk* chunk) noexcept;
  void forget(Chunk* chunk) noexcept;

  const PageSource& pages_;
  Chunk* chunks_ = nullptr;
  std::size_t free_bytes_ = 0;
};

}  // namespace pcx
