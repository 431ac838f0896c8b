// Memory for scratch and results, from one pool that keeps its pages: the first touch of a fresh page costs 4-5 us on
// a virtual machine. Large blocks are spans (spans.h) of chunks that are aligned to 2 MiB, on huge pages where the
// system has them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

namespace pcx {

struct PoolStats {
  std::size_t in_use, cached, peak, limit;  // bytes; cached is what could be handed out without asking the system
};

// What stays, as packed weights do, lies in chunks of its own: among results and scratch it would leave their chunks in
// pieces that serve nothing large and cannot be given back.
enum class Stay { brief, lasting };

void* pool_take(std::size_t bytes, Stay stay = Stay::brief);  // 64-byte aligned; throws std::bad_alloc
void pool_give(void* block) noexcept;
void pool_trim() noexcept;                        // gives every cached block back to the system
void pool_set_limit(std::size_t bytes) noexcept;  // the most that may stay cached
PoolStats pool_stats() noexcept;
void pool_reset_peak() noexcept;
void pool_set_poison(bool on) noexcept;  // for tests: every block is handed out full of 0xFF bytes: NaN

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t count, Stay stay = Stay::brief)
      : data_(count > 0 ? static_cast<T*>(pool_take(static_cast<std::size_t>(count) * sizeof(T), stay)) : nullptr) {}
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Buffer() { pool_give(data_); }
  T* data() const { return data_; }
  T* release() { return std::exchange(data_, nullptr); }

 private:
  T* data_ = nullptr;
};

}  // namespace pcx
