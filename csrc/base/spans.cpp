#include "base/spans.h"

#include <new>

namespace pcx {

// Every span, free or not, begins with this; the block that callers see begins one line later.
struct alignas(64) Spans::Span {
  Chunk* chunk;
  std::size_t size;      // this line included
  Span *before, *after;  // neighbours in memory
  bool is_free;
};

struct Spans::Chunk {
  std::size_t size;
  Span* first;
  Chunk *previous, *next;
};

namespace {

constexpr std::size_t share = 4;

std::size_t round_up(std::size_t bytes, std::size_t grain) { return (bytes + grain - 1) / grain * grain; }

}  // namespace

void* Spans::take(std::size_t bytes) {
  bytes = round_up(bytes + sizeof(Span), grain);
  Span* span = best_fit(bytes);
  if (!span) {
    Chunk* chunk = grow(bytes);
    if (!chunk) return nullptr;
    span = chunk->first;
  }
  if (span->size > bytes) {
    char* rest_begins = reinterpret_cast<char*>(span) + bytes;
    Span* rest = new (rest_begins) Span{span->chunk, span->size - bytes, span, span->after, true};
    if (rest->after) rest->after->before = rest;
    span->after = rest;
    span->size = bytes;
  }
  span->is_free = false;
  free_bytes_ -= span->size;
  return span + 1;
}

void Spans::give(void* block) noexcept {
  Span* span = static_cast<Span*>(block) - 1;
  span->is_free = true;
  free_bytes_ += span->size;
  const auto join = [](Span* left, Span* right) {
    left->size += right->size;
    left->after = right->after;
    if (left->after) left->after->before = left;
  };
  if (span->after && span->after->is_free) join(span, span->after);
  if (span->before && span->before->is_free) join(span->before, span);
}

std::size_t Spans::size_of(const void* block) const noexcept {
  return (static_cast<const Span*>(block) - 1)->size - sizeof(Span);
}

// The smallest free span that holds `bytes`: a few dozen are looked at, for blocks that take far longer to fill. Not in
// a chunk more than `share` times as large: small blocks that are kept would leave it in pieces.
Spans::Span* Spans::best_fit(std::size_t bytes) const noexcept {
  Span* best = nullptr;
  for (Chunk* chunk = chunks_; chunk; chunk = chunk->next) {
    if (chunk->size > share * bytes) continue;
    for (Span* span = chunk->first; span; span = span->after)
      if (span->is_free && span->size >= bytes && (!best || span->size < best->size)) best = span;
  }
  return best;
}

// A new chunk. Free chunks that were too small go first, up to its size: they became one that is large enough.
Spans::Chunk* Spans::grow(std::size_t bytes) {
  const std::size_t size = bytes > least_chunk ? bytes : least_chunk;
  trim(free_bytes_ > size ? free_bytes_ - size : 0);
  void* memory = take_(size);
  if (!memory) {
    trim(0);
    memory = take_(size);
  }
  Chunk* chunk = memory ? new (std::nothrow) Chunk{size, nullptr, nullptr, chunks_} : nullptr;
  if (!chunk) {
    if (memory) give_(memory, size);
    return nullptr;
  }
  chunk->first = new (memory) Span{chunk, size, nullptr, nullptr, true};
  if (chunks_) chunks_->previous = chunk;
  chunks_ = chunk;
  free_bytes_ += size;
  return chunk;
}

void Spans::trim(std::size_t keep) noexcept {
  for (Chunk* chunk = chunks_; chunk && free_bytes_ > keep;) {
    Chunk* const next = chunk->next;
    if (chunk->first->is_free && !chunk->first->after) release(chunk);
    chunk = next;
  }
}

void Spans::release(Chunk* chunk) noexcept {
  (chunk->previous ? chunk->previous->next : chunks_) = chunk->next;
  if (chunk->next) chunk->next->previous = chunk->previous;
  free_bytes_ -= chunk->size;
  give_(chunk->first, chunk->size);
  delete chunk;
}

}  // namespace pcx
