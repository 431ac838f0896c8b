#include "ops/tap_sets.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

namespace {

constexpr index most_sets = 64;
constexpr index most_listed = 1 << 13;  // pixels in all sets of a picture
constexpr double least_saved = 0.03;    // of the products
constexpr double least_products = 6e4;  // of a picture that are saved: making the lists takes a microsecond
constexpr double waited = 4.5;          // products of a pixel and vector, as long as its sum takes to memory and back

}  // namespace

TapSets::TapSets(const Correlation& problem) : p_(problem) {
  for (std::size_t a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = p_.axis[a];
    for (index tap = 0; tap < axis.taps; ++tap) {
      const Inside inside(axis.first + tap * axis.tap_step, axis.step, axis.positions, axis.in);
      const Range range{inside.begin, std::max(inside.begin, static_cast<index>(inside.end))};
      const auto same = [&](const Range& r) { return r.begin == range.begin && r.end == range.end; };
      const auto found = std::find_if(reads_[a].begin(), reads_[a].end(), same);
      kind_[a].push_back(found == reads_[a].end() ? count_[a]++
                                                  : kind_[a][static_cast<std::size_t>(found - reads_[a].begin())]);
      reads_[a].push_back(range);
    }
  }
}

double TapSets::share_left() const {
  double share = 1;
  for (std::size_t a = 0; a < 3; ++a) {
    double read = 0;
    for (const Range& r : reads_[a]) read += static_cast<double>(r.end - r.begin);
    share *= read / static_cast<double>(p_.axis[a].positions * p_.axis[a].taps);
  }
  return share;
}

bool TapSets::worth(index channels) const {
  if (most() > most_sets || most() * p_.positions() > most_listed) return false;
  const double saved = 1 - share_left(), picture = p_.products() / static_cast<double>(p_.batch * p_.groups);
  return saved > least_saved + share_waited(channels) && saved * picture > least_products;
}

double TapSets::share_waited(index channels) const {
  index turns = 0, last = -1;
  for_taps([&](index d, index h, index w) {
    turns += place(d, h, w) != last;
    last = place(d, h, w);
  });
  return waited * static_cast<double>(turns) / static_cast<double>(p_.taps() * channels);
}

TapSets::Box TapSets::box(const Axes& tap, const Axes& start, const Axes& size) const {
  Box box{};
  for (std::size_t a = 0; a < 3; ++a) {
    const Range& range = reads_[a][static_cast<std::size_t>(tap[a])];
    box.from[a] = std::max<index>(range.begin - start[a], 0);
    box.to[a] = std::min(range.end - start[a], size[a]);
  }
  return box;
}

void TapSets::list(const Axes& start, const Axes& size, index images, const index* x_at, index* lists,
                   std::vector<PixelSet>& sets, std::vector<std::size_t>& of_tap) const {
  constexpr std::size_t unknown = static_cast<std::size_t>(-1);
  std::vector<std::size_t> known(static_cast<std::size_t>(most()), unknown);
  const Axes none{0, 0, 0};
  sets.assign(1, {});
  of_tap.clear();
  const auto set_of = [&](const Box& b) -> std::size_t {
    if (b.from == none && b.to == size) return 0;
    index* const places = lists;
    for (index i = 0; i < images; ++i) {
      for (index d = b.from[0]; d < b.to[0]; ++d) {
        for (index h = b.from[1]; h < b.to[1]; ++h) {
          const index row = ((i * size[0] + d) * size[1] + h) * size[2];
          for (index w = b.from[2]; w < b.to[2]; ++w) *lists++ = row + w;
        }
      }
    }
    const index pixels = lists - places;
    for (index p = 0; p < pixels; ++p) *lists++ = x_at[places[p]];
    sets.push_back({places, places + pixels, pixels});
    return sets.size() - 1;
  };
  for_taps([&](index d, index h, index w) {
    std::size_t& set = known[static_cast<std::size_t>(place(d, h, w))];
    if (set == unknown) set = set_of(box({d, h, w}, start, size));
    of_tap.push_back(set);
  });
}

}  // namespace pcx
