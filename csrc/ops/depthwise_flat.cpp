#include "ops/depthwise_flat.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index most_bytes = 8 << 10;    // of a piece of a row of positions
constexpr index most_room = 2 << 20;     // bytes of the rows that are held: with dilation they are far apart
constexpr double block_flops = 1 << 18;  // at least, if there are rows
constexpr double worth_flops = 8e5;      // of several threads
constexpr index least_rows = 4;          // of a block, for each row of taps: more than they share are copied twice

// Pixels that fill whole vectors together.
template <class T>
index pixels_together(const Correlation& p) {
  return kernels<T>().lanes / std::gcd(kernels<T>().lanes, p.groups);
}

index reach(const CorrelationAxis& axis) { return (axis.taps - 1) * std::abs(axis.tap_step); }

template <class T>
class FlatDepthwise {
 public:
  // Of an ascending problem.
  FlatDepthwise(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y)
      : p_(problem),
        together_(pixels_together<T>(p_)),
        wide_(together_ * p_.groups),
        rows_(p_.axis[0].taps * p_.axis[1].taps),
        reach_(reach(p_.axis[2])),
        ring_(reach(p_.axis[1]) + 1),
        x_(x),
        packed_(packed),
        bias_(bias),
        relu_(relu),
        y_(y) {
    const auto& [ad, ah, aw] = p_.axis;
    const index most = std::max<index>(1, most_bytes / (wide_ * static_cast<index>(sizeof(T)))) * together_;
    width_ = aw.positions <= most ? aw.positions : round_up(even_part(aw.positions, most), together_);
    const double row = 2.0 * static_cast<double>(width_ * p_.groups * p_.taps());
    high_ = std::max(static_cast<index>(block_flops / row) + 1, least_rows * ah.taps);
    high_ = even_part(ah.positions, high_);
    blocks_ = {ad.positions, divide_up(ah.positions, high_), divide_up(aw.positions, width_)};
    row_size_ = round_up((width_ + reach_) * p_.groups + wide_, kernels<T>().lanes);
    for (index tap = 0; tap < aw.taps; ++tap) runs_.push_back({tap * aw.tap_step * p_.groups, 1, 0, width_});
  }

  Work work() const {
    const index tasks = 2 * p_.products() < worth_flops ? 1 : p_.batch * blocks_[0] * blocks_[1] * blocks_[2];
    return {p_.products(), p_.taps(), 0, scratch() * static_cast<index>(sizeof(T)), tasks};
  }

  void run() {
    const Work needed = work();
    const int workers = workers_for(needed.workers, needed.products);
    Buffer<T> buffer(scratch() * workers), biases(bias_ ? wide_ : 0);
    for (index c = 0; bias_ && c < wide_; ++c) biases.data()[c] = bias_[c % p_.groups];
    std::vector<Worker> own(static_cast<std::size_t>(workers));
    parallel_for(p_.batch * blocks_[0] * blocks_[1] * blocks_[2], workers, [&](index task, int worker) {
      Worker& w = own[static_cast<std::size_t>(worker)];
      if (!w.rows) w = Worker(buffer.data() + worker * scratch(), scratch(), rows_, p_.axis[0].taps * ring_);
      block(task, biases.data(), w);
    });
  }

 private:
  struct Worker {
    T* rows = nullptr;  // of x, and one of zeros
    std::vector<const T*> seen;
    std::vector<index> held;  // which row of x each place holds

    Worker() = default;
    Worker(T* room, index size, index rows, index places)
        : rows(room), seen(static_cast<std::size_t>(rows)), held(static_cast<std::size_t>(places)) {
      std::fill_n(room, size, T(0));
    }
  };

  index scratch() const { return (p_.axis[0].taps * ring_ + 1) * row_size_; }

  void block(index task, const T* bias, Worker& w) const {
    const auto& [ad, ah, aw] = p_.axis;
    const index column = task % blocks_[2] * width_, band = task / blocks_[2] % blocks_[1] * high_;
    const index d = task / (blocks_[2] * blocks_[1]) % blocks_[0],
                image = task / (blocks_[2] * blocks_[1] * blocks_[0]);
    const index pixels = std::min(width_, aw.positions - column), end = std::min(band + high_, ah.positions);
    std::fill(w.held.begin(), w.held.end(), index{-1});
    DepthwiseRow<T> row{};
    row.x = w.seen.data();
    row.runs = runs_.data();
    row.rows = rows_;
    row.run_count = row.taps = aw.taps;
    row.w_vector = rows_ * aw.taps * kernels<T>().lanes;
    row.x_step = row.y_step = wide_;
    row.relu = relu_;
    for (index h = band; h < end; ++h) {
      look(image, d, h, column, pixels, w);
      const index od = ad.out_first + d * ad.out_step, oh = ah.out_first + h * ah.out_step;
      T* const y = y_ + (((image * ad.out + od) * ah.out + oh) * aw.out + aw.out_first + column) * p_.groups;
      const index whole = pixels / together_, left = pixels % together_;
      row.w = packed_;
      row.bias = bias_ ? bias : nullptr;
      row.y = y;
      row.pixels = whole;
      row.channels = wide_;
      if (whole > 0) kernels<T>().depthwise_row(row);
      if (left == 0) continue;
      for (const T*& from : w.seen) from = from ? from + whole * wide_ : nullptr;
      row.y = y + whole * wide_;
      row.pixels = 1;
      row.channels = left * p_.groups;
      kernels<T>().depthwise_row(row);
    }
  }

  // What the taps of a row of positions see. Padding times a weight that is not finite is NaN: then it is computed.
  void look(index image, index d, index h, index column, index pixels, Worker& w) const {
    const auto& [ad, ah, aw] = p_.axis;
    const bool padding = packed_[flat_packed_size<T>(p_) - 1] != 0;  // NaN is not 0
    const T* const zeros = padding ? w.rows + p_.axis[0].taps * ring_ * row_size_ : nullptr;
    auto seen = w.seen.begin();
    for (index td = 0; td < ad.taps; ++td) {
      const index xd = ad.first + d * ad.step + td * ad.tap_step;
      for (index th = 0; th < ah.taps; ++th, ++seen) {
        const index xh = ah.first + h * ah.step + th * ah.tap_step;
        *seen = zeros;
        if (xd < 0 || xd >= ad.in || xh < 0 || xh >= ah.in) continue;
        const index place = td * ring_ + xh % ring_, row = (image * ad.in + xd) * ah.in + xh;
        T* const to = w.rows + place * row_size_;
        *seen = to;
        index& held = w.held[static_cast<std::size_t>(place)];
        if (held != row) fill(x_ + row * aw.in * p_.groups, column, pixels, to);
        held = row;
      }
    }
  }

  void fill(const T* x, index column, index pixels, T* to) const {
    const index c = p_.groups, first = p_.axis[2].first + column, columns = pixels + reach_;
    const Inside inside(first, 1, columns, p_.axis[2].in);
    std::fill_n(to, inside.begin * c, T(0));
    std::copy_n(x + (first + inside.begin) * c, (inside.end - inside.begin) * c, to + inside.begin * c);
    std::fill_n(to + inside.end * c, (columns - inside.end) * c, T(0));
  }

  const Correlation& p_;
  const index together_, wide_;  // pixels, and their channels
  const index rows_, reach_, ring_;
  const T* x_;
  const T* packed_;
  const T* bias_;
  const bool relu_;
  T* y_;
  index width_, high_, row_size_;  // positions of a block, in as many rows; elements of a row of x
  Axes blocks_;
  std::vector<TapRun> runs_;
};

}  // namespace

// It depends on what a packed weight does, never on the size of the picture.
template <class T>
bool lies_flat(const Correlation& p) {
  const CorrelationAxis& line = p.axis[2];
  const bool side_by_side = line.step == 1 && line.out_step == 1;
  const index row = most_bytes + reach(line) * p.groups * static_cast<index>(sizeof(T));
  if (p.axis[0].taps * (reach(p.axis[1]) + 1) * row > most_room) return false;
  return p.groups > 1 && p.in_channels == 1 && p.out_channels == 1 && side_by_side &&
         2 * p.groups <= kernels<T>().lanes;
}

template <class T>
index flat_packed_size(const Correlation& p) {
  return pixels_together<T>(p) * p.groups * p.taps() + 1;
}

template <class T>
void flat_pack(const Correlation& problem, const T* w, const WeightStrides& strides, T* packed) {
  const Correlation p = ascending(problem);
  const auto& [ad, ah, aw] = p.axis;
  const index lanes = kernels<T>().lanes, wide = pixels_together<T>(p) * p.groups;
  T flaw = 0;  // becomes NaN
  for (index first = 0; first < wide; first += lanes) {
    for (index d = 0; d < ad.taps; ++d) {
      for (index h = 0; h < ah.taps; ++h) {
        for (index tap = 0; tap < aw.taps; ++tap) {
          const T* const from = w + strides.tap(p, d, h, tap);
          for (index l = 0; l < lanes; ++l) {
            *packed = from[(first + l) % p.groups * strides.group];
            flaw += *packed++ * 0;
          }
        }
      }
    }
  }
  *packed = flaw;
}

template <class T>
Work flat_work(const Correlation& problem) {
  const Correlation p = ascending(problem);
  return FlatDepthwise<T>(p, nullptr, nullptr, nullptr, false, nullptr).work();
}

template <class T>
void flat_depthwise(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  const Correlation p = ascending(problem);
  FlatDepthwise<T>(p, x, packed, bias, relu, y).run();
}

template bool lies_flat<float>(const Correlation&);
template bool lies_flat<double>(const Correlation&);
template index flat_packed_size<float>(const Correlation&);
template index flat_packed_size<double>(const Correlation&);
template void flat_pack(const Correlation&, const float*, const WeightStrides&, float*);
template void flat_pack(const Correlation&, const double*, const WeightStrides&, double*);
template Work flat_work<float>(const Correlation&);
template Work flat_work<double>(const Correlation&);
template void flat_depthwise(const Correlation&, const float*, const float*, const float*, bool, float*);
template void flat_depthwise(const Correlation&, const double*, const double*, const double*, bool, double*);

}  // namespace pcx
