#include "ops/mixed.h"

#include <algorithm>
#include <numeric>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index most_outputs = 64;       // of a pixel
constexpr index piece_bytes = 64 << 10;  // of y, that each vector of a period goes through
constexpr double worth_flops = 2e6;      // of several threads

template <class T>
class Mixed {
 public:
  Mixed(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y)
      : p_(end_to_end(flattened(problem))),
        period_(p_, kernels<T>().lanes),
        out_(p_.groups * p_.out_channels),
        rows_(p_.batch * p_.axis[0].positions * p_.axis[1].positions),
        line_(p_.axis[2].positions),
        x_(x),
        packed_(packed),
        bias_(bias),
        relu_(relu),
        y_(y) {
    const index periods = piece_bytes / (period_.outputs * static_cast<index>(sizeof(T)));
    piece_ = round_up(even_part(line_, std::max<index>(1, periods) * period_.pixels), period_.pixels);
    pieces_ = divide_up(line_, piece_);
  }

  Work work() const {
    return {p_.products(), p_.in_channels, 0, 0, 2 * p_.products() < worth_flops ? 1 : rows_ * pieces_};
  }

  void run() const {
    Buffer<T> biases(bias_ ? period_.outputs : 0);
    for (index i = 0; bias_ && i < period_.outputs; ++i) biases.data()[i] = bias_[i % out_];
    parallel_for(rows_ * pieces_, workers_for(work().workers, p_.products()),
                 [&](index task, int) { piece(task / pieces_, task % pieces_ * piece_, biases.data()); });
  }

 private:
  // Whole pictures follow each other as rows do.
  static Correlation end_to_end(Correlation p) {
    for (const CorrelationAxis& a : p.axis) {
      if (a.first != 0 || a.step != 1 || a.out_first != 0 || a.positions != a.in || a.out != a.in) return p;
    }
    if (p.axis[0].in * p.axis[1].in > 1) return p;
    CorrelationAxis& line = p.axis[2];
    line.in = line.positions = line.out = p.batch * line.in;
    p.batch = 1;
    return p;
  }

  void piece(index number, index first, const T* biases) const {
    const auto& [ad, ah, aw] = p_.axis;
    const index h = number % ah.positions, d = number / ah.positions % ad.positions;
    const index image = number / (ah.positions * ad.positions);
    const index xd = ad.first + d * ad.step, xh = ah.first + h * ah.step, xw = aw.first + first * aw.step;
    const index yd = ad.out_first + d * ad.out_step, yh = ah.out_first + h * ah.out_step, yw = aw.out_first + first;
    const index pixels = std::min(piece_, line_ - first), left = pixels % period_.pixels;
    MixedRow<T> row{};
    row.x = x_ + (((image * ad.in + xd) * ah.in + xh) * aw.in + xw) * p_.groups * p_.in_channels;
    row.y = y_ + (((image * ad.out + yd) * ah.out + yh) * aw.out + yw) * out_;
    row.from = period_.from.data();
    row.w = packed_;
    row.bias = bias_ ? biases : nullptr;
    row.terms = p_.in_channels;
    row.relu = relu_;
    row.periods = pixels / period_.pixels;
    row.outputs = period_.outputs;
    row.x_step = period_.pixels * aw.step * p_.groups * p_.in_channels;
    if (row.periods > 0) kernels<T>().mixed_row(row);
    if (left == 0) return;
    row.x += row.periods * row.x_step;
    row.y += row.periods * row.outputs;
    row.periods = 1;
    row.outputs = left * out_;
    kernels<T>().mixed_row(row);
  }

  const Correlation p_;
  const MixedPeriod period_;
  const index out_, rows_, line_;  // channels of a pixel of y; rows of pixels, their length
  index piece_, pieces_;           // pixels of a piece of a row, its pieces
  const T* x_;
  const T* packed_;
  const T* bias_;
  const bool relu_;
  T* y_;
};

}  // namespace

MixedPeriod::MixedPeriod(const Correlation& p, index lanes) {
  const index out = p.groups * p.out_channels, pixel = p.axis[2].step * p.groups * p.in_channels;
  pixels = lanes / std::gcd(lanes, out);
  outputs = pixels * out;
  from.reserve(static_cast<std::size_t>(outputs));
  for (index i = 0; i < outputs; ++i) {
    from.push_back(static_cast<std::int32_t>(i / out * pixel + i % out / p.out_channels * p.in_channels));
  }
}

template <class T>
bool mixed_can(const Correlation& p) {
  const index lanes = kernels<T>().lanes, out = p.groups * p.out_channels;
  if (p.taps() != 1 || p.is_joined() || p.axis[2].out_step != 1 || out < 1 || out > most_outputs || p.in_channels < 1)
    return false;
  if (lanes == 1 || p.in_channels > 4 * lanes || p.axis[2].step * p.groups * p.in_channels > 4 * lanes * lanes)
    return false;
  for (const CorrelationAxis& axis : p.axis) {
    if (sees_padding(axis)) return false;
  }
  const MixedPeriod period(p, lanes);
  for (index first = 0; first < period.outputs; first += lanes) {
    if (period.span(first, lanes, p.in_channels) > 4 * lanes) return false;
  }
  return true;
}

template <class T>
index mixed_packed_size(const Correlation& p) {
  return MixedPeriod(p, kernels<T>().lanes).outputs * p.in_channels;
}

template <class T>
void mixed_pack(const Correlation& p, const T* w, const WeightStrides& strides, T* packed) {
  const index lanes = kernels<T>().lanes, out = p.groups * p.out_channels, outputs = MixedPeriod(p, lanes).outputs;
  const T* const tap = w + strides.tap(p, 0, 0, 0);
  for (index first = 0; first < outputs; first += lanes) {
    for (index j = 0; j < p.in_channels; ++j) {
      for (index i = first; i < first + lanes; ++i) {
        const index group = i % out / p.out_channels, k = i % out % p.out_channels;
        *packed++ = tap[group * strides.group + k * strides.out + j * strides.in];
      }
    }
  }
}

template <class T>
Work mixed_work(const Correlation& problem) {
  return Mixed<T>(problem, nullptr, nullptr, nullptr, false, nullptr).work();
}

template <class T>
void mixed(const Correlation& problem, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  Mixed<T>(problem, x, packed, bias, relu, y).run();
}

template bool mixed_can<float>(const Correlation&);
template bool mixed_can<double>(const Correlation&);
template index mixed_packed_size<float>(const Correlation&);
template index mixed_packed_size<double>(const Correlation&);
template void mixed_pack(const Correlation&, const float*, const WeightStrides&, float*);
template void mixed_pack(const Correlation&, const double*, const WeightStrides&, double*);
template Work mixed_work<float>(const Correlation&);
template Work mixed_work<double>(const Correlation&);
template void mixed(const Correlation&, const float*, const float*, const float*, bool, float*);
template void mixed(const Correlation&, const double*, const double*, const double*, bool, double*);

}  // namespace pcx
