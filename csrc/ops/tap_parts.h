// Parts of an axis whose positions need the same taps: the others meet padding from there, and are left out. Of a
// picture of few rows, or a kernel that is large beside it, that is much of the work.
#pragma once
#include <array>

#include "ops/correlation.h"

namespace pcx {

struct TapPart {
  index first, end;  // positions
  index tap, taps;   // those that they need; one at least
};

struct TapParts {
  static constexpr index most = 7;
  std::array<TapPart, most> part{};
  index count = 0;

  // Of an ascending axis: one part with all taps where little would be left out.
  explicit TapParts(const CorrelationAxis& axis);
  const TapPart& operator[](index i) const { return part[static_cast<std::size_t>(i)]; }
  void add(const CorrelationAxis& axis, index begin, index end, index pieces);
  void take_all(const CorrelationAxis& axis);  // one part, with all taps
  double needed() const;                       // taps of all positions together
};

}  // namespace pcx
