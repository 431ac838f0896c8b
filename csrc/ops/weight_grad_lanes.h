// The direct weight gradient with channels of x in lanes.
#pragma once
#include <vector>

#include "ops/weight_grad_cut.h"
#include "ops/weight_grad_home.h"

namespace pcx {

// One part of the channels, one slice of the pixels. x is read where it is, but for blocks that see its padding or its
// very end. Sums are [channel of dy][vector] until all blocks are summed.
template <class T>
class LanePart {
 public:
  // The scratch is shared with other parts that take turns, but for the sums.
  LanePart(const WeightGradCut<T>& cut, const ChannelPart& part, const T* x, const T* dy, const WeightSums<T>& sums,
           T* scratch, index turn);

  void add(const PixelBlock& block);
  void finish() const;

 private:
  bool stays_home(const WeightGradHome& home) const;
  void list_rows(const PixelBlock& block, const WeightGradHome* home);

  const WeightGradCut<T>& cut_;
  const ConvShape& s_;
  const ChannelPart part_;
  const PartArrays<T> at_;
  T* const patch_;
  const index after_;  // elements of x from the part on
  std::vector<index> rows_;
  LaneSum<T> sum_{};
};

}  // namespace pcx
