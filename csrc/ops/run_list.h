// The runs of a position, and those that are summed in registers together.
#pragma once
#include <vector>

#include "base/division.h"
#include "isa/kernel_table.h"
#include "ops/correlation.h"
#include "ops/tap_parts.h"

namespace pcx {

struct RunList {
  struct Pass {
    index first, runs;
  };
  std::vector<Run> runs;
  std::vector<Pass> passes;
};

// Makes the list of all runs of a chunk, in their order, of which some are left out. Passes end where they would end
// with all of them, so that a sum does not depend on what is left out of it.
class RunLister {
 public:
  // About `depth` elements are summed in registers; the weights of a run are whole vectors of so many lanes.
  explicit RunLister(index depth, index lanes = 1) : depth_(depth), lanes_(lanes) {}

  void reserve(index runs) { list_.runs.reserve(static_cast<std::size_t>(runs)); }
  void add(index start, index length) {
    for (index done = 0; done < length; done += Chunks::longest_run) {
      const index own = std::min(Chunks::longest_run, length - done);
      count(own);
      take(start + done, own);
    }
  }
  // The same, but for elements beside [first, end).
  void add_part(index start, index length, index first, index end) {
    if (length > Chunks::longest_run || (first == 0 && end == length)) return add(start, length);
    count(length);
    skipped_ += first;
    take(start + first, end - first);
    skipped_ += length - end;
  }
  void leave_out(index length) {
    for (index done = 0; done < length; done += Chunks::longest_run)
      count(std::min(Chunks::longest_run, length - done));
    skipped_ += round_up(length, lanes_);
  }
  RunList list() {
    end_pass();
    if (list_.passes.empty()) list_.passes.push_back({0, 0});  // the sum of nothing
    return std::move(list_);
  }

 private:
  void count(index own) {
    if (summed_ > 0 && summed_ + own > depth_) end_pass();
    summed_ += own;
  }
  void take(index start, index length) {
    list_.runs.push_back({start, length, skipped_});
    skipped_ = 0;
  }
  void end_pass() {
    const index all = static_cast<index>(list_.runs.size());
    if (all > first_) list_.passes.push_back({first_, all - first_});
    first_ = all;
    summed_ = 0;
  }

  const index depth_, lanes_;
  index skipped_ = 0, summed_ = 0, first_ = 0;
  RunList list_;
};

// The taps that a part of the picture needs, on each axis.
using NeededTaps = std::array<TapPart, 3>;

// Its runs: of `step` taps of a row with `channels` channels each, the first of which stands at(d, h, w).
template <class At>
RunList list_runs(const Correlation& p, const NeededTaps& needed, index step, index channels, RunLister lister,
                  const At& at) {
  const auto& [deep, high, wide] = needed;
  const auto within = [](const TapPart& part, index tap) { return tap >= part.tap && tap < part.tap + part.taps; };
  lister.reserve(p.taps() / step);
  for (index d = 0; d < p.axis[0].taps; ++d) {
    for (index h = 0; h < p.axis[1].taps; ++h) {
      const bool row = within(deep, d) && within(high, h);
      for (index w = 0; w < p.axis[2].taps; w += step) {
        const index first = std::max(wide.tap, w), end = std::min(wide.tap + wide.taps, w + step);
        if (row && first < end)
          lister.add_part(at(d, h, w), step * channels, (first - w) * channels, (end - w) * channels);
        else
          lister.leave_out(step * channels);
      }
    }
  }
  return lister.list();
}

}  // namespace pcx
