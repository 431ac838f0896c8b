// The driver of forward convolution and input gradient: cuts the output into blocks of positions, copies what a block
// reads into a padded patch (or reads x where it stands, if it meets no padding: block_reads.h), and runs the kernel
// over all pixels of the block, panel by panel of output channels.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "isa/dispatch.h"
#include "ops/block_reads.h"
#include "ops/correlate_cut.h"
#include "ops/mixed.h"
#include "ops/slabs.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 48 << 20;  // of all workers together

template <class T>
class Correlator {
 public:
  Correlator(const Correlation& problem, const T* x, const Weight<T>& weight, const T* bias, bool relu, T* y)
      : p_(problem),
        k_(kernels<T>()),
        chunks_(chunks_of(p_, sizeof(T))),
        small_(!worth_threads(p_)),
        stores_far_(stores_far<T>(p_)),
        reads_far_(reads_far<T>(p_)),
        streams_(streams<T>(p_) && p_.taps() * p_.in_channels <= chunks_.depth &&
                 reinterpret_cast<std::uintptr_t>(y) % 64 == 0),
        tap_sets_(turns_of<T>(p_, chunks_)),
        in_place_((tap_sets_ && !crowded<T>(p_)) || stays_in_place<T>(p_, chunks_)),
        cut_(cut_for(p_, in_place_, chunks_, small_, sizeof(T), divide_up(p_.out_channels, k_.panel),
                     tap_sets_ && !weight.by_turns ? turn_positions : block_positions)),
        touches_((cut_.groups_together || p_.groups == 1) && touches<T>(p_)),
        reads_(p_, chunks_, tap_sets_, in_place_, cut_, weight),
        group_size_(packed_size<T>(p_) / p_.groups),
        x_(x),
        weight_(weight),
        bias_(bias),
        y_(y),
        relu_(relu) {
    if (reads_.by_slabs()) cut_.take_panels(slab_panels<T>(cut_.panels, cut_.positions(), !small_));
  }

  Work work() const {
    const index bytes =
        patch_bytes() + turn_size() * static_cast<index>(sizeof(T)) + list_size() * static_cast<index>(sizeof(index));
    const index affordable = std::max<index>(1, scratch_bytes / bytes);
    const index terms = chunks_.channels * p_.taps(), chunks = divide_up(p_.in_channels, chunks_.channels);
    const index registers = std::min(chunks_.depth, terms), lanes = over_lanes<T>(p_, p_.out_channels) ? k_.lanes : 1;
    const index chain = divide_up(registers, lanes) + divide_up(terms, chunks_.depth) * chunks;
    return {p_.products() * reads_.share_left(), chain, 0, bytes,
            small_ ? 1 : std::min(cut_.tasks(p_.groups), affordable)};
  }

  // Each panel of a group by one task.
  bool reads_once() const { return cut_.tasks(1) == cut_.panel_groups; }

  void run() {
    const Work needed = work();
    const int workers = workers_for(needed.workers, needed.products);
    const index patch = patch_bytes() / static_cast<index>(sizeof(T)), positions = cut_.positions();
    Buffer<T> patches(patch * workers), turns(turn_size() * workers);
    Buffer<index> lists(list_size() * workers);
    std::vector<Worker> own(static_cast<std::size_t>(workers));
    parallel_for(cut_.tasks(p_.groups), workers, [&](index task, int worker) {
      Worker& w = own[static_cast<std::size_t>(worker)];
      w.patch = patches.data() + worker * patch;
      w.pixels.x_at = lists.data() + list_size() * worker;
      w.pixels.y_at = w.pixels.x_at + positions;
      w.pixels.lists = w.pixels.y_at + positions;
      w.turn = turns.data() + worker * turn_size();
      compute(cut_.block_of(task, p_, p_.groups), w);
      if (streams_) k_.stream_end();
    });
  }

 private:
  struct Worker {
    T* patch;
    T* turn;  // what is packed of a weight by turns, slabs or a chunk of one panel; and before it the sums of a panel
    typename BlockReads<T>::Pixels pixels;
  };

  index patch_bytes() const {  // of one worker
    return reads_.patch_size() * cut_.images * static_cast<index>(sizeof(T));
  }

  index list_size() const {  // of one worker
    return 2 * cut_.positions() + (tap_sets_ ? tap_sets_->listed(cut_.positions()) : 0);
  }
  index sums_size() const { return tap_sets_ && !reads_.by_slabs() ? cut_.positions() * k_.panel : 0; }
  index turn_size() const { return packed_by_turns() + sums_size(); }

  index packed_by_turns() const {
    if (!weight_.by_turns) return 0;
    const index last = p_.out_channels % k_.panel, whole = p_.out_channels > last ? k_.panel : last;
    const index slab = reads_.by_slabs() ? slab_scratch<T>(cut_.panels_each, cut_.positions()) : 0;
    return std::max({slab, packed_chunk_size<T>(p_, chunks_, chunks_.channels, whole),
                     packed_chunk_size<T>(p_, chunks_, chunks_.channels, last)});
  }

  void compute(const Block& b, Worker& worker) const {
    reads_.list(b, worker.pixels);
    const bool home = worker.pixels.home;
    index c0 = 0;
    do {  // at least once: a sum of nothing is zero, and still gets its bias
      const index channels = std::min(chunks_.channels, p_.in_channels - c0);
      const T* const x = reads_.read(x_, b, c0, channels, home, worker.patch);
      const Chunk chunk{reads_.lists(channels), c0, channels, c0 + channels >= p_.in_channels};
      const ConvPixels<T> tile = tile_of(b, chunk, x, worker);
      if (touches_ && home && c0 == 0 && b.group == 0) touch_pixels(tile);
      index panel = reads_.by_slabs() ? multiply_slabs(b, chunk, tile, worker) : b.first_panel;
      for (; panel < b.last_panel; ++panel) multiply_panel(b, panel, chunk, tile, worker);
      c0 += channels;
    } while (c0 < p_.in_channels);
  }

  // Channels of the sum.
  struct Chunk {
    const std::vector<typename BlockReads<T>::Lists>& lists;
    index first, channels;
    bool last;
  };

  // Of the first panel; bias and relu are for the last pass.
  ConvPixels<T> tile_of(const Block& b, const Chunk& chunk, const T* x, const Worker& worker) const {
    ConvPixels<T> tile{};
    tile.x = x;
    tile.x_at = worker.pixels.x_at;
    tile.y = reads_.write(y_, b);
    tile.y_at = worker.pixels.y_at;
    tile.pixels = b.pixels();
    tile.accumulate = chunk.first > 0;
    tile.bias = bias_ && chunk.last ? bias_ + b.group * p_.out_channels : nullptr;
    tile.relu = relu_ && chunk.last;
    tile.streamed = streams_;
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
    const SlabList& slabs = reads_.slabs(chunk.channels, worker.pixels);
    tile.y += first;
    if (tile.bias) tile.bias += first;
    multiply(slabs, worker.pixels.sets, w, weight_.strides.in, columns, tile, worker.turn);
    return b.first_panel + divide_up(columns, k_.panel);
  }

  void multiply_panel(const Block& b, index panel, const Chunk& chunk, const ConvPixels<T>& given,
                      const Worker& worker) const {
    const index first = panel * k_.panel, depth = p_.taps() * p_.in_channels, before = chunk.first / chunks_.channels;
    ConvPixels<T> tile = given;
    tile.columns = static_cast<int>(std::min<index>(k_.panel, p_.out_channels - first));
    tile.over_lanes = over_lanes<T>(p_, tile.columns);
    if (weight_.by_turns) {
      T* const packed = worker.turn + sums_size();
      pack_chunk(p_, chunks_, weight_.data, weight_.strides, b.group, panel, chunk.first, chunk.channels, packed);
      tile.w = packed;
    } else {
      tile.w = weight_.data + b.group * group_size_ + first * depth +
               before * packed_chunk_size<T>(p_, chunks_, chunks_.channels, tile.columns);
    }
    tile.y += first;
    if (tile.bias) tile.bias += first;
    if (stores_far_) tile.y_next_end = next_end(b, panel);
    tile.fetch_x = reads_far_ && !touches_ && worker.pixels.home && chunk.first == 0 && chunk.last && group_follows(b);
    if (tap_sets_) {
      tile.sums = worker.turn;
      return multiply_packed(reads_.slabs(chunk.channels, worker.pixels), worker.pixels.sets, tile);
    }
    for (const auto& group : worker.pixels.groups) multiply_group(group, chunk, tile);
  }

  // The tile is that of all pixels of the block.
  void multiply_group(const typename BlockReads<T>::Group& group, const Chunk& chunk, ConvPixels<T> tile) const {
    const auto& lists = chunk.lists[static_cast<std::size_t>(group.lists)];
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

  index weights_of(const Run& run, const ConvPixels<T>& tile) const {
    return tile.over_lanes ? (run.skip + round_up(run.length, k_.lanes)) * tile.columns
                           : (run.skip + run.length) * k_.whole_width(tile.columns);
  }

  const Correlation p_;
  const Kernels<T>& k_;
  const Chunks chunks_;
  const bool small_, stores_far_, reads_far_, streams_;
  const std::optional<TapSets> tap_sets_;
  const bool in_place_;
  Cut cut_;
  const bool touches_;
  const BlockReads<T> reads_;
  const index group_size_;
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
  const Way way = way_of<T>(p);
  if (way == Way::mixed) return mixed_work<T>(p);
  if (way == Way::rows) return correlate_rows_work<T>(p);
  return Correlator<T>(p, nullptr, weight, nullptr, false, nullptr).work();
}

template <class T>
void correlate(const Correlation& problem, const T* x, const Weight<T>& weight, const T* bias, bool relu, T* y) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return;
  const Correlation p = ascending(problem);
  const Way way = way_of<T>(p);
  if (way == Way::mixed) return mixed(p, x, weight.data, bias, relu, y);
  if (way == Way::rows) return correlate_rows(p, x, weight.data, bias, relu, y);
  Correlator<T>(p, x, weight, bias, relu, y).run();
}

template <class T>
bool reads_once(const Correlation& problem) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return false;
  const Correlation p = ascending(problem);
  return way_of<T>(p) == Way::channels && Correlator<T>(p, nullptr, {}, nullptr, false, nullptr).reads_once();
}

template Work correlate_work<float>(const Correlation&, const Weight<float>&);
template Work correlate_work<double>(const Correlation&, const Weight<double>&);
template void correlate(const Correlation&, const float*, const Weight<float>&, const float*, bool, float*);
template void correlate(const Correlation&, const double*, const Weight<double>&, const double*, bool, double*);
template bool reads_once<float>(const Correlation&);
template bool reads_once<double>(const Correlation&);

}  // namespace pcx
