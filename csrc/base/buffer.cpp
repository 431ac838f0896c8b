#include "base/buffer.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "base/spans.h"

#if defined(_WIN32)
#include <malloc.h>
#else
#include <pthread.h>
#endif

namespace pcx {

namespace {

constexpr std::size_t line = 64;
constexpr std::size_t large = std::size_t{1} << 20;  // from here on a block is a span of a chunk
constexpr int in_brief = -1, in_lasting = -2;

// One cache line in front of every block: the pool must know the class of what comes back.
struct Header {
  std::size_t capacity;
  int size_class;  // or whose span it is
};
static_assert(sizeof(Header) <= line, "a header fits in front of the first aligned byte");

// Up to four classes an octave, capacity = steps << octave: at most a quarter is wasted.
int class_of(std::size_t bytes) {
  int octave = 6;
  while ((std::size_t{8} << octave) < bytes) ++octave;
  const int steps = static_cast<int>((bytes + (std::size_t{1} << octave) - 1) >> octave);  // 1..8
  return octave * 8 + steps - 1;
}
std::size_t capacity_of(int size_class) { return static_cast<std::size_t>(size_class % 8 + 1) << (size_class / 8); }

void* heap_take(std::size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, line);
#else
  void* block = nullptr;
  return posix_memalign(&block, line, bytes) == 0 ? block : nullptr;
#endif
}

void heap_give(void* block) noexcept {
#if defined(_WIN32)
  _aligned_free(block);
#else
  std::free(block);
#endif
}

struct Pool {
  std::mutex mutex;
  std::array<std::vector<Header*>, 64 * 8> free_blocks;  // the small ones
  Spans brief{moving_pages}, lasting{still_pages};  // what lasts seldom comes back: its chunks are as small as can be
  std::size_t in_use = 0, cached = 0, peak = 0, limit = std::size_t{1} << 30;  // cached: in free_blocks
  std::atomic<bool> poison{false};

  void count_out(std::size_t bytes) {
    in_use += bytes;
    if (in_use > peak) peak = in_use;
  }
  std::size_t free_bytes() const { return brief.free_bytes() + lasting.free_bytes() + cached; }

  // Gives free spans back until at most `keep` bytes are free, if that is enough.
  void trim_spans(std::size_t keep) {
    for (Spans* spans : {&brief, &lasting}) {
      const std::size_t others = free_bytes() - spans->free_bytes();
      spans->trim(keep > others ? keep - others : 0);
    }
  }
};

// Never destroyed: arrays may come back after static destructors have run.
Pool& pool() {
  static Pool* const instance = [] {
#if !defined(_WIN32)
    // A fork while another thread holds the mutex must not leave it locked for ever in the child.
    pthread_atfork([] { pool().mutex.lock(); }, [] { pool().mutex.unlock(); }, [] { pool().mutex.unlock(); });
#endif
    return new Pool;
  }();
  return *instance;
}

Header* take_cached(Pool& p, int size_class) {
  std::lock_guard<std::mutex> lock(p.mutex);
  auto& list = p.free_blocks[size_class];
  if (list.empty()) return nullptr;
  Header* header = list.back();
  list.pop_back();
  p.cached -= header->capacity;
  p.count_out(header->capacity);
  return header;
}

Header* take_fresh(Pool& p, int size_class) {
  const std::size_t capacity = capacity_of(size_class);
  void* block = heap_take(capacity);
  if (!block) {
    pool_trim();
    block = heap_take(capacity);
  }
  if (!block) throw std::bad_alloc();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.count_out(capacity);
  return new (block) Header{capacity, size_class};
}

Header* take_span(Pool& p, std::size_t bytes, Stay stay) {
  std::lock_guard<std::mutex> lock(p.mutex);
  Spans& spans = stay == Stay::lasting ? p.lasting : p.brief;
  void* block = spans.take(bytes);
  if (!block) {
    p.trim_spans(0);
    block = spans.take(bytes);
  }
  if (!block) throw std::bad_alloc();
  const std::size_t capacity = spans.size_of(block);
  p.count_out(capacity);
  return new (block) Header{capacity, stay == Stay::lasting ? in_lasting : in_brief};
}

}  // namespace

void* pool_take(std::size_t bytes, Stay stay) {
  if (bytes > (std::size_t{1} << 60)) throw std::bad_alloc();
  Pool& p = pool();
  Header* header = nullptr;
  if (bytes >= large) {
    header = take_span(p, bytes + line, stay);
  } else {
    const int size_class = class_of(bytes + line);
    header = take_cached(p, size_class);
    if (!header) header = take_fresh(p, size_class);
  }
  void* data = reinterpret_cast<char*>(header) + line;
  if (p.poison.load(std::memory_order_relaxed)) std::memset(data, 0xFF, header->capacity - line);
  return data;
}

void pool_give(void* data) noexcept {
  if (!data) return;
  Header* header = reinterpret_cast<Header*>(static_cast<char*>(data) - line);
  Pool& p = pool();
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    p.in_use -= header->capacity;
    if (header->size_class < 0) {
      (header->size_class == in_lasting ? p.lasting : p.brief).give(header);
      if (p.free_bytes() > p.limit) p.trim_spans(p.limit);
      return;
    }
    if (p.free_bytes() + header->capacity <= p.limit) {
      try {
        p.free_blocks[header->size_class].push_back(header);
        p.cached += header->capacity;
        return;
      } catch (const std::bad_alloc&) {  // no room to remember it: give it back below
      }
    }
  }
  heap_give(header);
}

void pool_trim() noexcept {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  for (auto& list : p.free_blocks) {
    for (Header* header : list) heap_give(header);
    list.clear();
  }
  p.cached = 0;
  p.trim_spans(0);
}

void pool_set_limit(std::size_t bytes) noexcept {
  Pool& p = pool();
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    p.limit = bytes;
    if (p.free_bytes() <= bytes) return;
  }
  pool_trim();
}

PoolStats pool_stats() noexcept {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  return {p.in_use, p.free_bytes(), p.peak, p.limit};
}

void pool_reset_peak() noexcept {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.peak = p.in_use;
}

void pool_set_poison(bool on) noexcept { pool().poison = on; }

}  // namespace pcx
