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

  bool is_free() const { return first->is_free && !first->after; }
  char* memory() const { return reinterpret_cast<char*>(first); }
  Span* last() const;
  std::size_t spare() const;
};

namespace {

constexpr std::size_t share = 4;

std::size_t round_up(std::size_t bytes, std::size_t grain) { return (bytes + grain - 1) / grain * grain; }

}  // namespace

Spans::Span* Spans::Chunk::last() const {
  Span* span = first;
  while (span->after) span = span->after;
  return span;
}

// Bytes of the whole pages in the free end, where chunks consist of such pages.
std::size_t Spans::Chunk::spare() const {
  const Span* const end = last();
  const std::size_t offset = static_cast<std::size_t>(reinterpret_cast<const char*>(end) - memory());
  return end->is_free ? size - round_up(offset, huge_page) : 0;
}

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

// A new chunk. Free pages, which lie where it does not fit, become a part of it; where they cannot move, they go first.
Spans::Chunk* Spans::grow(std::size_t bytes) {
  const std::size_t size = pages_.move || bytes < huge_page ? round_up(bytes, huge_page) : bytes;
  char* memory = pages_.move ? static_cast<char*>(pages_.take(size)) : nullptr;
  if (memory && !gather(memory, size)) memory = nullptr;
  if (!memory) memory = take_chunk(free_bytes_ > size ? free_bytes_ - size : 0, size);
  if (!memory) memory = take_chunk(0, size);
  Chunk* chunk = memory ? new (std::nothrow) Chunk{size, nullptr, nullptr, chunks_} : nullptr;
  if (!chunk) {
    if (memory) pages_.give(memory, size);
    return nullptr;
  }
  chunk->first = new (memory) Span{chunk, size, nullptr, nullptr, true};
  if (chunks_) chunks_->previous = chunk;
  chunks_ = chunk;
  free_bytes_ += size;
  return chunk;
}

// Memory of the system's alone, after free chunks have gone until at most `keep` bytes are free.
char* Spans::take_chunk(std::size_t keep, std::size_t size) {
  trim(keep);
  return static_cast<char*>(pages_.take(size));
}

// Moves pages that are free to the beginning of `memory`. false: that failed, and `memory` has been given back.
bool Spans::gather(char* memory, std::size_t size) noexcept {
  for (std::size_t have = 0; have < size; have += huge_page) {
    Chunk* const donor = least_spare();
    if (!donor) break;
    char* const page = cut_page(donor);
    if (pages_.move(page, memory + have)) continue;
    pages_.give(page, huge_page);
    if (have) pages_.give(memory, have);
    if (size > have + huge_page) pages_.give(memory + have + huge_page, size - have - huge_page);
    return false;
  }
  return true;
}

// Who has the least to spare goes first: what is left stays in large pieces.
Spans::Chunk* Spans::least_spare() const noexcept {
  Chunk* least = nullptr;
  std::size_t spare = 0;
  for (Chunk* chunk = chunks_; chunk; chunk = chunk->next)
    if (const std::size_t its = chunk->spare(); its && (!least || its < spare)) least = chunk, spare = its;
  return least;
}

// Cuts the last page off, which is free: before it moves, for a span may begin in it.
char* Spans::cut_page(Chunk* chunk) noexcept {
  Span* const end = chunk->last();
  end->size -= huge_page;
  if (!end->size && end->before) end->before->after = nullptr;
  free_bytes_ -= huge_page;
  chunk->size -= huge_page;
  char* const page = chunk->memory() + chunk->size;
  if (!chunk->size) forget(chunk);
  return page;
}

void Spans::trim(std::size_t keep) noexcept {
  for (Chunk* chunk = chunks_; chunk && free_bytes_ > keep;) {
    Chunk* const next = chunk->next;
    if (chunk->is_free()) release(chunk);
    chunk = next;
  }
}

void Spans::release(Chunk* chunk) noexcept {
  free_bytes_ -= chunk->size;
  pages_.give(chunk->first, chunk->size);
  forget(chunk);
}

void Spans::forget(Chunk* chunk) noexcept {
  (chunk->previous ? chunk->previous->next : chunks_) = chunk->next;
  if (chunk->next) chunk->next->previous = chunk->previous;
  delete chunk;
}

}  // namespace pcx
