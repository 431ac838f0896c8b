// Which pixels of a block read a tap. Those for which it lies in the padding leave it out: of a small picture that is
// much of the work. The taps take turns then, each at its own pixels, and x is read where it stands.
#pragma once
#include <vector>

#include "ops/correlation.h"

namespace pcx {

// Some of a block's pixels: their places in its list, and where they read; or all of them, where these are null.
struct PixelSet {
  const index *places = nullptr, *x_at = nullptr;
  index pixels = 0;

  bool all() const { return !places; }
  bool empty() const { return places && pixels == 0; }
};

class TapSets {
 public:
  explicit TapSets(const Correlation& problem);  // ascending

  // Whether it pays, where sums wait while pixels change: `channels` are those of a chunk.
  bool worth(index channels) const;
  double share_waited(index channels) const;  // of all products, as long as that takes
  double share_left() const;                  // of all products

  // The sets of a block, the first of which is that of all its pixels, and for each tap which it is. The pixels read
  // at `x_at`, and `lists` have room for listed(pixels).
  void list(const Axes& start, const Axes& size, index images, const index* x_at, index* lists,
            std::vector<PixelSet>& sets, std::vector<std::size_t>& of_tap) const;
  index listed(index pixels) const { return 2 * pixels * most(); }

 private:
  struct Range {  // positions
    index begin, end;
  };
  struct Box {  // of a block
    Axes from, to;
  };
  index most() const { return count_[0] * count_[1] * count_[2]; }  // sets of a block, beside that of all pixels
  Box box(const Axes& tap, const Axes& start, const Axes& size) const;
  index place(index d, index h, index w) const {  // of a set among all, in the order of kinds
    const auto kind = [&](std::size_t a, index tap) { return kind_[a][static_cast<std::size_t>(tap)]; };
    return (kind(0, d) * count_[1] + kind(1, h)) * count_[2] + kind(2, w);
  }
  template <class Use>
  void for_taps(const Use& use) const {
    for (index d = 0; d < p_.axis[0].taps; ++d) {
      for (index h = 0; h < p_.axis[1].taps; ++h) {
        for (index w = 0; w < p_.axis[2].taps; ++w) use(d, h, w);
      }
    }
  }

  const Correlation& p_;
  std::array<std::vector<Range>, 3> reads_;  // of each tap of an axis
  std::array<std::vector<index>, 3> kind_;   // equal for taps that are read by the same positions
  Axes count_{};                             // of kinds
};

}  // namespace pcx
