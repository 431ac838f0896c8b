// A weight that is read once and whose rows hold all output channels, as the forward direction's do: some rows of many
// panels, a slab, are packed and multiplied, then the next ones. Memory is read in long pieces, and what was packed is
// near when it is multiplied. The sums are those of a weight that was packed as a whole.
#pragma once
#include <vector>

#include "ops/correlation.h"
#include "ops/run_list.h"

namespace pcx {

// Whether the rows of the weight are such, and those of a run lie one after the other.
bool has_rows(const Correlation& problem, const WeightStrides& strides);
// Of so many panels, those that have their slabs packed together: at the most, and where all are to be shared out.
template <class T>
index slab_panels(index panels, index positions, bool shared);
// Elements of a slab of so many panels, and of the sums that go on in the next.
template <class T>
index slab_scratch(index panels, index positions);

// The slabs of a chunk of channels.
struct SlabList {
  struct Slab {
    index first, runs, rows, pass;
    bool begins, ends;  // the pass
  };
  std::vector<Run> runs;
  std::vector<index> weights;  // of each run, seen from those of the chunk
  std::vector<Slab> slabs;

  SlabList() = default;
  // Each `length` elements of the list have their weights at one of `taps`, one row after the other.
  SlabList(const RunList& list, const std::vector<index>& taps, index length, index row);
};

// Columns of w, in rows of `row` elements. The tile is the first panel's; its bias and relu are for the last pass
// alone.
template <class T>
void multiply(const SlabList& list, const T* w, index row, index columns, ConvPixels<T> tile, T* scratch);

}  // namespace pcx
