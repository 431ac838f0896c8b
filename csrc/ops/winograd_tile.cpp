#include "ops/winograd_tile.h"

#include <algorithm>
#include <cstring>

#include "ops/winograd_pass.h"

namespace pcx {

namespace {

Axes place(index number, const Axes& counts) {
  return {number / (counts[1] * counts[2]), number / counts[2] % counts[1], number % counts[2]};
}

index dot(const Axes& a, const Axes& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

void copy_strip(const float* from, index channels, float* to) {
  if (channels == strip)
    std::memcpy(to, from, strip * sizeof(float));  // a constant length: a few vector moves
  else
    std::copy_n(from, channels, to);
}

}  // namespace

// A run of channels of one part of the kernel, and where it goes in a row of the chunk.
struct WinogradInput::Segment {
  Axes shift;  // of the part's first tap
  index c0, channels;
  float* goal;  // of the first tile of the block
};

void WinogradInput::run(index block, index chunk, index first, index last) const {
  const index in_channels = plan.problem.in_channels;
  const index begin = chunk * plan.chunk, end = std::min(begin + plan.chunk, plan.depth());
  for (index i = begin; i < end;) {
    const index part = i / in_channels, c0 = i % in_channels;
    const Axes at = place(part, {plan.scheme[0].parts, plan.scheme[1].parts, plan.scheme[2].parts});
    Segment s{
        {}, c0, std::min(end - i, in_channels - c0), input + chunk * plan.elements * plan.input_element + i - begin};
    for (int a = 0; a < 3; ++a) s.shift[a] = at[a] * plan.scheme[a].kernel;
    Axes tile = place(block * plan.block + first, plan.count);
    for (index t = first; t < last;) {
      const index done = transform(s, tile, t, last - t);
      t += done;
      tile[2] += done;
      for (int a : {2, 1}) {
        if (tile[a] < plan.count[a]) break;
        tile[a] = 0;
        ++tile[a - 1];
      }
    }
    i += s.channels;
  }
}

// Where only one axis is transformed, neighbouring tiles go together as lines of one pass. Returns the number of tiles.
index WinogradInput::transform(const Segment& segment, const Axes& at, index slot, index most) const {
  const auto& axes = plan.problem.axis;
  const index pixel = plan.problem.groups * plan.problem.in_channels;
  const Axes extents{axes[0].in, axes[1].in, axes[2].in}, x_strides = dense(extents, pixel);
  Axes start{};
  Axes begin{}, end{};  // the part of the patch that is inside
  bool inside = true;
  for (int a = 0; a < 3; ++a) {
    start[a] = axes[a].first + at[a] * plan.scheme[a].tile + segment.shift[a];
    begin[a] = std::clamp<index>(-start[a], 0, plan.size[a]);
    end[a] = std::clamp<index>(extents[a] - start[a], begin[a], plan.size[a]);
    inside = inside && begin[a] == 0 && end[a] == plan.size[a];
  }
  const float* const patch = x + dot(start, x_strides) + segment.c0;
  float* const goal = segment.goal + slot * plan.chunk_row;
  const Axes goal_strides = dense(plan.size, plan.input_element);
  const index step = plan.scheme[2].tile * pixel;
  if (inside && plan.transformed == 1) {
    const int a = plan.transform[2] ? 2 : plan.transform[1] ? 1 : 0;
    TransformPass<float> pass = winograd_pass(a, patch, x_strides, goal, goal_strides, plan.size, segment.channels);
    pass.outer = std::min(
        most, 1 + std::min(plan.count[2] - 1 - at[2], (extents[2] - start[2] - plan.size[2]) / plan.scheme[2].tile));
    pass.in_outer = step;
    pass.out_outer = plan.chunk_row;
    plan.transform[a]->input(pass);
    return pass.outer;
  }
  const Axes small_strides = dense(plan.size, strip);
  float* const buffers[] = {small + plan.small_size(), small + 2 * plan.small_size()};
  if (!inside) std::fill_n(small, plan.elements * strip, 0.0f);
  for (index c = 0; c < segment.channels; c += strip) {
    const index channels = std::min(strip, segment.channels - c);
    const float* from = patch + c;
    Axes strides = x_strides;
    if (!inside) {
      for (index d = begin[0]; d < end[0]; ++d) {
        for (index h = begin[1]; h < end[1]; ++h) {
          for (index w = begin[2]; w < end[2]; ++w) {
            copy_strip(from + dot({d, h, w}, x_strides), channels, small + dot({d, h, w}, small_strides));
          }
        }
      }
      from = small;
      strides = small_strides;
    }
    int left = plan.transformed;
    for (int a : {2, 1, 0}) {
      if (!plan.transform[a]) continue;
      --left;
      float* const to = left ? buffers[left % 2] : goal + c;
      const Axes to_strides = left ? small_strides : goal_strides;
      TransformPass<float> pass = winograd_pass(a, from, strides, to, to_strides, plan.size, channels);
      if (inside && left == plan.transformed - 1) pass.ahead = step;
      plan.transform[a]->input(pass);
      from = to;
      strides = to_strides;
    }
  }
  return 1;
}

bool WinogradOutput::run(index block, index panel) const {
  const index first = block * plan.block, count = std::min(plan.block, plan.tiles() - first);
  const float* const from = products + panel * plan.elements * plan.product_element;
  Axes tile = place(first, plan.count);
  bool finite = true;
  for (index t = 0; t < count;) {
    const index done = transform(panel, tile, from + t * plan.panel, count - t, finite);
    t += done;
    tile[2] += done;
    for (int a : {2, 1}) {
      if (tile[a] < plan.count[a]) break;
      tile[a] = 0;
      ++tile[a - 1];
    }
  }
  return finite;
}

// As for the input; `finite` becomes false where a sum is not.
index WinogradOutput::transform(index panel, const Axes& at, const float* from, index most, bool& finite) const {
  const Correlation& p = plan.problem;
  const index k0 = panel * kernels<float>().panel, columns = std::min<index>(plan.panel, p.out_channels - k0);
  const Axes y_strides = dense({p.axis[0].out, p.axis[1].out, p.axis[2].out}, p.groups * p.out_channels);
  Axes start{}, inside{}, extents = plan.size;
  bool whole = true;
  for (int a = 0; a < 3; ++a) {
    start[a] = at[a] * plan.scheme[a].tile;
    inside[a] = std::min<index>(plan.scheme[a].tile, p.axis[a].positions - start[a]);
    whole = whole && inside[a] == plan.scheme[a].tile;
  }
  float* const goal = y + dot(start, y_strides) + k0;
  const index step = plan.scheme[2].tile * y_strides[2];
  Axes strides = dense(plan.size, plan.product_element);
  index done = 1;
  int left = plan.transformed;
  for (int a : {0, 1, 2}) {
    if (!plan.transform[a]) continue;
    --left;
    extents[a] = plan.scheme[a].tile;
    const bool to_y = left == 0 && whole;
    float* const to = to_y ? goal : small + left * plan.small_size();
    const Axes to_strides = to_y ? y_strides : dense(extents, plan.panel);
    TransformPass<float> pass = winograd_pass(a, from, strides, to, to_strides, extents, left ? plan.panel : columns);
    if (to_y && plan.transformed == 1) {
      done = std::min(most, (p.axis[2].positions - start[2]) / plan.scheme[2].tile);
      pass.outer = done;
      pass.in_outer = plan.panel;
      pass.out_outer = step;
    }
    if (left) {
      plan.transform[a]->output(pass);
    } else {
      pass.bias = bias ? bias + k0 : nullptr;
      pass.relu = relu;
      if (to_y) pass.ahead = step;
      if (!plan.transform[a]->last(pass)) finite = false;
    }
    from = to;
    strides = to_strides;
  }
  if (whole) return done;
  for (index d = 0; d < inside[0]; ++d) {
    for (index h = 0; h < inside[1]; ++h) {
      for (index w = 0; w < inside[2]; ++w) {
        copy_strip(from + dot({d, h, w}, strides), columns, goal + dot({d, h, w}, y_strides));
      }
    }
  }
  return 1;
}

}  // namespace pcx
