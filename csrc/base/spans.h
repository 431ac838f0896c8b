// Large blocks, cut from chunks of the system's memory: a free span is split for a smaller block and merged with its
// neighbours when blocks come back. So memory that served one size serves the next, where a list for every size would
// keep the most that each size ever had. Not thread-safe: the pool locks.
#pragma once
#include <cstddef>

namespace pcx {

class Spans {
 public:
  Spans(void* (*take)(std::size_t), void (*give)(void*, std::size_t) noexcept) : take_(take), give_(give) {}

  // A block of at least `bytes`, aligned to a cache line, or nullptr if the system has none.
  void* take(std::size_t bytes);
  void give(void* block) noexcept;
  std::size_t size_of(const void* block) const noexcept;  // at least what `take` was asked for

  void trim(std::size_t keep) noexcept;  // gives wholly free chunks back until at most `keep` bytes are free
  std::size_t free_bytes() const noexcept { return free_bytes_; }

  static constexpr std::size_t grain = 64 << 10, least_chunk = 2 << 20;

 private:
  struct Span;
  struct Chunk;

  Span* best_fit(std::size_t bytes) const noexcept;
  Chunk* grow(std::size_t bytes);
  void release(Chunk* chunk) noexcept;

  void* (*take_)(std::size_t);
  void (*give_)(void*, std::size_t) noexcept;
  Chunk* chunks_ = nullptr;
  std::size_t free_bytes_ = 0;
};

}  // namespace pcx
