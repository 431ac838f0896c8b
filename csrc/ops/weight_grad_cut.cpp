#include "ops/weight_grad_cut.h"

#include <algorithm>

#include "base/touch.h"
#include "ops/weight_grad_home.h"

namespace pcx {

namespace {

constexpr index line = 64;                 // bytes of a cache line
constexpr index near_bytes = 32 << 10;     // of dy that does
constexpr index copies_bytes = 320 << 10;  // of a block, in the second
constexpr index lane_bytes = 64 << 10;     // where channels of x lie in lanes: of a block, in the first, almost
constexpr index least_pixels = 64, longest_row = 64;
constexpr index most_in_lanes = 1024;     // channels of x with one tap
constexpr index most_columns = 1024;      // of a task where dy is near
constexpr index slices_bytes = 32 << 20;  // of all private dw together
constexpr index least_tasks = 16, slice_pixels = 512;
constexpr double slice_flops = 4e6;

// Channels of dy, and in general of x, that one task takes: more where there is less to do with them.
index most_channels(const ConvShape& s) { return s.taps() > 1 ? 128 : 256; }

// Of x where channels of dy are in lanes. Where these are few, copying x takes the time, and so does reading it from
// memory for one tap: another part would read the same lines, or their neighbours, again.
index most_in(const ConvShape& s, bool far, index panel) {
  constexpr index many = 512, few_panels = 4;
  const index columns = s.group_out();
  return columns <= panel || (far && s.taps() == 1 && columns <= few_panels * panel) ? many : most_channels(s);
}

// Steps of lane_sum for a position, with so many vectors less for each row of taps.
index steps_saved(const ConvShape& s, index vectors) {
  return s.kernel[0] * s.kernel[1] * vectors * std::max<index>(2, s.group_out()) / 2;
}

// What a tap costs that is copied to stand beside others, in such steps: little where rows of taps share the copy and
// channels are few enough to be moved at once.
index copy_steps(const ConvShape& s) {
  constexpr index quick = 2, row = 9, some = 12, four = 4;
  if (s.group_in() > four) return some + s.group_in() / four;
  return s.kernel[0] * s.kernel[1] > 1 ? quick : row;
}

// Slices of pixels that are long enough.
index slices_worth(const ConvShape& s) {
  if (flops_of(s) < parallel_flops) return 1;
  return std::min(std::max<index>(2, static_cast<index>(flops_of(s) / slice_flops)),
                  s.y_size() / s.out_channels / slice_pixels);
}

// Channels of x and of dy of a part at most: where pixels and groups are too few to share, channels are. Of one tap
// those of dy, else those of x, which then are copied once.
struct MostOfPart {
  index channels, columns;

  MostOfPart(const ConvShape& s, bool in_lanes, index strip, index panel)
      : channels(s.group_in()), columns(s.group_out()) {
    constexpr index few_tasks = 2;
    const index wanted = divide_up(few_tasks, s.groups * std::max<index>(1, slices_worth(s)));
    if (flops_of(s) < parallel_flops) return;
    const bool by_columns = in_lanes || channels < 2 * strip || (s.taps() == 1 && columns >= 2 * panel);
    index& shared = by_columns ? columns : channels;
    shared = std::max<index>(1, divide_up(shared, wanted));
  }
};

// Some cache lines: groups that share them read each once, more would not find a block of them in the second cache.
index groups_together(const ConvShape& s, index bytes) {
  return std::clamp<index>(8 * line / (std::max(s.group_in(), s.group_out()) * bytes), 1, s.groups);
}

// Whether panels of dy are copied so that their pixels are neighbours: where products are so short, or pixels so few
// beside the rows of dw, that they would wait, and there are enough of these rows, some where pixels of dy lie in the
// same cache sets, as rows of dw do, many where panels begin inside cache lines.
bool copy_pays(const ConvShape& s, bool wide, index rows, index bytes) {
  constexpr index some = 24, many = 64, same_sets = 2 << 10, few_pixels = 64;
  const index pixel = s.out_channels * bytes;
  const bool meet = rows >= some && pixel % same_sets == 0;
  if (wide) return meet && s.y_size() / s.out_channels <= few_pixels;
  return meet || (rows >= many && pixel % line > 0);
}

}  // namespace

index lane_channels(const ConvShape& s, index lanes) {
  const index most = s.taps() > 1 ? most_channels(s) : most_in_lanes;
  return s.group_in() <= most ? s.group_in() : round_up(even_part(s.group_in(), most), lanes);
}

LaneRuns::LaneRuns(const ConvShape& s, index channels, index lanes) : taps(1), side_by_side(false) {
  const index row = s.kernel[2], together = divide_up(row * channels, lanes), apart = row * divide_up(channels, lanes);
  const bool neighbours = s.dilation[2] == 1 && s.stride[2] <= row;
  const bool pays = 2 * together <= apart && steps_saved(s, apart - together) >= row * copy_steps(s);
  if (channels == s.group_in() && (neighbours ? together < apart : pays)) {
    taps = row;
    side_by_side = !neighbours;
  }
  runs = s.taps() / taps;
  vectors = runs * divide_up(taps * channels, lanes);
}

template <class T>
WeightGradCut<T>::WeightGradCut(const ConvShape& shape)
    : s(shape),
      in_lanes(lanes_take_x<T>(s)),
      k(in_lanes ? kernels_for<T>(s.kernel[2] * s.group_in()) : kernels<T>()),
      few(!in_lanes && s.group_in() <= line / index(sizeof(T))),
      far(s.x_size() * index(sizeof(T)) > far_bytes),
      near(s.taps() > 1 && s.y_size() * index(sizeof(T)) <= near_bytes),
      strip(in_lanes ? lane_channels(s, k.lanes) : std::min<index>(2 * line / index(sizeof(T)), s.group_in())),
      parts(parts_of(in_lanes ? strip : most_in(s, far, k.panel), near ? most_columns : most_channels(s))),
      runs(s, parts.channels, k.lanes),
      together(groups_together(s, sizeof(T))),
      copy_dy(!in_lanes && copy_pays(s, k.wide(), s.taps() * parts.channels, sizeof(T))),
      touch_dy(k.wide() && !copy_dy && parts.columns > k.panel && s.y_size() * index(sizeof(T)) > far_bytes),
      block(first_block()),
      blocks{divide_up(s.out[0], block.extents[0]), divide_up(s.out[1], block.extents[1]),
             divide_up(s.out[2], block.extents[2])},
      units(divide_up(s.batch, block.images) * blocks[0] * blocks[1] * blocks[2]),
      slices(slice_count()),
      patch(patch_for(block)),
      panel_step(spread<T>(block.pixels() * k.panel)) {
  if (few) list_channels();
  if (in_lanes) list_vectors();
}

// Each tap's channels.
template <class T>
void WeightGradCut<T>::list_channels() {
  x_at.reserve(static_cast<std::size_t>(s.taps() * strip));
  if (s.groups == 1) x_home.reserve(x_at.capacity());
  for (index d = 0; d < s.kernel[0]; ++d) {
    for (index h = 0; h < s.kernel[1]; ++h) {
      for (index w = 0; w < s.kernel[2]; ++w) {
        for (index c = 0; c < strip; ++c) {
          x_at.push_back(patch.tap(d, h, w) + c);
          if (s.groups == 1) x_home.push_back(WeightGradHome::tap(s, d, h, w) + c);
        }
      }
    }
  }
}

// The first vector of all runs, then the second: taps that see the same channels follow each other.
template <class T>
void WeightGradCut<T>::list_vectors() {
  const bool home = !runs.side_by_side && (runs.taps == 1 || s.groups == 1);
  x_at.reserve(static_cast<std::size_t>(runs.vectors));
  if (home) x_home.reserve(static_cast<std::size_t>(runs.vectors));
  for (index at = 0; at < runs.taps * parts.channels; at += k.lanes) {
    for (index d = 0; d < s.kernel[0]; ++d) {
      for (index h = 0; h < s.kernel[1]; ++h) {
        for (index w = 0; w < s.kernel[2]; w += runs.taps) {
          x_at.push_back(patch.tap(d, h, w) + at);
          if (home) x_home.push_back(WeightGradHome::tap(s, d, h, w) + at);
        }
      }
    }
  }
}

template <class T>
ChannelParts WeightGradCut<T>::parts_of(index channels, index columns) const {
  const MostOfPart most(s, in_lanes, strip, k.panel);
  return {s, std::min(channels, most.channels), strip, std::min(columns, most.columns), k.panel};
}

template <class T>
WeightGradPatch<T> WeightGradCut<T>::patch_for(const PixelBlock& b) const {
  return WeightGradPatch<T>(s, b, in_lanes ? parts.channels : strip, in_lanes ? 1 : strips(),
                            in_lanes && runs.side_by_side);
}

template <class T>
index WeightGradCut<T>::workers() const {
  return flops_of(s) < parallel_flops ? 1 : tasks();
}

// A block with so many pixels: rows that are not too long where taps read several of them.
template <class T>
PixelBlock WeightGradCut<T>::block_of(index pixels) const {
  const bool one_row = s.kernel[0] * s.kernel[1] == 1;
  PixelBlock b{0, 1, {}, {1, 1, even_part(s.out[2], one_row ? pixels : std::min(pixels, longest_row))}};
  auto fit = [&](index whole) { return even_part(whole, std::max<index>(1, pixels / b.pixels())); };
  b.extents[1] = fit(s.out[1]);
  if (b.extents[1] == s.out[1]) b.extents[0] = fit(s.out[0]);
  if (b.extents[1] == s.out[1] && b.extents[0] == s.out[0]) b.images = fit(s.batch);
  return b;
}

// Pixels of which a strip of x and a panel of dy stay in the first cache, or, where products are long, almost. Several
// uses of panels that begin inside cache lines, which these share with others, need more of it.
template <class T>
index WeightGradCut<T>::near_pixels() const {
  constexpr index some = 16 << 10, few_tiles = 3;
  const index bytes = sizeof(T), pixel = s.out_channels * bytes;
  const index panel = std::min<index>(k.panel, parts.columns) * bytes;
  const bool once = copy_dy || in_lanes || k.wide() || s.taps() * parts.channels <= few_tiles * k.tile;
  const index x = in_lanes ? 0 : strip * bytes, dy = once || pixel % line == 0 ? panel : std::min(pixel, panel + line);
  return (k.wide() ? 2 : 1) * some / std::max(x, dy);
}

template <class T>
PixelBlock WeightGradCut<T>::first_block() const {
  const index bytes = sizeof(T);
  for (index pixels = near_pixels();; pixels /= 2) {
    const PixelBlock b = block_of(pixels);
    const index x = patch_for(b).size(), dy = b.pixels() * parts.columns;
    if (pixels <= least_pixels || (x + dy) * bytes <= (in_lanes ? lane_bytes : copies_bytes)) return b;
  }
}

template <class T>
index WeightGradCut<T>::slice_count() const {
  const index affordable = slices_bytes / std::max<index>(1, s.w_size() * index(sizeof(T)));
  const index others = divide_up(all_parts(), together), wanted = divide_up(least_tasks, others);
  const index most = std::min({2 * wanted, affordable, slices_worth(s), units});
  index best = std::max<index>(1, std::min(wanted, most));
  // Units that two workers do one after the other: least where slices are of one size.
  auto turns = [&](index slices) { return divide_up(slices * others, 2) * divide_up(units, slices); };
  for (index slices = std::max<index>(1, wanted * 3 / 4); slices <= most; ++slices) {
    if (turns(slices) < turns(best)) best = slices;
  }
  return best;
}

template <class T>
PixelBlock WeightGradCut<T>::unit(index number) const {
  PixelBlock b = block;
  for (int a : {2, 1, 0}) {
    b.start[a] = number % blocks[a] * block.extents[a];
    b.extents[a] = std::min(block.extents[a], s.out[a] - b.start[a]);
    number /= blocks[a];
  }
  b.image = number * block.images;
  b.images = std::min(block.images, s.batch - b.image);
  return b;
}

template struct WeightGradCut<float>;
template struct WeightGradCut<double>;

}  // namespace pcx
