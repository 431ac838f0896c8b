#include "ops/tap_parts.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

namespace {

constexpr index edge_parts = 3;
constexpr double worth = 0.94;  // of the products: the parts cost a little themselves
// Of a picture: with fewer of them, reading the weight takes the time, which is by slabs where it is packed in the
// call. Whether taps are left out must not depend on that, nor on the number of pictures: a weight may be Inf.
constexpr index least_positions = 64;
constexpr index least_pixels = 6;                     // of a part: those of a register tile
constexpr double least_saved = 8e3, saved_tap = 500;  // products of a picture, for each part and tap in its list
constexpr double least_depth = 6;                     // elements of a sum
constexpr double rounded = 3;                         // pixels that the register tiles of a part have too many

// Positions [begin, end) in so many pieces. Later positions see further: the last one of a piece its first tap, and the
// first one its last.
void add(const CorrelationAxis& axis, index begin, index end, index pieces, TapParts& to) {
  for (index left = pieces; begin < end; --left) {
    const index next = begin + divide_up(end - begin, left);
    const index from = axis.first + begin * axis.step, last = axis.first + (next - 1) * axis.step;
    const index tap = std::clamp<index>(divide_up(-last, axis.tap_step), 0, axis.taps - 1);
    const index taps = from < axis.in ? (axis.in - 1 - from) / axis.tap_step + 1 : 0;
    to.part[static_cast<std::size_t>(to.count++)] = {begin, next, tap,
                                                     std::clamp<index>(taps, tap + 1, axis.taps) - tap};
    begin = next;
  }
}

double lists_of(const PictureParts& parts) {
  return static_cast<double>(parts[0].count * parts[1].count * parts[2].count);
}

double depth_of(const Correlation& p) { return static_cast<double>(p.taps() * p.in_channels); }

double all_taps(const CorrelationAxis& axis) { return static_cast<double>(axis.positions * axis.taps); }

}  // namespace

TapParts TapParts::whole(const CorrelationAxis& axis) {
  TapParts parts;
  parts.part[0] = {0, axis.positions, 0, axis.taps};
  parts.count = 1;
  return parts;
}

TapParts::TapParts(const CorrelationAxis& axis, index least) : TapParts(whole(axis)) {
  if (axis.positions < 2 * least || axis.taps < 2 || !sees_padding(axis)) return;
  TapParts fine;
  const index reach = (axis.taps - 1) * axis.tap_step;
  const Inside all(axis.first, axis.step, axis.positions, std::max<index>(0, axis.in - reach));  // need all taps
  if (all.begin < all.end) {
    const index before = all.begin / least, after = (axis.positions - all.end) / least;
    const index begin = before > 0 ? all.begin : 0, end = after > 0 ? all.end : axis.positions;
    add(axis, 0, begin, std::min(before, edge_parts), fine);
    add(axis, begin, end, 1, fine);
    add(axis, end, axis.positions, std::min(after, edge_parts), fine);
  } else {
    add(axis, 0, axis.positions, std::min(axis.positions / least, most), fine);
  }
  if (fine.needed() <= worth * all_taps(axis)) *this = fine;
}

double TapParts::needed() const {
  double taps = 0;
  for (index i = 0; i < count; ++i) taps += static_cast<double>(((*this)[i].end - (*this)[i].first) * (*this)[i].taps);
  return taps;
}

index TapParts::smallest() const {
  index least = (*this)[0].end - (*this)[0].first;
  for (index i = 1; i < count; ++i) least = std::min(least, (*this)[i].end - (*this)[i].first);
  return least;
}

PictureParts picture_parts(const Correlation& p, int axes) {
  PictureParts parts{TapParts::whole(p.axis[0]), TapParts::whole(p.axis[1]), TapParts::whole(p.axis[2])};
  if (p.positions() < least_positions) return parts;
  const double list = least_saved + saved_tap * static_cast<double>(p.taps());
  std::array<double, 3> share{1, 1, 1};
  for (std::size_t a = 0; a < static_cast<std::size_t>(axes); ++a)
    share[a] = TapParts(p.axis[a]).needed() / all_taps(p.axis[a]);
  for (int turn = 0; turn < axes; ++turn) {
    const auto a = static_cast<std::size_t>(std::min_element(share.begin(), share.end()) - share.begin());
    if (share[a] >= 1) break;
    share[a] = 1;
    const index beside = parts[(a + 1) % 3].smallest() * parts[(a + 2) % 3].smallest();
    const TapParts fine(p.axis[a], divide_up(least_pixels, beside));
    PictureParts finer = parts;
    finer[a] = fine;
    const double saved = share_taken(p, parts) - share_taken(p, finer), depth = saved * depth_of(p);
    const double products = depth * static_cast<double>(p.positions() * p.out_channels);
    if (depth >= least_depth && products > list * (lists_of(finer) - lists_of(parts))) parts = finer;
  }
  return parts;
}

double share_left(const Correlation& p, const PictureParts& parts) {
  double share = 1;
  for (std::size_t a = 0; a < 3; ++a) {
    if (parts[a].count > 1) share *= parts[a].needed() / all_taps(p.axis[a]);
  }
  return share;
}

double share_taken(const Correlation& p, const PictureParts& parts) {
  return share_left(p, parts) + rounded * (lists_of(parts) - 1) / static_cast<double>(p.positions());
}

}  // namespace pcx
