// The columns in which a row of taps finds what a row of output positions reads. Positions stand `step` apart in x, so
// columns are sorted by residue: taps of one residue then see neighbouring columns, and position p, tap t stands in
// column of t + p.
#pragma once
#include <vector>

#include "ops/correlation.h"

namespace pcx {

struct TapColumns {
  struct Part {  // `count` columns from `column` on hold x at first, first + step, ...
    index column, first, count;
  };
  struct Run {
    index column, taps, first;  // its first tap stands in `column`, which holds x at `first`, for position 0
  };
  std::vector<index> order;  // the taps as they are summed; it does not depend on `positions`
  std::vector<Run> runs;     // over taps in that order
  std::vector<Part> parts;
  index step = 1, columns = 0;

  TapColumns(const CorrelationAxis& axis, index positions);
};

}  // namespace pcx
