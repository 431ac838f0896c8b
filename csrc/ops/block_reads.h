// What blocks of positions read: where their pixels stand, in a padded patch or in x itself, and the runs of their
// taps, for each part of the picture (tap_parts.h), or tap by tap (tap_sets.h).
#pragma once
#include <optional>
#include <vector>

#include "isa/dispatch.h"
#include "ops/correlate_cut.h"
#include "ops/patch.h"
#include "ops/run_list.h"
#include "ops/slabs.h"
#include "ops/tap_parts.h"
#include "ops/tap_sets.h"

namespace pcx {

template <class T>
class BlockReads {
 public:
  struct Lists {
    RunList runs, lane_runs;  // for panels, and for one that is summed over lanes
    SlabList slabs;
  };

  // Pixels of a block that need the same taps, as the lists have them.
  struct Group {
    index lists, first, pixels;
  };

  // Where the pixels of a block read and write, seen from its first; those of a group together.
  struct Pixels {
    index *x_at, *y_at, *lists;  // of the sets
    std::vector<Group> groups;
    std::vector<PixelSet> sets;
    SlabList slabs, last_slabs;  // of the sets, where taps take turns
    index images = 0;            // the block that is listed
    Axes start{}, size{};
    bool home = false;  // x is read where it stands
  };

  // Of an ascending problem. Taps take turns, or all blocks stay at home, or there are patches for blocks as they are
  // cut.
  BlockReads(const Correlation& problem, const Chunks& chunks, const std::optional<TapSets>& tap_sets, bool in_place,
             const Cut& cut, const Weight<T>& weight);

  index patch_size() const { return in_place_ ? 0 : patch_.size(); }  // elements of one picture
  bool by_slabs() const { return slabs_; }
  double share_left() const { return tap_sets_ ? tap_sets_->share_left() : pcx::share_left(p_, parts_); }
  // What a position reads of a chunk of so many channels.
  const std::vector<Lists>& lists(index channels) const { return channels == first_ ? lists_ : last_lists_; }
  const SlabList& slabs(index channels, const Pixels& pixels) const;

  void list(const Block& block, Pixels& pixels) const;
  // Where the first of them reads: channels [c0, c0 + channels), which are copied to the patch unless x has them.
  const T* read(const T* x, const Block& block, index c0, index channels, bool home, T* patch) const;
  T* write(T* y, const Block& block) const;

 private:
  bool stays_home(const Block& b) const {
    if (crowded_ && kernels<T>().crowds(b.pixels())) return false;
    return tap_sets_ || (home_taps_ && !meets_padding(p_, b.start, b.size));
  }
  index parts() const { return parts_[0].count * parts_[1].count * parts_[2].count; }
  bool parted() const { return parts() > 1; }
  template <class Use>
  void for_parts(const Use& use) const;
  void list_taps();
  Taps taps_of(index channels, index step) const;
  void list_sets(Pixels& pixels) const;
  Lists lists_of(index channels, NeededTaps needed, bool home) const;
  void list_group(const Axes& from, const Axes& to, index lists, Pixels& pixels) const;

  const Correlation& p_;
  const Chunks chunks_;
  const WeightStrides strides_;
  const std::optional<TapSets>& tap_sets_;  // where taps take turns
  const index home_taps_;                   // run_taps_at_home, or 1
  const bool in_place_, crowded_;
  const Patch patch_;
  const PictureParts parts_;
  const bool slabs_;
  const index first_;  // channels of the first chunk
  std::vector<Lists> lists_, last_lists_;
  Axes x_tap_{}, x_stride_{}, y_stride_{};  // from tap to tap in x; from position to position in x, in y
  index x_first_ = 0, y_first_ = 0, x_image_ = 0, y_image_ = 0;
};

}  // namespace pcx
