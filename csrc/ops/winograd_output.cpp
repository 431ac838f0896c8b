#include <algorithm>

#include "base/division.h"
#include "ops/winograd_pass.h"
#include "ops/winograd_tile.h"

namespace pcx {

bool WinogradOutput::run(index block, index first_panel, index last_panel, index first, index last) const {
  Axes tile = plan.place(block * plan.block + first);
  bool finite = true;
  for (index t = first; t < last;) {
    index done = 0;
    for (index panel = first_panel; panel < last_panel; ++panel) {  // all of a pixel's: they share its cache lines
      const float* const from = products + panel * plan.elements * plan.product_element + t * plan.panel;
      done = transform(panel, tile, from, last - t, finite);
    }
    t += done;
    advance(tile, done, plan.count);
  }
  return finite;
}

// Where a tile goes. Of positions that are joined the first one counts, which may lie before y.
struct WinogradOutput::Goal {
  Axes first, strides, inside;  // from position to position; positions of the tile that there are
  index following;              // neighbouring tiles that are whole, this one included
};

WinogradOutput::Goal WinogradOutput::goal_of(const Axes& at) const {
  const Correlation& p = plan.problem;
  Goal goal{{}, y_strides(), {}, 0};
  bool whole = true;
  for (int a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = p.axis[a];
    const index start = plan.first_position(a, at[a]), step = plan.spacing[a] * axis.out_step;
    const index tile = plan.scheme[a].tile, left = divide_up(axis.positions - start, plan.spacing[a]);
    goal.first[a] = axis.out_first + start * axis.out_step;
    goal.strides[a] *= step;
    goal.inside[a] = std::min(left, tile);
    const index room = axis.out - p.joined[a] - goal.first[a];
    goal.following = goal.first[a] < 0 || room < 0 ? 0 : std::min(left, room / step + 1) / tile;
    whole = whole && goal.following > 0;
  }
  if (!whole) goal.following = 0;
  return goal;
}

// Neighbouring whole tiles go together: to all axes but the last they are as more channels. Returns how many; `finite`
// becomes false where a sum is not.
index WinogradOutput::transform(index panel, const Axes& at, const float* from, index most, bool& finite) const {
  const index k0 = panel * kernels<float>().panel;
  const index columns = std::min<index>(plan.panel, plan.problem.out_channels - k0);
  const Goal goal = goal_of(at);
  const bool whole = goal.following > 0;
  const index joined = plan.transformed == 1 ? most : std::min(most, plan.together);
  const index tiles = whole ? std::min(joined, goal.following) : 1;
  Axes strides = dense(plan.size, plan.product_element), extents = plan.size;
  int left = plan.transformed;
  for (int a : {0, 1, 2}) {
    if (!plan.transform[a]) continue;
    extents[a] = plan.scheme[a].tile;
    float* const to = small + --left * plan.small_size();
    const Axes to_strides = dense(extents, tiles * plan.panel);
    TransformPass<float> pass = winograd_pass(a, from, strides, to, to_strides, extents, tiles * plan.panel);
    if (left) {
      plan.transform[a]->output(pass);
    } else {
      pass.relu = relu;
      if (!(whole ? into_rows(a, pass, goal, k0, columns, tiles) : last_axis(a, pass, k0, columns, 1, 0)))
        finite = false;
    }
    from = to;
    strides = to_strides;
  }
  if (!whole) spread(goal, k0, columns, from, strides);
  return tiles;
}

// Whole tiles, straight into y: the positions that are joined on the width axis lie side by side there.
bool WinogradOutput::into_rows(int a, TransformPass<float> pass, const Goal& goal, index k0, index columns,
                               index tiles) const {
  const Correlation& p = plan.problem;
  const TransformPass<float> to_y = winograd_pass(a, pass.in, {}, pass.out, goal.strides, {}, 0);
  pass.out_step = to_y.out_step, pass.out_outer = to_y.out_outer, pass.out_inner = to_y.out_inner;
  const float* const in = pass.in;
  const index row = p.joined[2] * p.pixel_channels();
  bool finite = true;
  for (index begin = k0; begin < k0 + columns;) {
    const index i = begin / row, end = std::min((i + 1) * row, k0 + columns);
    pass.in = in + begin - k0;
    pass.out = y + dot({goal.first[0] + i / p.joined[1], goal.first[1] + i % p.joined[1], goal.first[2]}, y_strides()) +
               begin % row;
    if (!last_axis(a, pass, begin, end - begin, tiles, plan.scheme[2].tile * goal.strides[2])) finite = false;
    begin = end;
  }
  return finite;
}

// What of a tile lies inside of y.
void WinogradOutput::spread(const Goal& goal, index k0, index columns, const float* from, const Axes& strides) const {
  const Correlation& p = plan.problem;
  const Axes to = y_strides();
  const index channels = p.pixel_channels(), row = p.joined[2] * channels;
  const index first_row = k0 / row, last_row = (k0 + columns - 1) / row;
  auto inside = [&](int a, index position) { return position >= 0 && position < p.axis[a].out; };
  for (index d = 0; d < goal.inside[0]; ++d) {
    for (index h = 0; h < goal.inside[1]; ++h) {
      for (index i = first_row; i <= last_row; ++i) {
        const index z = goal.first[0] + d * goal.strides[0] / to[0] + i / p.joined[1];
        const index v = goal.first[1] + h * goal.strides[1] / to[1] + i % p.joined[1];
        if (!inside(0, z) || !inside(1, v)) continue;
        for (index w = 0; w < goal.inside[2]; ++w) {
          const index u = goal.first[2] + w * goal.strides[2] / to[2];
          const index begin = std::max(k0, i * row + std::max<index>(0, -u) * channels);
          const index end = std::min(k0 + columns, i * row + std::min(p.joined[2], p.axis[2].out - u) * channels);
          if (begin < end)
            copy_channels(from + dot({d, h, w}, strides) + begin - k0, end - begin,
                          y + (dot({z, v, u}, to) + begin - i * row));
        }
      }
    }
  }
}

Axes WinogradOutput::y_strides() const {
  const Correlation& p = plan.problem;
  return dense({p.axis[0].out, p.axis[1].out, p.axis[2].out}, p.groups * p.pixel_channels());
}

// `column`: that of the first channel.
bool WinogradOutput::last_axis(int a, TransformPass<float> pass, index column, index columns, index tiles,
                               index pitch) const {
  pass.bias = bias ? bias + column : nullptr;
  pass.channels = pass.fetched = columns;
  pass.ahead = tiles * pitch;
  if (pass.outer == 1) {
    over_tiles(pass, tiles, plan.panel, pitch);
    return plan.transform[a]->last(pass);
  }
  bool finite = true;
  for (index t = 0; t < tiles; ++t, pass.in += plan.panel, pass.out += pitch) {
    if (!plan.transform[a]->last(pass)) finite = false;
  }
  return finite;
}

}  // namespace pcx
