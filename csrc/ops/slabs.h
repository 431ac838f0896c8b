// Slabs: some rows of a weight at a time, for the pixels that read them, while the sums wait in memory.
// - A weight that is read once and whose rows hold all output channels, as the forward direction's do: some rows of
// many
//   panels are packed and multiplied, then the next ones. Memory is read in long pieces, and what was packed is near
//   when it is multiplied. The sums are those of a weight that was packed as a whole.
// - Taps that not all pixels of a block read (tap_sets.h).
#pragma once
#include <vector>

#include "ops/correlation.h"
#include "ops/run_list.h"
#include "ops/tap_sets.h"

namespace pcx {

// Whether the rows of the weight are such, and those of a run lie one after the other.
bool has_rows(const Correlation& problem, const WeightStrides& strides);
// Of so many panels, those that have their slabs packed together: at the most, and where all are to be shared out.
template <class T>
index slab_panels(index panels, index positions, bool shared);
// Elements of a slab of so many panels, and of the sums that go on in the next.
template <class T>
index slab_scratch(index panels, index positions);

// Each `length` elements of a list of runs have their weights at `at`, one row after the other, and are read by the
// pixels of a set; sets are empty where all pixels read all of them.
struct Taps {
  index length, row;
  std::vector<index> at;
  std::vector<std::size_t> set;
};

// The slabs of a chunk of channels.
struct SlabList {
  struct Slab {
    index first, runs, rows, pass;
    std::size_t set;
    bool begins, ends;  // the pass
  };
  std::vector<Run> runs;
  std::vector<index> weights;  // of each run, seen from those of the chunk
  std::vector<Slab> slabs;

  SlabList() = default;
  // Of slabs of a few rows; or, where they are packed already, as large as their sets and passes let them be.
  SlabList(const RunList& list, const Taps& taps, bool packed);
};

// Columns of w, in rows of `row` elements. The tile is the first panel's; its bias and relu are for the last pass
// alone. The first of the sets is that of all pixels.
template <class T>
void multiply(const SlabList& list, const std::vector<PixelSet>& sets, const T* w, index row, index columns,
              ConvPixels<T> tile, T* scratch);
// One panel whose weights are packed, at tile.w, while its sums wait at tile.sums.
template <class T>
void multiply_packed(const SlabList& list, const std::vector<PixelSet>& sets, ConvPixels<T> tile);

}  // namespace pcx
