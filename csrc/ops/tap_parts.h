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

  TapParts() = default;
  // Of an ascending axis; of at least so many positions each. One part with all taps where little would be left out.
  explicit TapParts(const CorrelationAxis& axis, index least = 1);
  static TapParts whole(const CorrelationAxis& axis);

  const TapPart& operator[](index i) const { return part[static_cast<std::size_t>(i)]; }
  double needed() const;   // taps of all positions together
  index smallest() const;  // positions of a part
};

// The axes of an ascending correlation, the one on which most is left out in the finest parts. The others have one part
// each where parts would have too few positions, or save too little for what a list of their taps costs.
using PictureParts = std::array<TapParts, 3>;
PictureParts picture_parts(const Correlation& problem, int axes);  // the first so many of them
// Of all products those that remain; and with what the parts' register tiles add.
double share_left(const Correlation& problem, const PictureParts& parts);
double share_taken(const Correlation& problem, const PictureParts& parts);

}  // namespace pcx
