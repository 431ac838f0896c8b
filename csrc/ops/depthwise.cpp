// Forward and input gradient.
#include "ops/depthwise.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/column_rows.h"
#include "ops/depthwise_flat.h"

namespace pcx {

namespace {

constexpr index most_lanes = 16;           // of any instruction set
constexpr index most_channels = 8;         // of a group, in or out
constexpr index most_in = 6;               // of a group in, where it has several out: all of them are copied first
constexpr double most_products = 2;        // in times out, for each lane: with more a group fills vectors of its own
constexpr double most_few = 3;             // the same where it would fill less than one
constexpr double most_grad = 2;            // the same for the weight's gradient
constexpr index least_filled = 3;          // of the lanes of a vector, one in so many
constexpr index least_single = 6;          // the same where a group reads one channel
constexpr index few_taps = 25;             // and a weight's gradient has no more of them
constexpr index largest_rows = 256 << 10;  // bytes of columns that a row of 14 positions may need

template <class T>
index group_of_weights(const Correlation& p) {  // elements of a vector of out channels
  return p.taps() * p.in_channels * kernels<T>().lanes;
}

// Whether y is stored past the caches (Kernels::stream_rows). Where it is larger than half of a common last-level
// cache, it has left it before anybody reads it, and an ordinary store first reads the line that it overwrites. That
// took half of the time at 20 MB; at 5 MB this would take a fifth more. Processors with AVX-512 fetch those lines
// ahead: past the caches 23 MB took up to 1.5 times as long, 92 MB and more 0.5 to 0.9 times.
template <class T>
bool streamed(const Correlation& p) {
  const index most_bytes = kernels<T>().wide() ? 64 << 20 : 16 << 20;
  const index pixels = p.batch * p.axis[0].out * p.axis[1].out * p.axis[2].out;
  return pixels * p.groups * p.out_channels * static_cast<index>(sizeof(T)) > most_bytes;
}

// Whether there is room for a row, and lanes enough are filled.
template <class T>
bool fits(const Correlation& p, index least) {
  const index lanes = kernels<T>().lanes;
  if (p.groups == 1 || p.in_channels < 1 || p.in_channels > most_channels || p.out_channels > most_channels ||
      p.groups * p.out_channels * least < lanes) {
    return false;
  }
  index elements = p.in_channels * lanes * p.axis[0].taps;
  elements *= (p.axis[1].taps - 1) * std::abs(p.axis[1].tap_step) + 1;
  elements *= (p.axis[2].taps - 1) * std::abs(p.axis[2].tap_step) + 14;
  return elements * static_cast<index>(sizeof(T)) <= largest_rows;
}

double products_of_lanes(const Correlation& p, index lanes) {
  return static_cast<double>(p.in_channels * p.out_channels) / static_cast<double>(lanes);
}

}  // namespace

// Fitted to 200 random shapes.
template <class T>
bool depthwise_can(const Correlation& p) {
  if (lies_flat<T>(p)) return true;
  const Kernels<T>& k = kernels<T>();
  const double most = p.out_channels <= k.narrow ? most_few : most_products;
  if (!fits<T>(p, p.in_channels == 1 ? least_single : least_filled)) return false;
  return (p.in_channels == 1 || (p.in_channels <= most_in && products_of_lanes(p, k.lanes) <= most));
}

template <class T>
bool depthwise_suits(const Correlation& p) {
  return way_of<T>(p) == Way::depthwise;
}

template <class T>
bool depthwise_grad_can(const Correlation& p) {
  const bool few = p.in_channels == 1 && p.taps() <= few_taps;
  if (!fits<T>(p, few ? least_single : least_filled)) return false;
  return p.in_channels == 1 || products_of_lanes(p, kernels<T>().lanes) <= most_grad;
}

template <class T>
index depthwise_packed_size(const Correlation& p) {
  if (lies_flat<T>(p)) return flat_packed_size<T>(p);
  return divide_up(p.groups * p.out_channels, kernels<T>().lanes) * group_of_weights<T>(p) + 1;
}

template <class T>
void depthwise_pack(const Correlation& p, const T* w, const WeightStrides& strides, T* packed) {
  if (lies_flat<T>(p)) return flat_pack(p, w, strides, packed);
  const index lanes = kernels<T>().lanes, all = p.groups * p.out_channels;
  const auto& [ad, ah, aw] = p.axis;
  const TapColumns width(aw, 1);
  std::array<index, most_lanes> at{};
  std::array<T, most_lanes> flaws{};  // become NaN
  for (index k0 = 0; k0 < all; k0 += lanes) {
    const index count = std::min(lanes, all - k0);
    bool side_by_side = true;
    for (index l = 0; l < count; ++l) {
      at[l] = (k0 + l) / p.out_channels * strides.group + (k0 + l) % p.out_channels * strides.out;
      side_by_side = side_by_side && at[l] == at[0] + l;
    }
    for (index row = 0; row < ad.taps * ah.taps * p.in_channels; ++row) {
      const index td = row / (ah.taps * p.in_channels), th = row / p.in_channels % ah.taps, j = row % p.in_channels;
      const T* from = w + (ad.kernel_first + td * ad.kernel_step) * strides.kernel[0] +
                      (ah.kernel_first + th * ah.kernel_step) * strides.kernel[1] + j * strides.in;
      for (index tap : width.order) {
        const T* const tap_from = from + (aw.kernel_first + tap * aw.kernel_step) * strides.kernel[2];
        if (side_by_side) {
          std::copy_n(tap_from + at[0], count, packed);
        } else {
          for (index l = 0; l < count; ++l) packed[l] = tap_from[at[l]];
        }
        std::fill_n(packed + count, lanes - count, T(0));
        for (index l = 0; l < count; ++l) flaws[l] += packed[l] * 0;
        packed += lanes;
      }
    }
  }
  *packed = std::accumulate(flaws.begin(), flaws.end(), T(0));
}

template <class T>
Work depthwise_work(const Correlation& p) {
  if (p.batch * p.positions() * p.groups * p.out_channels == 0) return {};
  if (lies_flat<T>(p)) return flat_work<T>(p);
  const DepthwiseCut cut = depthwise_cut<T>(p);
  const index row = streamed<T>(p) ? cut.block[2] * cut.channels * static_cast<index>(sizeof(T)) : 0;
  const index scratch = ColumnRows<T>(p, cut, false).bytes() + row;
  return {p.products(), p.taps() * p.in_channels, 0, scratch, cut.shared_by(p, cut.units(p) * cut.channel_blocks)};
}

template <class T>
void depthwise(const Correlation& p, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  if (p.batch * p.positions() * p.groups * p.out_channels == 0) return;
  if (lies_flat<T>(p)) return flat_depthwise(p, x, packed, bias, relu, y);
  const DepthwiseCut cut = depthwise_cut<T>(p);
  // Padding times a weight that is not finite is NaN: then it is computed, else left out.
  const bool padding = packed[depthwise_packed_size<T>(p) - 1] != 0;  // NaN is not 0
  const index tasks = cut.units(p) * cut.channel_blocks, all = p.groups * p.out_channels;
  const index row_size = streamed<T>(p) ? cut.block[2] * cut.channels : 0;  // a row is finished here, then stored
  const int workers = workers_for(cut.shared_by(p, tasks), p.products());
  Buffer<T> buffer(row_size * workers);
  std::vector<ColumnRows<T>> columns;
  for (int i = 0; i < workers; ++i) columns.emplace_back(p, cut, padding);
  parallel_for(tasks, workers, [&](index task, int worker) {
    ColumnRows<T>& rows = columns[static_cast<std::size_t>(worker)];
    const DepthwiseBlock block = depthwise_block(p, cut, task / cut.channel_blocks);
    const index first = task % cut.channel_blocks * cut.channels;
    const auto& [ad, ah, aw] = p.axis;
    T* const finished = row_size ? buffer.data() + worker * row_size : nullptr;
    DepthwiseRow<T> row{};
    row.taps = aw.taps;
    row.w_vector = group_of_weights<T>(p);
    row.channels = std::min(cut.channels, all - first);
    row.pixels = block.size[2];
    const T* const w = packed + first / kernels<T>().lanes * row.w_vector;
    row.bias = bias ? bias + first : nullptr;
    row.relu = relu;
    row.y_step = finished ? row.channels : aw.out_step * all;
    const index ow = aw.out_first + block.start[2] * aw.out_step;
    rows.begin(x, block, first, row.channels, finished ? finished : y + ow * all + first);
    row.runs = rows.runs().data();
    row.run_count = static_cast<index>(rows.runs().size());
    row.x_step = rows.step();
    row.ahead_step = rows.following_step();
    for (index d = block.start[0]; d < block.start[0] + block.size[0]; ++d) {
      for (index h = block.start[1]; h < block.start[1] + block.size[1]; ++h) {
        const index od = ad.out_first + d * ad.out_step, oh = ah.out_first + h * ah.out_step;
        rows.look(d, h, 1);
        // Few of many: a kernel that is higher than the picture. All of few have kernels of their own.
        auto [begin, end] = rows.there();
        if (2 * (end - begin) > rows.rows()) begin = 0, end = rows.rows();
        row.x = rows.seen() + begin;
        row.rows = end - begin;
        row.w = w + begin * aw.taps * kernels<T>().lanes;
        T* const to = y + (((block.image * ad.out + od) * ah.out + oh) * aw.out + ow) * all + first;
        row.y = finished ? finished : to;
        if (rows.far()) {
          const std::vector<const T*>& ahead = rows.following(d, h);
          row.ahead = ahead.data();
          row.ahead_count = static_cast<index>(ahead.size());
        }
        kernels<T>().depthwise_row(row);
        if (!finished) continue;
        kernels<T>().stream_rows({finished, to, row.pixels, row.channels, row.y_step, aw.out_step * all});
      }
    }
    if (finished) kernels<T>().stream_end();
  });
}

template bool depthwise_can<float>(const Correlation&);
template bool depthwise_can<double>(const Correlation&);
template bool depthwise_suits<float>(const Correlation&);
template bool depthwise_suits<double>(const Correlation&);
template bool depthwise_grad_can<float>(const Correlation&);
template bool depthwise_grad_can<double>(const Correlation&);
template index depthwise_packed_size<float>(const Correlation&);
template index depthwise_packed_size<double>(const Correlation&);
template void depthwise_pack(const Correlation&, const float*, const WeightStrides&, float*);
template void depthwise_pack(const Correlation&, const double*, const WeightStrides&, double*);
template Work depthwise_work<float>(const Correlation&);
template Work depthwise_work<double>(const Correlation&);
template void depthwise(const Correlation&, const float*, const float*, const float*, bool, float*);
template void depthwise(const Correlation&, const double*, const double*, const double*, bool, double*);

}  // namespace pcx
