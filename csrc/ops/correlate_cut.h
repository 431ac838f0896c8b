// How a correlation is cut into tasks: by the problem alone, never by the number of threads.
#pragma once
#include <optional>

#include "ops/correlation.h"
#include "ops/tap_sets.h"

namespace pcx {

struct Block {
  index image, images, group;
  Axes start, size;
  index first_panel, last_panel;

  index pixels() const { return images * size[0] * size[1] * size[2]; }
};

struct Cut {
  index images, image_blocks;  // pictures of a block; more than one where they are small
  Axes block, blocks;          // positions of a block, blocks on each axis
  index panels, panels_each, panel_groups;
  bool groups_together;  // of a block, one after the other

  index positions() const { return images * block[0] * block[1] * block[2]; }
  index tasks(index groups) const { return image_blocks * groups * blocks[0] * blocks[1] * blocks[2] * panel_groups; }
  // The output channels are cut into so many panels each.
  void take_panels(index each);
  Block block_of(index task, const Correlation& problem, index groups) const;
};

// How a position's runs are read where they stand in x: with all channels and, if these are few, a row of taps; or not
// at all (0 taps). They must not meet the padding.
index run_taps_at_home(const Correlation& problem, const Chunks& chunks, bool over_lanes);
bool meets_padding(const Correlation& problem, const Axes& start, const Axes& size);

// Whether x is copied, since pixels are crowded in it, before panels read it; but not for blocks whose tiles are small.
template <class T>
bool crowded(const Correlation& problem);

// Whether all blocks read x where it stands.
template <class T>
bool stays_in_place(const Correlation& problem, const Chunks& chunks);
// How taps take turns, of an ascending problem, or nothing where they do not.
template <class T>
std::optional<TapSets> turns_of(const Correlation& problem, const Chunks& chunks);

// Axes that may be in parts (tap_parts.h): in sums over lanes a row of taps is whole vectors of weights.
template <class T>
int parted_axes(const Correlation& problem) {
  return over_lanes<T>(problem, problem.out_channels) ? 2 : 3;
}

// Whether y is stored past the caches, if it begins with a line of memory.
template <class T>
bool streams(const Correlation& problem);
// Whether it pays to fetch what the next panel stores to in y; what the next group reads of a pixel of x.
template <class T>
bool stores_far(const Correlation& problem);
template <class T>
bool reads_far(const Correlation& problem);
// Whether a block is read once in the order of memory before groups take turns at it, or tiles of several pixels read
// these side by side.
template <class T>
bool touches(const Correlation& problem);
// Of at most so many positions a block: results stay in the L2 cache between chunks, or sums in the L1 cache between
// taps.
constexpr index block_positions = 1024, turn_positions = 128;
Cut cut_for(const Correlation& problem, bool in_place, const Chunks& chunks, bool small, std::size_t element_bytes,
            index panels, index positions);

}  // namespace pcx
