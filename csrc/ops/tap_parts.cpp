#include "ops/tap_parts.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

namespace {

constexpr index edge_parts = 3;
constexpr double worth = 0.94;  // of the products: the parts cost a little themselves

}  // namespace

TapParts::TapParts(const CorrelationAxis& axis) {
  const index last = axis.first + (axis.positions - 1) * axis.step, reach = (axis.taps - 1) * axis.tap_step;
  take_all(axis);
  if (axis.positions < 1 || axis.taps < 2 || (axis.first >= 0 && last + reach < axis.in)) return;
  count = 0;
  // Positions [whole, end) need all taps.
  const Inside whole(axis.first, axis.step, axis.positions, axis.in - reach);
  if (axis.in > reach && whole.begin < whole.end) {
    add(axis, 0, whole.begin, edge_parts);
    add(axis, whole.begin, whole.end, 1);
    add(axis, whole.end, axis.positions, edge_parts);
  } else {
    add(axis, 0, axis.positions, most);
  }
  if (needed() > worth * static_cast<double>(axis.positions * axis.taps)) take_all(axis);
}

void TapParts::take_all(const CorrelationAxis& axis) {
  part[0] = {0, axis.positions, 0, axis.taps};
  count = 1;
}

// Later positions see further: the last one of a piece its first tap, and the first one its last.
void TapParts::add(const CorrelationAxis& axis, index begin, index end, index pieces) {
  for (index left = pieces; begin < end; --left) {
    const index next = begin + divide_up(end - begin, left);
    const index from = axis.first + begin * axis.step, to = axis.first + (next - 1) * axis.step;
    const index tap = std::clamp<index>(divide_up(-to, axis.tap_step), 0, axis.taps - 1);
    const index taps = from < axis.in ? (axis.in - 1 - from) / axis.tap_step + 1 : 0;
    part[static_cast<std::size_t>(count++)] = {begin, next, tap, std::clamp<index>(taps, tap + 1, axis.taps) - tap};
    begin = next;
  }
}

double TapParts::needed() const {
  double taps = 0;
  for (index i = 0; i < count; ++i) {
    const TapPart& p = part[static_cast<std::size_t>(i)];
    taps += static_cast<double>((p.end - p.first) * p.taps);
  }
  return taps;
}

}  // namespace pcx
