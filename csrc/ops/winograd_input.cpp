#include <algorithm>

#include "ops/winograd_pass.h"
#include "ops/winograd_tile.h"

namespace pcx {

// A run of channels of one part of the kernel, and where it goes in a row of the chunk. Where taps that follow one
// another are parts of their own, as those of a strided axis are, the run goes on through neighbouring pixels.
struct WinogradInput::Segment {
  Axes shift;  // of the part's first tap, in x
  index c0, channels;
  index beyond;  // pixels of it after the first
  float* goal;   // of the first tile of the block
};

// What a tile reads: elements [begin, end) on each axis lie inside the picture.
struct WinogradInput::Patch {
  const float* data;
  Axes strides, begin, end;
  index pitch;      // to the next tile
  index following;  // neighbouring tiles in the row that lie inside, this one included
};

void WinogradInput::run(index block, index chunk, index first, index last) const {
  const index in_channels = plan.problem.in_channels;
  const WinogradPlan::Summed summed = plan.summed(plan.padding_of(block), chunk);
  const index begin = chunk * plan.chunk, end = begin + summed.first + summed.depth;
  for (index i = begin + summed.first; i < end;) {
    const index part = i / in_channels, c0 = i % in_channels;
    const Axes at = plan.part_at(part);
    const index channels = std::min(end - i, plan.following_parts(at[2]) * in_channels - c0);
    Segment s{{},
              c0,
              channels,
              (c0 + channels - 1) / in_channels,
              input + chunk * plan.elements * plan.input_element + i - begin};
    for (int a = 0; a < 3; ++a) s.shift[a] = plan.scheme[a].first_tap(at[a]) * plan.problem.axis[a].tap_step;
    Axes tile = plan.place(block * plan.block + first);
    for (index t = first; t < last;) {
      const index done = transform(s, tile, t, last - t);
      t += done;
      advance(tile, done, plan.count);
    }
    i += s.channels;
  }
}

WinogradInput::Patch WinogradInput::patch_of(const Segment& segment, const Axes& at) const {
  const auto& axes = plan.problem.axis;
  const index pixel = plan.problem.groups * plan.problem.in_channels;
  Patch p{x + segment.c0, dense({axes[0].in, axes[1].in, axes[2].in}, pixel), {}, {}, 0, 1};
  bool inside = true;
  for (int a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = axes[a];
    const index size = plan.size[a], step = axis.step * plan.spacing[a];
    const index start = axis.first + axis.step * plan.first_position(a, at[a]) + segment.shift[a];
    p.begin[a] = std::clamp<index>(start < 0 ? (step - 1 - start) / step : 0, 0, size);
    p.end[a] = std::clamp<index>(start < axis.in ? (axis.in - 1 - start) / step + 1 : 0, p.begin[a], size);
    inside = inside && p.begin[a] == 0 && p.end[a] == size;
    p.data += start * p.strides[a];
    p.strides[a] *= step;
    if (a < 2) continue;
    p.pitch = plan.scheme[a].tile * p.strides[a];
    const index reach = start + (size - 1) * step + segment.beyond, left = plan.row_left(at[a]);
    p.following =
        inside && reach < axis.in ? std::min(left, 1 + (axis.in - 1 - reach) / (plan.scheme[a].tile * step)) : 0;
  }
  return p;
}

// Neighbouring tiles go together where only one axis is transformed, or where they have few channels. Returns how many.
index WinogradInput::transform(const Segment& segment, const Axes& at, index slot, index most) const {
  Patch patch = patch_of(segment, at);
  if (patch.following == 0 && segment.beyond > 0) return one_by_one(segment, at, slot);
  float* const goal = segment.goal + slot * plan.chunk_row;
  const bool inside = patch.following > 0, straight = inside && plan.transformed == 1;
  const index joined = straight                             ? most
                       : segment.channels == plan.chunk_row ? std::max<index>(1, plan.strip / segment.channels)
                                                            : 1;
  const index tiles = inside ? std::min({joined, most, patch.following}) : 1;
  const index width = straight ? segment.channels : plan.strip;
  for (index c = 0; c < segment.channels; c += width) {
    const index channels = std::min(width, segment.channels - c);
    if (inside || crosses_whole(patch))
      through_axes(patch, tiles, channels, goal + c);
    else
      through_axes(padded(patch, channels), 1, channels, goal + c);
    patch.data += channels;
  }
  return tiles;
}

// A tile that the border crosses, pixel by pixel of its run.
index WinogradInput::one_by_one(const Segment& segment, const Axes& at, index slot) const {
  const index in_channels = plan.problem.in_channels;
  Segment piece = segment;
  piece.beyond = 0;
  for (index left = segment.channels; left > 0; left -= piece.channels) {
    piece.channels = std::min(left, in_channels - piece.c0);
    transform(piece, at, slot, 1);
    piece.goal += piece.channels;
    piece.shift[2] += 1;
    piece.c0 = 0;
  }
  return 1;
}

// Whether the lines along the axis that comes first lie inside, those that there are; the others give zeros.
bool WinogradInput::crosses_whole(const Patch& patch) const {
  const int a = plan.transform[2] ? 2 : 1;
  return plan.transformed > 1 && patch.begin[a] == 0 && patch.end[a] == plan.size[a];
}

// The patch with zeros outside of the picture.
WinogradInput::Patch WinogradInput::padded(const Patch& patch, index channels) const {
  const Axes strides = dense(plan.size, channels);
  auto inside = [&](int a, index i) { return i >= patch.begin[a] && i < patch.end[a]; };
  float* to = small;
  for (index d = 0; d < plan.size[0]; ++d) {
    for (index h = 0; h < plan.size[1]; ++h, to += strides[1]) {
      if (!inside(0, d) || !inside(1, h)) {
        std::fill_n(to, strides[1], 0.0f);
        continue;
      }
      std::fill_n(to, patch.begin[2] * channels, 0.0f);
      for (index w = patch.begin[2]; w < patch.end[2]; ++w)
        copy_channels(patch.data + dot({d, h, w}, patch.strides), channels, to + w * channels);
      std::fill(to + patch.end[2] * channels, to + strides[1], 0.0f);
    }
  }
  return {small, strides, {}, plan.size, 0, 0};
}

// From one small array to the next, in which tiles lie side by side as more channels do; the last axis writes to goal.
void WinogradInput::through_axes(const Patch& patch, index tiles, index channels, float* goal) const {
  float* const buffers[] = {small + plan.small_size(), small + 2 * plan.small_size()};
  const float* from = patch.data;
  Axes strides = patch.strides;
  int left = plan.transformed;
  for (int a : {2, 1, 0}) {
    if (!plan.transform[a]) continue;
    const bool first = left-- == plan.transformed;
    float* const to = left ? buffers[left % 2] : goal;
    const Axes to_strides = dense(plan.size, left ? tiles * channels : plan.input_element);
    Axes lines = plan.size;
    index skipped = 0;
    if (first) {  // of a patch that crosses the border, the lines inside
      for (int i = 0; i < 3; ++i) lines[i] = patch.end[i] - patch.begin[i];
      if (lines != plan.size) std::fill_n(to, plan.elements * channels, 0.0f);
      from += dot(patch.begin, strides);
      skipped = dot(patch.begin, to_strides);
    }
    TransformPass<float> pass =
        winograd_pass(a, from, strides, to + skipped, to_strides, lines, first ? channels : tiles * channels);
    if (!plan.far) pass.fetched = std::min(channel_line, pass.fetched);
    if (!first || tiles == 1) {
      if (first && left) pass.ahead = patch.pitch;
      plan.transform[a]->input(pass);
    } else {
      first_axis(a, pass, tiles, patch.pitch, left ? channels : plan.chunk_row);
    }
    from = to;
    strides = to_strides;
  }
}

void WinogradInput::first_axis(int a, TransformPass<float> pass, index tiles, index in_pitch, index out_pitch) const {
  if (plan.transformed > 1) pass.ahead = tiles * in_pitch;
  if (pass.outer == 1) {
    over_tiles(pass, tiles, in_pitch, out_pitch);
    return plan.transform[a]->input(pass);
  }
  for (index t = 0; t < tiles; ++t, pass.in += in_pitch, pass.out += out_pitch) plan.transform[a]->input(pass);
}

}  // namespace pcx
