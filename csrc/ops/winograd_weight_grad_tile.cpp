#include "ops/winograd_weight_grad_tile.h"

#include <algorithm>

#include "ops/winograd_pass.h"

namespace pcx {

namespace {

Axes place(index number, const Axes& counts) {
  return {number / (counts[1] * counts[2]), number / counts[2] % counts[1], number % counts[2]};
}

}  // namespace

WeightGradTransform WeightGradTransform::of_x(const WinogradWeightGradPlan& plan, const float* x, index group,
                                              index row, float* small) {
  WeightGradTransform t(plan, small);
  const index c0 = row % plan.strips * strip;
  const Axes part = plan.part_of(row);
  t.data_ = x + group * plan.s.group_in() + c0;
  t.pixel_ = plan.s.in_channels;
  t.tensor_ = plan.s.in;
  t.tile_ = plan.size;
  for (int a = 0; a < 3; ++a) {
    t.jump_[a] = plan.s.stride[a];
    t.step_[a] = plan.s.stride[a] * plan.spacing[a];
    t.shift_[a] = plan.scheme[a].first_tap(part[a]) * plan.s.dilation[a] - plan.s.pad_before[a];
  }
  t.channels_ = std::min(strip, plan.s.group_in() - c0);
  t.slot_ = strip;
  t.element_ = plan.x_element;
  t.pass_ = &WinogradAxis<float>::input;
  return t;
}

WeightGradTransform WeightGradTransform::of_dy(const WinogradWeightGradPlan& plan, const float* dy, index group,
                                               index panel, float* small) {
  WeightGradTransform t(plan, small);
  const index k0 = panel * plan.panel;
  t.data_ = dy + group * plan.s.group_out() + k0;
  t.pixel_ = plan.s.out_channels;
  t.tensor_ = plan.s.out;
  t.step_ = plan.spacing;
  for (int a = 0; a < 3; ++a) t.tile_[a] = plan.scheme[a].tile;
  t.channels_ = std::min(plan.panel, plan.s.group_out() - k0);
  t.slot_ = plan.panel;
  t.element_ = plan.dy_element;
  t.pass_ = &WinogradAxis<float>::filter;
  return t;
}

void WeightGradTransform::run(index first, index last, float* to) const {
  for (index tile = first; tile < last;) {
    const index done = next(tile, last - tile, to);
    tile += done;
    to += done * slot_;
  }
}

// A run of tiles in a row, of which none is at the border, or that are copied first. Returns the number of tiles.
index WeightGradTransform::next(index tile, index most, float* to) const {
  const index image_tiles = plan_.count[0] * plan_.count[1] * plan_.count[2], step = plan_.scheme[2].tile;
  const Axes at = place(tile % image_tiles, plan_.count);
  const Axes strides = dense(tensor_, pixel_);
  const float* const image = data_ + tile / image_tiles * tensor_[0] * strides[0];
  Axes start{}, near{}, hull = tile_;
  bool inside = true;
  for (int a = 0; a < 3; ++a) {
    start[a] = plan_.first_position(a, at[a]) * jump_[a] + shift_[a];
    inside = inside && start[a] >= 0 && (a == 2 || start[a] + (tile_[a] - 1) * step_[a] < tensor_[a]);
    near[a] = strides[a] * step_[a];
  }
  index tiles = std::min({most, plan_.run, plan_.row_left(at[2])});
  const index room = tensor_[2] - 1 - start[2] - (tile_[2] - 1) * step_[2];
  if (inside && room >= 0)
    tiles = std::min(tiles, room / (step * step_[2]) + 1);
  else if (inside)
    inside = false;
  hull[2] += (tiles - 1) * step;
  const float* from = inside ? image + dot(start, strides) : copy(image, start, hull);
  Axes from_strides = inside ? near : dense(hull, slot_);
  index from_tile = step * from_strides[2];
  Axes now = tile_;
  float* const buffers[] = {small_ + plan_.small_size(), small_ + 2 * plan_.small_size()};
  int left = plan_.transformed;
  for (int a : {2, 1, 0}) {
    if (!plan_.transform[a]) continue;
    --left;
    const Axes lines = now;
    now[a] = plan_.size[a];
    float* const goal = left ? buffers[left % 2] : to;
    const Axes goal_strides = dense(now, left ? slot_ : element_);
    const index goal_tile = left ? now[0] * now[1] * now[2] * slot_ : slot_;
    TransformPass<float> pass = winograd_pass(a, from, from_strides, goal, goal_strides, lines, channels_);
    if (plan_.transformed < 3) {  // lines on one other axis at most, so tiles can take the place of another
      if (pass.outer > 1) {
        pass.inner = pass.outer;
        pass.in_inner = pass.in_outer;
        pass.out_inner = pass.out_outer;
      }
      pass.outer = tiles;
      pass.in_outer = from_tile;
      pass.out_outer = goal_tile;
      if (inside && left == plan_.transformed - 1) pass.ahead = from_tile;
    }
    (plan_.transform[a]->*pass_)(pass);
    from = goal;
    from_strides = goal_strides;
    from_tile = goal_tile;
  }
  return tiles;
}

// What tiles at the border read, with zeros outside.
const float* WeightGradTransform::copy(const float* image, const Axes& start, const Axes& hull) const {
  const Axes from = dense(tensor_, pixel_), to = dense(hull, slot_);
  Axes begin{}, end{};
  for (int a = 0; a < 3; ++a) {
    const index before = step_[a] - 1 - start[a], room = tensor_[a] + step_[a] - 1 - start[a];
    begin[a] = std::clamp<index>(before > 0 ? before / step_[a] : 0, 0, hull[a]);
    end[a] = std::clamp<index>(room > 0 ? room / step_[a] : 0, begin[a], hull[a]);
  }
  std::fill_n(small_, hull[0] * to[0], 0.0f);
  for (index d = begin[0]; d < end[0]; ++d) {
    for (index h = begin[1]; h < end[1]; ++h) {
      for (index w = begin[2]; w < end[2]; ++w)
        copy_channels(image + dot({start[0] + d * step_[0], start[1] + h * step_[1], start[2] + w * step_[2]}, from),
                      channels_, small_ + dot({d, h, w}, to));
    }
  }
  return small_;
}

bool WeightGradBack::run(index group, index first_row, index rows, index first_panel, index columns) const {
  const ConvShape& s = plan.s;
  const index width = plan.region_panels * plan.panel;
  bool finite = true;
  for (index row = first_row; row < first_row + rows; ++row) {
    const index c0 = row % plan.strips * strip, channels = std::min(strip, s.group_in() - c0);
    const float* from = sums + (row - first_row) * strip * width;
    float* to = dw + c0 * s.out_channels + group * s.group_out() + first_panel * plan.panel;
    for (index c = 0; c < channels; ++c, from += width, to += s.out_channels)
      finite = channel(from, row, to, columns) && finite;
  }
  return finite;
}

// One channel of x, `to` at its first tap.
bool WeightGradBack::channel(const float* from, index row, float* to, index columns) const {
  const ConvShape& s = plan.s;
  Axes strides = dense(plan.size, plan.sums_element()), now = plan.size;
  bool finite = true;
  int left = plan.transformed;
  for (int a : {0, 1, 2}) {
    if (!plan.transform[a]) continue;
    --left;
    now[a] = plan.scheme[a].kernel;
    float* const goal = small + left * plan.small_size();
    const Axes goal_strides = dense(now, columns);
    const auto pass = winograd_pass(a, from, strides, goal, goal_strides, now, columns);
    if (left)
      plan.transform[a]->output(pass);
    else
      finite = plan.transform[a]->last(pass);
    from = goal;
    strides = goal_strides;
  }
  const Axes part = plan.part_of(row);
  const index tap = s.group_in() * s.out_channels;
  auto tap_at = [&](int a, index i) { return plan.scheme[a].first_tap(part[a]) + i * plan.scheme[a].residues; };
  for (index d = 0; d < now[0]; ++d) {
    for (index h = 0; h < now[1]; ++h) {
      for (index w = 0; w < now[2]; ++w, from += columns) {
        const Axes at{tap_at(0, d), tap_at(1, h), tap_at(2, w)};
        if (at[0] >= s.kernel[0] || at[1] >= s.kernel[1] || at[2] >= s.kernel[2]) continue;
        float* const goal = to + ((at[0] * s.kernel[1] + at[1]) * s.kernel[2] + at[2]) * tap;
        if (overwrite) {
          std::copy_n(from, columns, goal);
        } else {
          for (index k = 0; k < columns; ++k) goal[k] += from[k];
        }
      }
    }
  }
  return finite;
}

}  // namespace pcx
