// Large pieces of the system's memory, in pages of their own: malloc may cut such pieces from its heap, which does not
// shrink below what is still in use. Aligned to a huge page, and on huge pages where the system has them.
#pragma once
#include <cstddef>

namespace pcx {

constexpr std::size_t huge_page = std::size_t{2} << 20;

// Where pieces come from: the system, or what a test puts in its place.
struct PageSource {
  void* (*take)(std::size_t bytes);                        // nullptr if there is no more
  void (*give)(void* memory, std::size_t bytes) noexcept;  // with `move`, also a part that ends where its piece does
  // Puts a huge page in the place of another, which is given back. Its former place is no longer the caller's; where it
  // fails, it still is, but the other one may not be. nullptr where pages cannot move.
  bool (*move)(void* from, void* to) noexcept;
};

extern const PageSource moving_pages, still_pages;  // of the system, with `move` where it can, and without

}  // namespace pcx
