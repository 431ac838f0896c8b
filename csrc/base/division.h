// Whole numbers of parts.
#pragma once
#include <algorithm>
#include <cstdint>

namespace pcx {

// The smallest whole number that is not less than a / b; b > 0.
inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

inline std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

// The size of parts, of at most `most`, that are as even as they can be.
inline std::int64_t even_part(std::int64_t whole, std::int64_t most) {
  return divide_up(whole, divide_up(whole, most));
}

// Of `count` places first, first + step, ... those that lie in 0 .. extent - 1: [begin, end).
struct Inside {
  std::int64_t begin, end;

  Inside(std::int64_t first, std::int64_t step, std::int64_t count, std::int64_t extent) : begin(0), end(count) {
    // A division takes as long as copying a short row.
    if (first >= 0 && first + (count - 1) * step < extent) return;
    const std::int64_t outside = first < 0 ? -first : 0, left = first < extent ? extent - first : 0;
    begin = std::min(count, step == 1 ? outside : divide_up(outside, step));
    end = std::clamp(step == 1 ? left : divide_up(left, step), begin, count);
  }
};

// The last of 1 .. most for which holds(n), which then holds for all before; or 1.
template <class Holds>
std::int64_t last_of(std::int64_t most, const Holds& holds) {
  std::int64_t last = 1;
  while (last < most) {
    const std::int64_t middle = (last + most + 1) / 2;
    if (holds(middle))
      last = middle;
    else
      most = middle - 1;
  }
  return last;
}

}  // namespace pcx
