// Few channels in and out: cuts the output into blocks of positions, packs what a block reads so that neighbouring
// pixels are neighbours for every tap, and runs the row kernel over it.
#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/correlate_cut.h"
#include "ops/correlation.h"
#include "ops/tap_parts.h"
#include "ops/turned_weights.h"
#include "ops/window.h"

namespace pcx {

namespace {

constexpr index block_positions = 1024;    // of a block, at most: its results stay in L2 between chunks
constexpr index window_bytes = 384 << 10;  // of a block's packed input: less than half of a common L2
constexpr index scratch_bytes = 48 << 20;  // of all workers together
constexpr index longest_row = 240;         // positions; longer rows are cut
constexpr index short_row = 32;            // positions
constexpr index channels_together = 512;   // of all groups: up to so many are packed at once, by whole vectors
constexpr index least_tasks = 16;          // enough to share out, if the work is worth it
constexpr index long_terms = 128;          // of a call of the kernel
constexpr index many_positions = 256;      // of a picture: then it pays to put turned weights in another order

Correlation turned(Correlation p) {
  std::swap(p.axis[1], p.axis[2]);
  return p;
}

}  // namespace

Correlation flattened(Correlation p) {
  index pixels = 1;
  for (const CorrelationAxis& a : p.axis) {
    if (a.taps != 1 || a.first != 0 || a.step != 1 || a.out_first != 0 || a.out_step != 1 || a.positions != a.in ||
        a.out != a.in) {
      return p;
    }
    pixels *= a.in;
  }
  for (CorrelationAxis& a : p.axis) a.in = a.positions = a.out = 1;
  p.axis[2].in = p.axis[2].positions = p.axis[2].out = pixels;
  return p;
}

bool turns(const Correlation& p) {
  return p.axis[2].positions <= short_row && p.axis[1].positions >= 2 * p.axis[2].positions;
}

bool groups_together(const Correlation& p, const Chunks& chunks) {
  return p.groups > 1 && p.groups * p.in_channels <= channels_together && chunks.channels >= p.in_channels;
}

namespace {

// Elements between neighbours on each axis, of x and y.
struct Layout {
  Axes x, y;

  explicit Layout(const Correlation& p) {
    const auto& [ad, ah, aw] = p.axis;
    const index in = p.groups * p.in_channels, out = p.groups * p.out_channels;
    x = {ah.in * aw.in * in, aw.in * in, in};
    y = {ah.out * aw.out * out, aw.out * out, out};
  }
};

Layout turned(Layout layout) {
  std::swap(layout.x[1], layout.x[2]);
  std::swap(layout.y[1], layout.y[2]);
  return layout;
}

// Weights are packed as [depth tap][height tap][channel][width tap]. Of a turned problem the last is not the axis in
// lanes: its taps, which read the same lines, do not follow each other. In order they do.
bool in_order(const Correlation& p, bool turns) { return !turns || p.positions() >= many_positions; }

// Out of order, the weights of a row of taps do not lie together; and a sum in several calls is worth it where they are
// long.
TapParts high_parts(const Correlation& p, bool in_order) {
  const bool calls = p.axis[0].taps > 1, longer = p.axis[1].taps * p.axis[2].taps * p.in_channels >= long_terms;
  return !in_order || (calls && !longer) ? TapParts::whole(p.axis[1]) : TapParts(p.axis[1]);
}

struct RowBlock {
  index image, group;
  Axes start, size;
};

struct RowCut {
  Axes block, blocks;

  index tasks(index apart) const { return apart * blocks[0] * blocks[1] * blocks[2]; }  // pictures or their groups
};

// Rows that a block reads beside those of its own positions.
index beside(const CorrelationAxis& a) { return (a.taps - 1) * std::abs(a.tap_step) / a.step; }

template <class T>
RowCut cut(const Correlation& p, index channels, index apart) {
  const Kernels<T>& k = kernels<T>();
  RowCut c{};
  c.block = {1, 1, even_part(p.axis[2].positions, longest_row)};
  for (int a : {1, 0}) {  // rows, then slices, while the block stays small
    const auto small = [&](index more) {
      Axes larger = c.block;
      larger[a] = more;
      const index bytes = Window::size_for(p, larger, channels, k.lanes) * static_cast<index>(sizeof(T));
      const bool many = larger[0] * larger[1] * larger[2] > block_positions && more > 8 * beside(p.axis[a]);
      return !many && bytes <= window_bytes;
    };
    c.block[a] = even_part(p.axis[a].positions, last_of(p.axis[a].positions, small));
  }
  auto count = [&] {
    for (int a = 0; a < 3; ++a) c.blocks[a] = divide_up(p.axis[a].positions, c.block[a]);
    return c.tasks(apart);
  };
  // Too few tasks to share: blocks are halved while they are taller than what they read beside their own rows.
  const bool shared = worth_threads(p);
  while (count() < least_tasks && shared && c.block[1] > std::max<index>(4, 2 * beside(p.axis[1])))
    c.block[1] = divide_up(c.block[1], 2);
  return c;
}

template <class T>
class RowCorrelator {
 public:
  RowCorrelator(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y)
      : turns_(turns(problem)),
        p_(turns_ ? turned(problem) : problem),
        in_order_(in_order(p_, turns_)),
        layout_(turns_ ? turned(Layout(problem)) : Layout(problem)),
        k_(kernels<T>()),
        chunks_(chunks_of(problem, sizeof(T))),
        together_(groups_together(problem, chunks_)),
        channels_(together_ ? p_.groups * p_.in_channels : chunks_.channels),
        panel_(even_part(p_.out_channels, k_.narrow)),
        deep_(p_.axis[0]),
        high_(high_parts(p_, in_order_)),
        cut_(cut<T>(p_, channels_, apart())),
        window_(p_, layout_.x, cut_.block, channels_, k_.lanes),
        offsets_(window_.offsets(std::min(chunks_.channels, p_.in_channels), !in_order_)),
        x_(x),
        packed_(packed),
        bias_(bias),
        y_(y),
        relu_(relu) {
    const index last = p_.in_channels % chunks_.channels;
    if (last) last_offsets_ = window_.offsets(last, !in_order_);
  }

  Work work() const {
    const index bytes = window_.size() * static_cast<index>(sizeof(T));
    const index affordable = std::max<index>(1, scratch_bytes / (bytes + 1));
    const index terms = chunks_.channels * p_.taps(), chunks = divide_up(p_.in_channels, chunks_.channels);
    const index chain = std::min(chunks_.depth, terms) + divide_up(terms, chunks_.depth) * chunks;
    const double left = share_left(p_, {deep_, high_, TapParts::whole(p_.axis[2])});
    return {p_.products() * left, chain, turned_size() * static_cast<index>(sizeof(T)), bytes,
            worth_threads(p_) ? std::min(cut_.tasks(apart()), affordable) : 1};
  }

  void run() {
    const index tasks = cut_.tasks(apart()), scratch = window_.size();
    const Work needed = work();
    const int workers = workers_for(needed.workers, needed.products);
    Buffer<T> windows(scratch * workers), turned(turned_size());
    if (turned_size() > 0) {
      turn_weights(p_, chunks_, packed_, turned.data());
      packed_ = turned.data();
    }
    parallel_for(tasks, workers, [&](index task, int worker) { compute(task, windows.data() + worker * scratch); });
  }

 private:
  index turned_size() const {
    return turns_ && in_order_ ? p_.groups * p_.taps() * p_.in_channels * p_.out_channels : 0;
  }

  index apart() const { return together_ ? p_.batch : p_.batch * p_.groups; }

  RowBlock block_of(index task) const {
    RowBlock b{};
    auto take = [&](index n) {
      const index i = task % n;
      task /= n;
      return i;
    };
    for (int a = 2; a >= 0; --a) {
      b.start[a] = take(cut_.blocks[a]) * cut_.block[a];
      b.size[a] = std::min(cut_.block[a], p_.axis[a].positions - b.start[a]);
    }
    b.group = together_ ? 0 : take(p_.groups);
    b.image = task;
    return b;
  }

  void compute(index task, T* window) const {
    RowBlock b = block_of(task);
    if (together_) {
      window_.fill(x_, b.image, 0, b.start, 0, channels_, window);
      for (; b.group < p_.groups; ++b.group) {
        compute_chunk(b, 0, p_.in_channels, offsets_.data(), window + window_.channel(b.group * p_.in_channels));
      }
      return;
    }
    index c0 = 0;
    do {  // at least once: a sum of nothing is zero, and still gets its bias
      const index channels = std::min(chunks_.channels, p_.in_channels - c0);
      window_.fill(x_, b.image, b.group, b.start, c0, channels, window);
      const auto& offsets = channels == chunks_.channels || last_offsets_.empty() ? offsets_ : last_offsets_;
      compute_chunk(b, c0, channels, offsets.data(), window);
      c0 += channels;
    } while (c0 < p_.in_channels);
  }

  // Each part of the picture with the taps that it needs: those of a depth tap lie together, and all of them where no
  // height tap is left out.
  void compute_chunk(const RowBlock& b, index c0, index channels, const std::int32_t* offsets, const T* window) const {
    const index row_depth = channels * p_.axis[2].taps, slice = p_.axis[1].taps * row_depth;
    const bool goes_on = c0 + channels < p_.in_channels;
    for (index i = 0; i < deep_.count; ++i) {
      for (index j = 0; j < high_.count; ++j) {
        const TapPart &deep = deep_[i], &high = high_[j];
        const bool whole = high.taps == p_.axis[1].taps;
        const index slices = whole ? 1 : deep.taps, depth = high.taps * row_depth * (whole ? deep.taps : 1);
        for (index d = 0; d < slices; ++d) {
          const index first = (deep.tap + d) * slice + high.tap * row_depth;
          compute_part(b, deep, high, {c0, first, depth, c0 > 0 || d > 0, goes_on || d + 1 < slices}, offsets, window);
        }
      }
    }
  }

  // Neighbours in the order of taps and channels: a part of a sum, unless nothing came before and nothing follows.
  struct Terms {
    index channel, first, depth;
    bool resumed, incomplete;
  };

  void compute_part(const RowBlock& b, const TapPart& deep, const TapPart& high, const Terms& terms,
                    const std::int32_t* offsets, const T* window) const {
    const index out = p_.out_channels;
    ConvRow<T> row{};
    row.w_stride = out;
    const T* w = packed_ + ((b.group * p_.in_channels + terms.channel) * p_.taps() + terms.first) * out;
    row.pixels = b.size[2];
    row.y_stride = p_.axis[2].out_step * layout_.y[2];
    const index d_end = std::min(deep.end - b.start[0], b.size[0]), h_end = std::min(high.end - b.start[1], b.size[1]);
    index done = 0;
    do {
      row.depth = std::min(chunks_.depth, terms.depth - done);
      const bool last = !terms.incomplete && done + row.depth >= terms.depth;
      row.offsets = offsets + terms.first + done;
      row.accumulate = terms.resumed || done > 0;
      row.relu = last && relu_;
      for (index first = 0; first < out; first += panel_) {
        row.columns = static_cast<int>(std::min(panel_, out - first));
        row.w = w + done * out + first;
        row.bias = bias_ && last ? bias_ + b.group * out + first : nullptr;
        for (index d = std::max<index>(deep.first - b.start[0], 0); d < d_end; ++d) {
          for (index h = std::max<index>(high.first - b.start[1], 0); h < h_end; ++h) {
            row.x = window + window_.at(d, h);
            row.y = y_at(b, d, h) + first;
            k_.conv_row(row);
          }
        }
      }
      done += row.depth;
    } while (done < terms.depth);
  }

  T* y_at(const RowBlock& b, index d, index h) const {
    const auto& [ad, ah, aw] = p_.axis;
    const index od = ad.out_first + (b.start[0] + d) * ad.out_step, oh = ah.out_first + (b.start[1] + h) * ah.out_step;
    const index ow = aw.out_first + b.start[2] * aw.out_step;
    return y_ + b.image * ad.out * layout_.y[0] + od * layout_.y[0] + oh * layout_.y[1] + ow * layout_.y[2] +
           b.group * p_.out_channels;
  }

  const bool turns_;
  const Correlation p_;
  const bool in_order_;
  const Layout layout_;
  const Kernels<T>& k_;
  const Chunks chunks_;
  const bool together_;
  const index channels_, panel_;  // of a window; output channels of a call of the kernel
  const TapParts deep_, high_;
  const RowCut cut_;
  const Window window_;
  const std::vector<std::int32_t> offsets_;
  std::vector<std::int32_t> last_offsets_;
  const T* x_;
  const T* packed_;
  const T* bias_;
  T* y_;
  const bool relu_;
};

}  // namespace

index rows_packed(const Correlation& problem) {
  Correlation p = turns(problem) ? turned(problem) : problem;
  p.batch = 1;
  const Chunks chunks = chunks_of(problem, sizeof(float));
  const RowCut c = cut<float>(p, groups_together(p, chunks) ? p.groups * p.in_channels : chunks.channels, 1);
  index rows = 1;
  for (std::size_t a : {0, 1}) {
    const index slots = WindowAxis::slots_for(p.axis[a], c.block[a]);
    rows *= c.blocks[a] > 1 ? c.blocks[a] * slots : std::min(slots, p.axis[a].in);  // the others are padding
  }
  return rows;
}

template <class T>
Work correlate_rows_work(const Correlation& problem) {
  return RowCorrelator<T>(flattened(problem), nullptr, nullptr, nullptr, false, nullptr).work();
}

template <class T>
void correlate_rows(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  RowCorrelator<T>(flattened(problem), x, packed, bias, relu, y).run();
}

template Work correlate_rows_work<float>(const Correlation&);
template Work correlate_rows_work<double>(const Correlation&);
template void correlate_rows(const Correlation&, const float*, const float*, const float*, bool, float*);
template void correlate_rows(const Correlation&, const double*, const double*, const double*, bool, double*);

}  // namespace pcx
