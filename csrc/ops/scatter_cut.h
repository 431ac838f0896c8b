// How a scattered picture is cut into strips and blocks: by the problem alone, never by the number of threads.
#pragma once
#include <algorithm>

#include "ops/scatter.h"

namespace pcx {

// Sums [picture][depth of y][phase][height of y][cell][element]; cells are counted as pixels of x. The heights to which
// one tap leads follow each other: those `step` apart.
struct ScatterField {
  index images;
  Axes first, count;
  index step;

  // Where the line of a height stands among those of its depth and phase.
  index line(index h) const {
    const index at = h - first[1];
    if (step == 1) return at;
    const index residue = at % step;
    return residue * (count[1] / step) + std::min(residue, count[1] % step) + at / step;
  }
};

struct ScatterCut {
  int axis = 2;                           // the outermost with more than one pixel: strips are parts of it
  index length = 1, strips = 1;           // pixels of it in a strip; strips of a picture
  index images = 1, at_once = 1;          // pictures of a strip, where they are small; computed at the same time
  index segment = 1, rows = 1;            // of a block: pixels of a row, rows
  index sums = 0, seam = 0, results = 0;  // elements of a strip's field, of what two share; of a block's results
  index line = 0, pixel = 0, column = 0;  // of results: from row to row of pixels, pixel to pixel, column to column

  ScatterCut(const Scatter& problem, const ScatterPlan& plan, index lanes, index element_bytes);

  // What the pixels of a strip lead to, and where strips s and s + 1 meet.
  ScatterField strip(index s, index pictures) const;
  ScatterField shared(index s) const;
  index size(const ScatterField& f) const { return f.images * f.count[0] * f.count[1] * f.count[2] * line_; }
  index begin(index s) const { return s * length; }
  index end(index s) const { return std::min((s + 1) * length, problem_.axis[axis].in); }
  // Rows of x in a step along the axis, and pixels of a row in a strip.
  index rows_each() const { return axis == 0 ? problem_.axis[1].in : 1; }
  index wide(index s) const { return axis == 2 ? end(s) - begin(s) : problem_.axis[2].in; }
  bool shares_work() const;  // enough of it for several threads

 private:
  const Scatter& problem_;
  index line_, gap_;  // elements of a cell in all phases; cells beyond a row of pixels
};

}  // namespace pcx
