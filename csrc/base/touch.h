// Reads that bring memory near.
#pragma once
#include <cstdint>

namespace pcx {

constexpr std::int64_t far_bytes = 16 << 20;  // of an array that is mostly in memory, not in the last cache

// Reads an element of each cache line, in the order of memory, as processors expect it: they fetch what comes next.
// A block that is read a line here and a line there comes from memory half as fast, and Zen 3 drops instructions that
// ask for lines beforehand where many are under way.
template <class T>
void touch(const T* from, std::int64_t count) {
  constexpr std::int64_t line = 64 / sizeof(T);
  const volatile T* const at = from;
  for (std::int64_t i = 0; i < count; i += line) static_cast<void>(at[i]);
  if (count > 0) static_cast<void>(at[count - 1]);
}

// The same of `count` elements from each of some pixels, `step` apart.
template <class T>
void touch(const T* from, std::int64_t pixels, std::int64_t step, std::int64_t count) {
  if (step == count) return touch(from, pixels * count);
  for (; pixels > 0; --pixels, from += step) touch(from, count);
}

}  // namespace pcx
