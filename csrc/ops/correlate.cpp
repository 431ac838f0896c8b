// The driver of forward convolution and input gradient: cuts the output into blocks of positions, copies what a block
// reads into a padded patch (or reads x where it stands, if it meets no padding), and runs the kernel over all pixels
// of the block, panel by panel of output channels.
#include <algorithm>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "isa/dispatch.h"
#include "ops/correlate_cut.h"
#include "ops/correlation.h"
#include "ops/patch.h"
#include "ops/run_list.h"
#include "ops/slabs.h"
#include "ops/tap_parts.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 48 << 20;  // of all workers together
constexpr index many_positions = 64;

template <class T>
class Correlator {
 public:
  Correlator(const Correlation& problem, const T* x, const Weight<T>& weight, const T* bias, bool relu, T* y)
      : p_(problem),
        k_(kernels<T>()),
        chunks_(chunks_of(p_, sizeof(T))),
        home_taps_(run_taps_at_home(p_, chunks_, last_over_lanes<T>(p_))),
        in_place_(stays_home({}, {p_.axis[0].positions, p_.axis[1].positions, p_.axis[2].positions})),
        small_(!worth_threads(p_)),
        stores_far_(stores_far<T>(p_)),
        reads_far_(reads_far<T>(p_)),
        cut_(cut_for(p_, in_place_, chunks_, small_, sizeof(T), divide_up(p_.out_channels, k_.panel))),
        touches_(cut_.groups_together && touches<T>(p_)),
        patch_(p_, cut_.block, chunks_),
        parts_(picture_parts(p_, in_place_ ? 0 : parted_axes<T>(p_))),
        slabs_(takes_slabs(weight)),
        group_size_(packed_size<T>(p_) / p_.groups),
        x_(x),
        weight_(weight),
        bias_(bias),
        y_(y),
        relu_(relu) {
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
    if (slabs_) cut_.take_panels(slab_panels<T>(cut_.panels, cut_.positions(), !small_));
    list_chunks();
  }

  Work work() const {
    const index bytes = patch_bytes() + turn_size() * static_cast<index>(sizeof(T)) +
                        2 * cut_.positions() * static_cast<index>(sizeof(index));
    const index affordable = std::max<index>(1, scratch_bytes / bytes);
    const index terms = chunks_.channels * p_.taps(), chunks = divide_up(p_.in_channels, chunks_.channels);
    const index registers = std::min(chunks_.depth, terms), lanes = over_lanes<T>(p_, p_.out_channels) ? k_.lanes : 1;
    const index chain = divide_up(registers, lanes) + divide_up(terms, chunks_.depth) * chunks;
    return {p_.products() * share_left(p_, parts_), chain, 0, bytes,
            small_ ? 1 : std::min(cut_.tasks(p_.groups), affordable)};
  }

  // Each panel of a group by one task.
  bool reads_once() const { return cut_.tasks(1) == cut_.panel_groups; }

  void run() {
    const int workers = workers_for(work().workers);
    const index patch = patch_bytes() / static_cast<index>(sizeof(T)), positions = cut_.positions();
    Buffer<T> patches(patch * workers), turns(turn_size() * workers);
    Buffer<index> lists(2 * positions * workers);
    std::vector<Worker> own(static_cast<std::size_t>(workers));
    parallel_for(cut_.tasks(p_.groups), workers, [&](index task, int worker) {
      Worker& w = own[static_cast<std::size_t>(worker)];
      w.patch = patches.data() + worker * patch;
      w.x_at = lists.data() + 2 * positions * worker;
      w.y_at = w.x_at + positions;
      w.turn = turns.data() + worker * turn_size();
      compute(cut_.block_of(task, p_, p_.groups), w);
    });
  }

 private:
  // Pixels of a block that need the same taps, as the lists have them.
  struct Group {
    index lists, first, pixels;
  };

  struct Worker {
    T* patch;
    T* turn;  // what is packed of a weight by turns: slabs, and a chunk of one panel
    index *x_at, *y_at;
    index images = 0;  // the block that is listed
    Axes start{}, size{};
    bool home = false;
    std::vector<Group> groups;
  };

  index patch_bytes() const {  // of one worker
    return in_place_ ? 0 : patch_.size() * cut_.images * static_cast<index>(sizeof(T));
  }

  index turn_size() const {
    if (!weight_.by_turns) return 0;
    const index last = p_.out_channels % k_.panel, whole = p_.out_channels > last ? k_.panel : last;
    const index slab = slabs_ ? slab_scratch<T>(cut_.panels_each, cut_.positions()) : 0;
    return std::max({slab, packed_chunk_size<T>(p_, chunks_, chunks_.channels, whole),
                     packed_chunk_size<T>(p_, chunks_, chunks_.channels, last)});
  }

  bool stays_home(const Axes& start, const Axes& size) const { return home_taps_ && !meets_padding(p_, start, size); }

  // Packing a weight by turns takes longer than the products of a few positions, and slabs have all taps.
  bool takes_slabs(const Weight<T>& weight) {
    if (!weight.by_turns || !has_rows(p_, weight.strides)) return false;
    if (parted() && cut_.positions() >= many_positions) return false;
    parts_ = picture_parts(p_, 0);
    return true;
  }

  index parts() const { return parts_[0].count * parts_[1].count * parts_[2].count; }
  bool parted() const { return parts() > 1; }

  struct Lists {
    RunList runs, lane_runs;  // for panels, and for one that is summed over lanes
    SlabList slabs;
  };

  // What a position of the first chunk reads, which is what it reads of every chunk; the last one may be smaller. For
  // each part of the picture, then at home.
  void list_chunks() {
    const index first = std::min(chunks_.channels, p_.in_channels), last = p_.in_channels % chunks_.channels;
    lists_.resize(static_cast<std::size_t>(parts() + 1));
    if (last) last_lists_.resize(lists_.size());
    const auto list = [&](std::size_t i, const NeededTaps& needed, bool home) {
      lists_[i] = lists_of(first, needed, home);
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

  template <class Use>
  void for_parts(const Use& use) const {
    for (index d = 0; d < parts_[0].count; ++d) {
      for (index h = 0; h < parts_[1].count; ++h) {
        for (index w = 0; w < parts_[2].count; ++w) use({parts_[0][d], parts_[1][h], parts_[2][w]});
      }
    }
  }

  Lists lists_of(index channels, NeededTaps needed, bool home) const {
    const index step = home ? home_taps_ : chunks_.run_taps;
    const auto at = [&](index d, index h, index w) {
      return home ? d * x_tap_[0] + h * x_tap_[1] + w * x_tap_[2] : patch_.tap(d, h, w);
    };
    Lists lists{list_runs(p_, needed, step, channels, RunLister(chunks_.depth), at), {}, {}};
    if (last_over_lanes<T>(p_)) {
      needed[2].tap = 0;  // a run has whole vectors of weights
      needed[2].taps = p_.axis[2].taps;
      lists.lane_runs = list_runs(p_, needed, step, channels, RunLister(chunks_.depth, k_.lanes), at);
    }
    if (!slabs_) return lists;
    std::vector<index> taps;
    for (index d = 0; d < p_.axis[0].taps; ++d) {
      for (index h = 0; h < p_.axis[1].taps; ++h) {
        for (index w = 0; w < p_.axis[2].taps; w += step) taps.push_back(weight_.strides.tap(p_, d, h, w));
      }
    }
    lists.slabs = SlabList(lists.runs, taps, step * channels, weight_.strides.in);
    return lists;
  }

  void compute(const Block& b, Worker& worker) const {
    const bool home = stays_home(b.start, b.size);
    const bool listed = worker.images >= b.images && worker.size == b.size && worker.home == home;
    if (!listed || (parted() && !home && (worker.start != b.start || worker.images != b.images)))
      list_pixels(b, home, worker);
    index c0 = 0;
    do {  // at least once: a sum of nothing is zero, and still gets its bias
      const index channels = std::min(chunks_.channels, p_.in_channels - c0);
      const T* x = worker.patch;
      if (home) {
        x = x_ + b.image * x_image_ + b.group * p_.in_channels + c0 + x_first_;
        for (int a = 0; a < 3; ++a) x += b.start[a] * x_stride_[a];
      } else {
        for (index i = 0; i < b.images; ++i) {
          patch_.fill(x_, b.image + i, b.group, b.start, c0, channels, worker.patch + i * patch_.size());
        }
      }
      const bool whole = channels == std::min(chunks_.channels, p_.in_channels);
      const Chunk chunk{whole ? lists_ : last_lists_, c0, channels, c0 + channels >= p_.in_channels};
      const ConvPixels<T> tile = tile_of(b, chunk, x, worker);
      if (touches_ && home && c0 == 0 && b.group == 0) touch_pixels(tile);
      index panel = slabs_ ? multiply_slabs(b, chunk, tile, worker) : b.first_panel;
      for (; panel < b.last_panel; ++panel) multiply_panel(b, panel, chunk, tile, worker);
      c0 += channels;
    } while (c0 < p_.in_channels);
  }

  // Where the pixels of a block of this size read and write, seen from its first; those of each part together.
  void list_pixels(const Block& b, bool home, Worker& worker) const {
    worker.images = b.images;
    worker.start = b.start;
    worker.size = b.size;
    worker.home = home;
    worker.groups.clear();
    const Axes begin{0, 0, 0};
    if (home || !parted()) return list_group(begin, b.size, home ? parts() : 0, worker);
    index lists = 0;
    for_parts([&](const NeededTaps& needed) {
      Axes from, to;
      for (std::size_t a = 0; a < 3; ++a) {
        from[a] = std::max<index>(needed[a].first - b.start[a], 0);
        to[a] = std::min(needed[a].end - b.start[a], b.size[a]);
      }
      list_group(from, to, lists++, worker);
    });
    // The first reads weights that may be far away, and should read all of them.
    const auto fewer = [](const Group& a, const Group& b) { return a.pixels < b.pixels; };
    std::iter_swap(worker.groups.begin(), std::max_element(worker.groups.begin(), worker.groups.end(), fewer));
  }

  void list_group(const Axes& from, const Axes& to, index lists, Worker& worker) const {
    const index first = worker.groups.empty() ? 0 : worker.groups.back().first + worker.groups.back().pixels;
    Axes x_stride = x_stride_;
    for (int a = 0; a < 3 && !worker.home; ++a) x_stride[a] = patch_.stride(a);
    const index x_image = worker.home ? x_image_ : patch_.size();
    index *x_at = worker.x_at + first, *y_at = worker.y_at + first;
    for (index i = 0; i < worker.images; ++i) {
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
    const index pixels = x_at - worker.x_at - first;
    if (pixels > 0) worker.groups.push_back({lists, first, pixels});
  }

  // Channels of the sum.
  struct Chunk {
    const std::vector<Lists>& lists;
    index first, channels;
    bool last;
  };

  // Of the first panel; bias and relu are for the last pass.
  ConvPixels<T> tile_of(const Block& b, const Chunk& chunk, const T* x, const Worker& worker) const {
    ConvPixels<T> tile{};
    tile.x = x;
    tile.x_at = worker.x_at;
    tile.y = y_of(b) + b.group * p_.out_channels;
    tile.y_at = worker.y_at;
    tile.pixels = b.images * b.size[0] * b.size[1] * b.size[2];
    tile.accumulate = chunk.first > 0;
    tile.bias = bias_ && chunk.last ? bias_ + b.group * p_.out_channels : nullptr;
    tile.relu = relu_ && chunk.last;
    return tile;
  }

  void touch_pixels(const ConvPixels<T>& tile) const {
    for (index i = 0; i < tile.pixels; ++i) touch(tile.x + tile.x_at[i], p_.groups * p_.in_channels);
  }

  // Returns the first panel that it leaves: few columns are summed over lanes.
  index multiply_slabs(const Block& b, const Chunk& chunk, ConvPixels<T> tile, const Worker& worker) const {
    const index first = b.first_panel * k_.panel;
    index columns = std::min(b.last_panel * k_.panel, p_.out_channels) - first;
    const index left = columns % k_.panel;
    if (left > 0 && over_lanes<T>(p_, left)) columns -= left;
    const T* const w = weight_.data + b.group * weight_.strides.group + chunk.first * weight_.strides.in + first;
    const Lists& lists = chunk.lists[static_cast<std::size_t>(worker.groups[0].lists)];
    tile.y += first;
    if (tile.bias) tile.bias += first;
    multiply(lists.slabs, w, weight_.strides.in, columns, tile, worker.turn);
    return b.first_panel + divide_up(columns, k_.panel);
  }

  void multiply_panel(const Block& b, index panel, const Chunk& chunk, const ConvPixels<T>& given,
                      const Worker& worker) const {
    const index first = panel * k_.panel, depth = p_.taps() * p_.in_channels, before = chunk.first / chunks_.channels;
    ConvPixels<T> tile = given;
    tile.columns = static_cast<int>(std::min<index>(k_.panel, p_.out_channels - first));
    tile.over_lanes = over_lanes<T>(p_, tile.columns);
    if (weight_.by_turns) {
      pack_chunk(p_, chunks_, weight_.data, weight_.strides, b.group, panel, chunk.first, chunk.channels, worker.turn);
      tile.w = worker.turn;
    } else {
      tile.w = weight_.data + b.group * group_size_ + first * depth +
               before * packed_chunk_size<T>(p_, chunks_, chunks_.channels, tile.columns);
    }
    tile.y += first;
    if (tile.bias) tile.bias += first;
    if (stores_far_) tile.y_next_end = next_end(b, panel);
    tile.fetch_x = reads_far_ && worker.home && chunk.first == 0 && chunk.last && group_follows(b);
    for (const Group& group : worker.groups) multiply_group(group, chunk, tile);
  }

  // The tile is that of all pixels of the block.
  void multiply_group(const Group& group, const Chunk& chunk, ConvPixels<T> tile) const {
    const Lists& lists = chunk.lists[static_cast<std::size_t>(group.lists)];
    const RunList& list = tile.over_lanes ? lists.lane_runs : lists.runs;
    const ConvPixels<T> given = tile;
    tile.x_at += group.first;
    tile.y_at += group.first;
    tile.pixels = std::min(tile.pixels - group.first, group.pixels);
    for (const RunList::Pass& pass : list.passes) {
      const bool last = pass.first + pass.runs == static_cast<index>(list.runs.size());
      tile.runs = list.runs.data() + pass.first;
      tile.run_count = pass.runs;
      tile.accumulate = given.accumulate || pass.first > 0;
      tile.bias = last ? given.bias : nullptr;
      tile.relu = given.relu && last;
      k_.conv_pixels(tile);
      for (index r = 0; r < pass.runs; ++r) tile.w += weights_of(tile.runs[r], tile);
    }
  }

  bool group_follows(const Block& b) const {  // in the same block
    return cut_.groups_together && cut_.panel_groups == 1 && b.group + 1 < p_.groups;
  }

  // Of the panel after this one, in this group or the next, if it is of the same block; seen from this one.
  index next_end(const Block& b, index panel) const {
    const index left = p_.out_channels - panel * k_.panel;
    if (panel + 1 < b.last_panel) return std::min<index>(left, 2 * k_.panel);
    return group_follows(b) ? left + std::min<index>(p_.out_channels, k_.panel) : 0;
  }

  T* y_of(const Block& b) const {
    T* y = y_ + y_first_ + b.image * y_image_;
    for (int a = 0; a < 3; ++a) y += b.start[a] * y_stride_[a];
    return y;
  }

  index weights_of(const Run& run, const ConvPixels<T>& tile) const {
    return tile.over_lanes ? (run.skip + round_up(run.length, k_.lanes)) * tile.columns
                           : (run.skip + run.length) * k_.whole_width(tile.columns);
  }

  const Correlation p_;
  const Kernels<T>& k_;
  const Chunks chunks_;
  const index home_taps_;        // run_taps_at_home
  const bool in_place_, small_;  // in_place_: all blocks
  const bool stores_far_, reads_far_;
  Cut cut_;
  const bool touches_;
  const Patch patch_;
  PictureParts parts_;
  const bool slabs_;
  const index group_size_;
  std::vector<Lists> lists_, last_lists_;
  Axes x_tap_{}, x_stride_{}, y_stride_{};  // from tap to tap in x; from position to position in x, in y
  index x_first_ = 0, y_first_ = 0, x_image_ = 0, y_image_ = 0;
  const T* x_;
  const Weight<T> weight_;
  const T* bias_;
  T* y_;
  const bool relu_;
};

}  // namespace

template <class T>
Work correlate_work(const Correlation& problem, const Weight<T>& weight) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return {};
  const Correlation p = ascending(problem);
  if (in_rows<T>(p)) return correlate_rows_work<T>(p);
  return Correlator<T>(p, nullptr, weight, nullptr, false, nullptr).work();
}

template <class T>
void correlate(const Correlation& problem, const T* x, const Weight<T>& weight, const T* bias, bool relu, T* y) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return;
  const Correlation p = ascending(problem);
  if (in_rows<T>(p))
    correlate_rows(p, x, weight.data, bias, relu, y);
  else
    Correlator<T>(p, x, weight, bias, relu, y).run();
}

template <class T>
bool reads_once(const Correlation& problem) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return false;
  const Correlation p = ascending(problem);
  return !in_rows<T>(p) && Correlator<T>(p, nullptr, {}, nullptr, false, nullptr).reads_once();
}

template Work correlate_work<float>(const Correlation&, const Weight<float>&);
template Work correlate_work<double>(const Correlation&, const Weight<double>&);
template void correlate(const Correlation&, const float*, const Weight<float>&, const float*, bool, float*);
template void correlate(const Correlation&, const double*, const Weight<double>&, const double*, bool, double*);
template bool reads_once<float>(const Correlation&);
template bool reads_once<double>(const Correlation&);

}  // namespace pcx
