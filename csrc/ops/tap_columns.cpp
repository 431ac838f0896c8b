#include "ops/tap_columns.h"

#include <algorithm>

namespace pcx {

TapColumns::TapColumns(const CorrelationAxis& axis, index positions) : step(axis.step) {
  const index lowest = std::min<index>(0, (axis.taps - 1) * axis.tap_step);
  auto reach = [&](index tap) { return tap * axis.tap_step - lowest; };
  for (index tap = 0; tap < axis.taps; ++tap) order.push_back(tap);
  std::sort(order.begin(), order.end(), [&](index a, index b) {
    const index i = reach(a), j = reach(b);
    return i % step != j % step ? i % step < j % step : i < j;
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const index here = reach(order[i]);
    const bool same_part = i > 0 && (here - reach(order[i - 1])) % step == 0;
    if (!same_part) parts.push_back({columns, axis.first + lowest + here, 0});
    Part& part = parts.back();
    const index ahead = (axis.first + lowest + here - part.first) / step;  // of the part's first tap
    const bool neighbour = same_part && here - reach(order[i - 1]) == step && runs.back().taps < longest_tap_run;
    if (neighbour)
      ++runs.back().taps;
    else
      runs.push_back({part.column + ahead, 1, axis.first + lowest + here});
    part.count = positions + ahead;
    columns = part.column + part.count;
  }
}

}  // namespace pcx
