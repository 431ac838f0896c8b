#include "ops/correlate_cut.h"

#include <algorithm>

#include "base/division.h"
#include "base/touch.h"
#include "isa/dispatch.h"
#include "ops/patch.h"

namespace pcx {

namespace {

constexpr index patch_bytes = 384 << 10;  // of what a block reads: L2 has 512 KB, and more elsewhere
constexpr index least_tasks = 16;         // enough to share out, if the work is worth it
constexpr index least_run = 8;            // channels that are a run of their own
constexpr index narrowest = 16;           // positions of a row that is cut
constexpr index least_copied = 24;        // positions of a block that is copied for a 1x1 kernel
constexpr index least_signal = 64;        // positions of a signal that is cut
constexpr index few_positions = 64;       // of a block that reads a weight from far away for little work
// Of all groups, in bytes: up to here they stay near while the groups take turns, which then share lines of x and y.
constexpr index near_weights = 128 << 10;
// With few products for each result, storing is what takes the time. Where pixels do not fill their lines, a store
// waits for what it leaves as it is, unless the panel before it has fetched that: 7 products a result, 399 channels,
// took half as long, 38 products two thirds, 300 still 5% less. Full lines are overwritten without being read.
constexpr index shallow = 512;
constexpr index line_bytes = 64;
// Of results from here on nothing is left in the caches when somebody reads them, and ordinary stores of full lines
// read these before they overwrite them. 27 products a result on Sapphire Rapids, whose last cache keeps a hundred MB:
// past the caches 71 MB took 0.85 times as long, 133 two thirds, each together with what reads them next 0.83 to 0.96
// times; 26 MB with a pooling after them 1.2 times. The other is the size of a Zen 3's last cache.
constexpr index wide_streamed_bytes = 64 << 20, streamed_bytes = 32 << 20;
// Many results of several panels are finished by blocks of so many bytes: a panel then finds lines and pages of y near
// that the one before it has touched. Not where each block would fetch its weights from far away.
constexpr index many_results = 4 << 20, block_results = 128 << 10, repeated_weights = 512 << 10;
constexpr index distant_bytes = 4 << 20;  // of x: it leaves the near caches between two uses
constexpr index least_touched = 192;      // bytes of a pixel: each group sees the lines of a smaller one
// Products for each element that is copied: where they are few, blocks are chosen that copy little twice.
constexpr index little_work = 128;
constexpr double worth = 0.95;  // of the bytes: narrower blocks with fewer are not worth it

struct Grown {
  Axes block;
  index images, bytes;  // of the block's patch

  double bytes_each() const {
    return static_cast<double>(bytes) / static_cast<double>(block[0] * block[1] * block[2] * images);
  }
};

// The largest block with rows of `width` that keeps within the limits: rows first, then slices, then pictures.
Grown grow(const Correlation& p, bool in_place, bool side_by_side, index pixel_bytes, index most, index width) {
  auto bytes = [&](const Axes& block) {
    if (in_place && p.taps() == 1) return block[0] * block[1] * block[2] * pixel_bytes;
    index slots = pixel_bytes;
    for (int a = 0; a < 3; ++a) slots *= PatchAxis::slots_for(p.axis[a], block[a], a == 2 && side_by_side);
    return slots;
  };
  Grown g{{1, 1, width}, 1, 0};
  for (int a : {1, 0}) {
    const auto small = [&](index more) {
      Axes larger = g.block;
      larger[a] = more;
      return larger[0] * larger[1] * larger[2] <= most && bytes(larger) <= patch_bytes;
    };
    g.block[a] = even_part(p.axis[a].positions, last_of(p.axis[a].positions, small));
  }
  const index picture = bytes(g.block), positions = g.block[0] * g.block[1] * g.block[2];
  if (positions == p.positions()) {
    const index images = std::min(most / positions, patch_bytes / std::max<index>(1, picture));
    g.images = even_part(p.batch, std::clamp<index>(images, 1, p.batch));
  }
  g.bytes = picture * g.images;
  return g;
}

}  // namespace

index run_taps_at_home(const Correlation& p, const Chunks& chunks, bool over_lanes) {
  if (p.taps() == 1) return 1;
  if (chunks.channels < p.in_channels) return 0;
  if (chunks.run_taps == 1 || (p.axis[2].tap_step == 1 && p.groups == 1)) return chunks.run_taps;
  // The same sums in registers as of runs that are longer.
  const bool one_pass = p.taps() * p.in_channels <= chunks.depth;
  return !over_lanes && one_pass && p.in_channels >= least_run ? 1 : 0;
}

template <class T>
bool crowded(const Correlation& p) {
  index pixel = p.groups * p.in_channels;
  const index picture = p.axis[0].in * p.axis[1].in * p.axis[2].in * pixel * static_cast<index>(sizeof(T));
  const Kernels<T>& k = kernels<T>();
  if (p.out_channels <= (picture > distant_bytes ? k.panel : k.lanes)) return false;
  for (std::size_t a : {2, 1, 0}) {
    if (p.axis[a].positions > 1) return crowded<T>(p.axis[a].step * pixel);
    pixel *= p.axis[a].in;
  }
  return crowded<T>(pixel);
}

bool meets_padding(const Correlation& p, const Axes& start, const Axes& size) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (sees_padding(p.axis[i], start[i], size[i])) return true;
  }
  return false;
}

template <class T>
bool stays_in_place(const Correlation& p, const Chunks& chunks) {
  const Axes all{p.axis[0].positions, p.axis[1].positions, p.axis[2].positions};
  return !crowded<T>(p) && run_taps_at_home(p, chunks, last_over_lanes<T>(p)) && !meets_padding(p, {}, all);
}

template <class T>
std::optional<TapSets> turns_of(const Correlation& p, const Chunks& chunks) {
  const Axes all{p.axis[0].positions, p.axis[1].positions, p.axis[2].positions};
  const index channels = std::min(chunks.channels, p.in_channels);
  if (p.taps() == 1 || channels < least_run || !meets_padding(p, {}, all) || last_over_lanes<T>(p)) return {};
  TapSets sets(p);
  if (!sets.worth(channels)) return {};
  return sets;
}

template bool crowded<float>(const Correlation&);
template bool crowded<double>(const Correlation&);
template bool stays_in_place<float>(const Correlation&, const Chunks&);
template bool stays_in_place<double>(const Correlation&, const Chunks&);
template std::optional<TapSets> turns_of<float>(const Correlation&, const Chunks&);
template std::optional<TapSets> turns_of<double>(const Correlation&, const Chunks&);

index results_of(const Correlation& p) { return p.batch * p.positions() * p.groups * p.out_channels; }

template <class T>
bool stores_far(const Correlation& p) {
  const auto bytes = [](index elements) { return elements * static_cast<index>(sizeof(T)); };
  return p.taps() * p.in_channels <= shallow && bytes(p.groups * p.out_channels) % line_bytes != 0 &&
         bytes(results_of(p)) > many_results;
}

template <class T>
bool streams(const Correlation& p) {
  const index size = sizeof(T), most_bytes = kernels<T>().wide() ? wide_streamed_bytes : streamed_bytes;
  const bool lines = p.out_channels * size % line_bytes == 0;
  return lines && p.taps() * p.in_channels <= shallow && results_of(p) * size > most_bytes;
}

namespace {

template <class T>
index bytes_of_x(const Correlation& p) {
  const index pixels = p.batch * p.axis[0].in * p.axis[1].in * p.axis[2].in;
  return pixels * p.groups * p.in_channels * static_cast<index>(sizeof(T));
}

}  // namespace

template <class T>
bool reads_far(const Correlation& p) {
  return p.groups > 1 && p.taps() == 1 && bytes_of_x<T>(p) > distant_bytes;
}

template <class T>
bool touches(const Correlation& p) {
  const index pixel = p.groups * p.in_channels * static_cast<index>(sizeof(T));
  const bool lanes = over_lanes<T>(p, p.out_channels);
  const index far = lanes ? far_bytes : distant_bytes;  // the former fetches ahead
  return (p.groups > 1 || lanes) && p.taps() == 1 && pixel >= least_touched && p.batch * p.positions() * pixel > far;
}

template bool streams<float>(const Correlation&);
template bool streams<double>(const Correlation&);
template bool stores_far<float>(const Correlation&);
template bool stores_far<double>(const Correlation&);
template bool reads_far<float>(const Correlation&);
template bool reads_far<double>(const Correlation&);
template bool touches<float>(const Correlation&);
template bool touches<double>(const Correlation&);

void Cut::take_panels(index each) {
  panels_each = each;
  panel_groups = divide_up(panels, each);
}

Block Cut::block_of(index task, const Correlation& p, index groups) const {
  Block b{};
  auto take = [&](index n) {
    const index i = task % n;
    task /= n;
    return i;
  };
  b.first_panel = take(panel_groups) * panels_each;
  b.last_panel = std::min(panels, b.first_panel + panels_each);
  if (groups_together) b.group = take(groups);
  for (int a = 2; a >= 0; --a) {
    b.start[a] = take(blocks[a]) * block[a];
    b.size[a] = std::min(block[a], p.axis[a].positions - b.start[a]);
  }
  if (!groups_together) b.group = take(groups);
  b.image = task * images;
  b.images = std::min(images, p.batch - b.image);
  return b;
}

Cut cut_for(const Correlation& p, bool in_place, const Chunks& chunks, bool small, std::size_t element_bytes,
            index panels, index positions) {
  const index pixel_bytes = chunks.channels * static_cast<index>(element_bytes), row = p.axis[2].positions;
  Grown best{};
  const bool little = p.taps() * p.out_channels < little_work;
  const index weights = p.groups * p.taps() * p.in_channels * p.out_channels * static_cast<index>(element_bytes);
  const index pixel = p.groups * p.out_channels * static_cast<index>(element_bytes);
  const bool many = panels > 1 && weights <= repeated_weights && p.batch * p.positions() * pixel > many_results;
  const index most = many ? std::clamp(block_results / pixel, narrowest, positions) : positions;
  for (index parts = divide_up(row, most);; parts *= 2) {
    const index width = divide_up(row, parts);
    if (best.images && (width < narrowest || (!little && best.bytes <= patch_bytes))) break;
    const Grown grown = grow(p, in_place, side_by_side(p, chunks), pixel_bytes, most, width);
    const bool fits = best.bytes <= patch_bytes;
    if (!best.images || !fits || grown.bytes_each() < worth * best.bytes_each()) best = grown;
    if (width == 1) break;
  }
  Cut c{best.images, 0, best.block, {}, panels, panels, 0, weights <= near_weights};
  auto count = [&] {
    for (int a = 0; a < 3; ++a) c.blocks[a] = divide_up(p.axis[a].positions, c.block[a]);
    c.image_blocks = divide_up(p.batch, c.images);
    c.take_panels(c.panels_each);
    return c.tasks(p.groups);
  };
  if (small) {
    count();
    return c;
  }
  // Too few tasks to share: cut the pictures apart as long as many positions share a weight, then the output channels
  // as long as copying the input again is cheap, then the rest of the pictures and the rows.
  auto cut_pictures = [&](index least) {
    while (count() < least_tasks && c.images > 1 && c.positions() >= 2 * least) c.images = divide_up(c.images, 2);
  };
  auto cut_rows = [&](index least) {
    for (std::size_t a : {0, 1, 2}) {
      while (count() < least_tasks && c.block[a] > 1 && c.positions() >= 2 * least)
        c.block[a] = divide_up(c.block[a], 2);
    }
  };
  cut_pictures(few_positions);
  if (p.taps() == 1 && !in_place) cut_rows(least_copied);
  // Where nothing is copied; and where panels have no other work than what is copied.
  const index least_panels = p.taps() == 1 && in_place ? 1 : 2;
  const index enough = p.taps() == 1 && !in_place ? least_tasks / 2 : least_tasks;
  while (count() < enough && c.panels_each > least_panels) c.panels_each = divide_up(c.panels_each, 2);
  if (c.panel_groups == 1) cut_pictures(1);
  while (count() < least_tasks && c.block[1] > 4) c.block[1] = divide_up(c.block[1], 2);
  while (count() < least_tasks && p.axis[1].positions == 1 && c.block[2] > least_signal)
    c.block[2] = divide_up(c.block[2], 2);
  return c;
}

}  // namespace pcx
