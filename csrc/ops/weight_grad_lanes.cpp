#include "ops/weight_grad_lanes.h"

#include "base/touch.h"

namespace pcx {

template <class T>
LanePart<T>::LanePart(const WeightGradCut<T>& cut, const ChannelPart& part, const T* x, const T* dy,
                      const WeightSums<T>& sums, T* scratch, index turn)
    : cut_(cut),
      s_(cut.s),
      part_(part),
      at_(s_, part, x, dy, sums),
      patch_(scratch),
      after_(s_.x_size() - part.group * s_.group_in() - part.c0),
      rows_(static_cast<std::size_t>(2 * cut.block.rows())) {
  sum_.sums = scratch + cut.scratch() - (turn + 1) * cut.lane_sums();
  sum_.dy_pixel = s_.out_channels;
  sum_.vectors = cut.runs.vectors;
  sum_.channels = part.columns;
  sum_.x_rows = rows_.data();
  sum_.dy_rows = rows_.data() + cut.block.rows();
  sum_.overwrite = true;
}

// A vector of x may read past what it is for.
template <class T>
bool LanePart<T>::stays_home(const WeightGradHome& home) const {
  return !cut_.x_home.empty() && home.inside() && home.last() + cut_.x_home.back() + cut_.k.lanes <= after_;
}

// Where the rows of x, at home or in the patch, and dy start.
template <class T>
void LanePart<T>::list_rows(const PixelBlock& b, const WeightGradHome* home) {
  const index h = b.extents[1], d = b.extents[0];
  for (index r = 0; r < b.rows(); ++r) {
    rows_[r] = home ? home->row(r) : cut_.patch.row(r / h / d, r / h % d, r % h);
    rows_[cut_.block.rows() + r] = r * s_.out[2] * s_.out_channels;
  }
}

template <class T>
void LanePart<T>::add(const PixelBlock& b) {
  const WeightGradHome home(s_, b);
  const bool at_home = stays_home(home);
  list_rows(b, at_home ? &home : nullptr);
  if (!at_home) cut_.patch.fill(at_.x, b, part_.channels, patch_);
  sum_.x = at_home ? at_.x + home.first() : patch_;
  sum_.x_at = at_home ? cut_.x_home.data() : cut_.x_at.data();
  sum_.x_pixel = at_home ? home.pixel() : cut_.patch.pixel();
  sum_.dy = at_.dy +
            (((b.image * s_.out[0] + b.start[0]) * s_.out[1] + b.start[1]) * s_.out[2] + b.start[2]) * s_.out_channels;
  sum_.rows = b.rows();
  sum_.cols = b.cols();
  if (at_home && cut_.far) {
    for (index r = 0; r < b.rows(); ++r) touch(sum_.x + rows_[r], b.cols(), sum_.x_pixel, part_.channels);
  }
  cut_.k.lane_sum(sum_);
  if (at_.db && sum_.overwrite) std::fill_n(at_.db, part_.columns, T(0));
  for (index r = 0; at_.db && r < b.rows(); ++r)
    cut_.k.column_sum({sum_.dy + sum_.dy_rows[r], at_.db, b.cols(), s_.out_channels, part_.columns});
  sum_.overwrite = false;
}

template <class T>
void LanePart<T>::finish() const {
  const LaneRuns& runs = cut_.runs;
  const index lanes = cut_.k.lanes, length = runs.taps * part_.channels;
  const T* from = sum_.sums;
  for (index at = 0; at < length; at += lanes) {
    T* to = at_.dw + at * s_.out_channels;
    for (index run = 0; run < runs.runs; ++run, from += lanes, to += runs.taps * s_.group_in() * s_.out_channels)
      cut_.k.transpose(from, sum_.vectors * lanes, to, s_.out_channels, part_.columns, std::min(lanes, length - at));
  }
}

template class LanePart<float>;
template class LanePart<double>;

}  // namespace pcx
