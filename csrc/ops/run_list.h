// The runs of a position, and those that are summed in registers together.
#pragma once
#include <vector>

#include "isa/kernel_table.h"
#include "ops/correlation.h"

namespace pcx {

struct RunList {
  struct Pass {
    index first, runs;
  };
  std::vector<Run> runs;
  std::vector<Pass> passes;

  RunList() = default;
  // `length` elements from each start on; about `depth` are summed in registers.
  RunList(const std::vector<index>& starts, index length, index depth);
};

inline RunList::RunList(const std::vector<index>& starts, index length, index depth) {
  for (index start : starts) {
    for (index done = 0; done < length; done += Chunks::longest_run)
      runs.push_back({start + done, std::min(Chunks::longest_run, length - done)});
  }
  index first = 0, summed = 0;
  for (index r = 0; r < static_cast<index>(runs.size()); ++r) {
    const index own = runs[static_cast<std::size_t>(r)].length;
    if (summed > 0 && summed + own > depth) {
      passes.push_back({first, r - first});
      first = r;
      summed = 0;
    }
    summed += own;
  }
  passes.push_back({first, static_cast<index>(runs.size()) - first});
}

}  // namespace pcx
