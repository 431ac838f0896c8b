#include "ops/block_reads.h"

#include <algorithm>

#include "isa/dispatch.h"

namespace pcx {

template <class T>
BlockReads<T>::BlockReads(const Correlation& problem, const Chunks& chunks, const std::optional<TapSets>& tap_sets,
                          bool in_place, const Cut& cut, const Weight<T>& weight)
    : p_(problem),
      chunks_(chunks),
      strides_(weight.strides),
      tap_sets_(tap_sets),
      home_taps_(tap_sets_ ? 1 : run_taps_at_home(p_, chunks_, last_over_lanes<T>(p_))),
      in_place_(in_place),
      crowded_(crowded<T>(p_)),
      patch_(p_, cut.block, chunks_),
      parts_(picture_parts(p_, in_place_ || tap_sets_ ? 0 : parted_axes<T>(p_))),
      slabs_(weight.by_turns && !parted() && has_rows(p_, weight.strides)),  // which have all taps
      first_(std::min(chunks_.channels, p_.in_channels)) {
  const auto& axis = p_.axis;
  const index pixel = p_.groups * p_.in_channels, out = p_.groups * p_.out_channels;
  const Axes row{axis[1].in * axis[2].in * pixel, axis[2].in * pixel, pixel};
  const Axes out_row{axis[1].out * axis[2].out * out, axis[2].out * out, out};
  for (int a = 0; a < 3; ++a) {
    x_tap_[a] = axis[a].tap_step * row[a];
    x_stride_[a] = axis[a].step * row[a];
    y_stride_[a] = axis[a].out_step * out_row[a];
    x_first_ += axis[a].first * row[a];
    y_first_ += axis[a].out_first * out_row[a];
  }
  x_image_ = axis[0].in * row[0];
  y_image_ = axis[0].out * out_row[0];
  list_taps();
}

template <class T>
template <class Use>
void BlockReads<T>::for_parts(const Use& use) const {
  for (index d = 0; d < parts_[0].count; ++d) {
    for (index h = 0; h < parts_[1].count; ++h) {
      for (index w = 0; w < parts_[2].count; ++w) use({parts_[0][d], parts_[1][h], parts_[2][w]});
    }
  }
}

// For each part of the picture, then at home. All chunks but the last are as the first.
template <class T>
void BlockReads<T>::list_taps() {
  const index last = p_.in_channels % chunks_.channels;
  lists_.resize(static_cast<std::size_t>(parts() + 1));
  if (last) last_lists_.resize(lists_.size());
  const auto list = [&](std::size_t i, const NeededTaps& needed, bool home) {
    lists_[i] = lists_of(first_, needed, home);
    if (last) last_lists_[i] = lists_of(last, needed, home);
  };
  std::size_t i = 0;
  for_parts([&](const NeededTaps& needed) {
    if (!in_place_) list(i, needed, false);
    ++i;
  });
  const auto all = [&](std::size_t a) { return TapPart{0, p_.axis[a].positions, 0, p_.axis[a].taps}; };
  if (home_taps_) list(i, {all(0), all(1), all(2)}, true);
}

template <class T>
typename BlockReads<T>::Lists BlockReads<T>::lists_of(index channels, NeededTaps needed, bool home) const {
  const index step = home || tap_sets_ ? home_taps_ : chunks_.run_taps;
  const auto at = [&](index d, index h, index w) {
    return home ? d * x_tap_[0] + h * x_tap_[1] + w * x_tap_[2] : patch_.tap(d, h, w);
  };
  Lists lists{list_runs(p_, needed, step, channels, RunLister(chunks_.depth), at), {}, {}};
  if (last_over_lanes<T>(p_)) {
    needed[2].tap = 0;  // a run has whole vectors of weights
    needed[2].taps = p_.axis[2].taps;
    lists.lane_runs = list_runs(p_, needed, step, channels, RunLister(chunks_.depth, kernels<T>().lanes), at);
  }
  if (slabs_ && !tap_sets_) lists.slabs = SlabList(lists.runs, taps_of(channels, step), false);
  return lists;
}

template <class T>
Taps BlockReads<T>::taps_of(index channels, index step) const {
  Taps taps{step * channels, strides_.in, {}, {}};
  for (index d = 0; d < p_.axis[0].taps; ++d) {
    for (index h = 0; h < p_.axis[1].taps; ++h) {
      for (index w = 0; w < p_.axis[2].taps; w += step) taps.at.push_back(strides_.tap(p_, d, h, w));
    }
  }
  return taps;
}

// Of the block that `pixels` list.
template <class T>
void BlockReads<T>::list_sets(Pixels& pixels) const {
  pixels.sets.assign(1, {});
  if (!tap_sets_) return;
  Taps taps = taps_of(first_, 1);
  tap_sets_->list(pixels.start, pixels.size, pixels.images, pixels.x_at, pixels.lists, pixels.sets, taps.set);
  const auto lists = static_cast<std::size_t>(pixels.groups[0].lists);
  pixels.slabs = SlabList(lists_[lists].runs, taps, !slabs_);
  if (last_lists_.empty()) return;
  taps.length = p_.in_channels % chunks_.channels;
  pixels.last_slabs = SlabList(last_lists_[lists].runs, taps, !slabs_);
}

template <class T>
const SlabList& BlockReads<T>::slabs(index channels, const Pixels& pixels) const {
  if (!tap_sets_) return lists(channels).at(static_cast<std::size_t>(pixels.groups[0].lists)).slabs;
  return channels == first_ ? pixels.slabs : pixels.last_slabs;
}

template <class T>
void BlockReads<T>::list(const Block& b, Pixels& pixels) const {
  const bool home = stays_home(b), listed = pixels.images >= b.images && pixels.size == b.size && pixels.home == home;
  const bool alike = !tap_sets_ && (home || !parted());
  if (listed && (alike || (pixels.start == b.start && pixels.images == b.images))) return;
  pixels.images = b.images;
  pixels.start = b.start;
  pixels.size = b.size;
  pixels.home = home;
  pixels.groups.clear();
  const Axes begin{0, 0, 0};
  if (home || !parted()) {
    list_group(begin, b.size, home ? parts() : 0, pixels);
    return list_sets(pixels);
  }
  index lists = 0;
  for_parts([&](const NeededTaps& needed) {
    Axes from, to;
    for (std::size_t a = 0; a < 3; ++a) {
      from[a] = std::max<index>(needed[a].first - b.start[a], 0);
      to[a] = std::min(needed[a].end - b.start[a], b.size[a]);
    }
    list_group(from, to, lists++, pixels);
  });
  // The first reads weights that may be far away, and should read all of them.
  const auto fewer = [](const Group& a, const Group& b) { return a.pixels < b.pixels; };
  std::iter_swap(pixels.groups.begin(), std::max_element(pixels.groups.begin(), pixels.groups.end(), fewer));
}

template <class T>
void BlockReads<T>::list_group(const Axes& from, const Axes& to, index lists, Pixels& pixels) const {
  const index first = pixels.groups.empty() ? 0 : pixels.groups.back().first + pixels.groups.back().pixels;
  Axes x_stride = x_stride_;
  for (int a = 0; a < 3 && !pixels.home; ++a) x_stride[a] = patch_.stride(a);
  const index x_image = pixels.home ? x_image_ : patch_.size();
  index *x_at = pixels.x_at + first, *y_at = pixels.y_at + first;
  for (index i = 0; i < pixels.images; ++i) {
    for (index d = from[0]; d < to[0]; ++d) {
      for (index h = from[1]; h < to[1]; ++h) {
        const index x = i * x_image + d * x_stride[0] + h * x_stride[1];
        const index y = i * y_image_ + d * y_stride_[0] + h * y_stride_[1];
        for (index w = from[2]; w < to[2]; ++w) {
          *x_at++ = x + w * x_stride[2];
          *y_at++ = y + w * y_stride_[2];
        }
      }
    }
  }
  const index count = x_at - pixels.x_at - first;
  if (count > 0) pixels.groups.push_back({lists, first, count});
}

template <class T>
const T* BlockReads<T>::read(const T* x, const Block& b, index c0, index channels, bool home, T* patch) const {
  if (!home) {
    for (index i = 0; i < b.images; ++i)
      patch_.fill(x, b.image + i, b.group, b.start, c0, channels, patch + i * patch_.size());
    return patch;
  }
  x += b.image * x_image_ + b.group * p_.in_channels + c0 + x_first_;
  for (int a = 0; a < 3; ++a) x += b.start[a] * x_stride_[a];
  return x;
}

template <class T>
T* BlockReads<T>::write(T* y, const Block& b) const {
  y += y_first_ + b.image * y_image_ + b.group * p_.out_channels;
  for (int a = 0; a < 3; ++a) y += b.start[a] * y_stride_[a];
  return y;
}

template class BlockReads<float>;
template class BlockReads<double>;

}  // namespace pcx
