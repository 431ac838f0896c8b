// Gradients of pooling by windows that overlap (others: pool_spread.cpp), gathered: each pixel of dx sums over the
// windows that hold it. So every element is written once, nothing is zeroed first, threads never meet, and a wrong
// index can only be ignored. Along a row, pixels a stride apart are reached by the same taps of neighbouring windows:
// they are one run.
#include <vector>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"
#include "ops/pooling.h"

namespace pcx {

namespace {

struct Hold {  // a window that holds a pixel, and by which tap
  index window, tap;
};

template <class T>
class PoolGrad {
 public:
  PoolGrad(const PoolShape& shape, const T* dy, T* dx) : s_(shape), dy_(dy), dx_(dx) {}

  void want_max(const void* indices) {
    indices_ = static_cast<const char*>(indices);
    kernel_ = kernels<T>().max_pool_grad;
    run({0, s_.out[2]});
  }

  void want_mean(bool count_include_pad) {
    mean_ = true;
    count_include_pad_ = count_include_pad;
    kernel_ = kernels<T>().avg_pool_grad;
    run(equal_windows());
  }

 private:
  struct Lists {
    std::vector<Hold> deep, high, wide;
    std::vector<index> offsets;
    std::vector<std::uint32_t> positions;
    std::vector<T> scales;
  };

  // Windows of a row that divide by the whole width of the window.
  Span equal_windows() const {
    if (!count_include_pad_) return inner_windows(s_, 2);
    const index last = s_.in[2] + s_.pad_before[2] + s_.pad_after[2] - s_.kernel[2];
    return {0, last < 0 ? 0 : std::min(s_.out[2], last / s_.stride[2] + 1)};
  }

  void run(Span equal) const {
    if (s_.x_size() == 0) return;
    index holds = 1;  // windows that hold a pixel, at most
    for (int a = 0; a < 3; ++a) holds *= std::min(s_.out[a], divide_up(s_.kernel[a], s_.stride[a]));
    const RowCut cut(s_.batch * s_.in[0] * s_.in[1], s_.in[2] * s_.channels, std::max<index>(1, holds), s_.channels);
    const int workers = cut.workers();
    // Pixels of a row that only equal windows hold, and as many as hold any pixel so far from the edges.
    const index reach = (s_.kernel[2] - 1) * s_.dilation[2] + 1;
    const index first = (equal.begin - 1) * s_.stride[2] + reach - s_.pad_before[2];
    Span inner{std::clamp<index>(first, 0, s_.in[2]),
               std::clamp<index>(equal.end * s_.stride[2] - s_.pad_before[2], 0, s_.in[2])};
    if (!equal.size() || !inner.size()) inner = {s_.in[2], s_.in[2]};
    std::vector<Lists> lists(static_cast<std::size_t>(workers));
    parallel_for(cut.tasks(), workers, [&](index task, int worker) {
      Lists& own = lists[static_cast<std::size_t>(worker)];
      cut.each_row(task, [&](index row, index c, index channels) { compute(row, c, channels, inner, own); });
    });
  }

  void compute(index row, index c, index channels, Span inner, Lists& lists) const {
    const index h = row % s_.in[1], d = row / s_.in[1] % s_.in[0], image = row / (s_.in[1] * s_.in[0]);
    find_holds(0, d, lists.deep);
    find_holds(1, h, lists.high);
    const index dy = image * s_.out[0] * s_.out[1] * s_.out[2] * s_.channels + c;
    PoolGradRow<T> run{};
    run.dy = dy_ + dy;
    run.index_bytes = s_.index_bytes();
    run.indices = indices_ ? indices_ + dy * run.index_bytes : nullptr;
    run.channels = channels;
    run.dy_step = s_.channels;
    auto pixels = [&](index first, index count) {
      find_holds(2, first, lists.wide);
      list_taps(lists);
      run.offsets = lists.offsets.data();
      run.positions = lists.positions.data();
      run.scales = lists.scales.data();
      run.taps = static_cast<index>(lists.offsets.size());
      run.dx = dx_ + (row * s_.in[2] + first) * s_.channels + c;
      run.dx_step = s_.stride[2] * s_.channels;
      run.pixels = count;
      kernel_(run);
    };
    for (index w = 0; w < inner.begin; ++w) pixels(w, 1);
    for (index w = inner.begin; w < std::min(inner.end, inner.begin + s_.stride[2]); ++w) {
      pixels(w, divide_up(inner.end - w, s_.stride[2]));
    }
    for (index w = inner.end; w < s_.in[2]; ++w) pixels(w, 1);
  }

  void find_holds(int a, index pixel, std::vector<Hold>& holds) const {
    const index at = pixel + s_.pad_before[a], stride = s_.stride[a], dilation = s_.dilation[a];
    const index first = std::max<index>(0, divide_up(at - (s_.kernel[a] - 1) * dilation, stride));
    const index last = std::min(s_.out[a] - 1, at / stride);
    holds.clear();
    for (index window = first; window <= last; ++window) {
      const index inside = at - window * stride;
      if (inside % dilation == 0) holds.push_back({window, inside / dilation});
    }
  }

  void list_taps(Lists& lists) const {
    lists.offsets.clear();
    lists.positions.clear();
    lists.scales.clear();
    for (const Hold& d : lists.deep) {
      for (const Hold& h : lists.high) {
        for (const Hold& w : lists.wide) {
          lists.offsets.push_back(((d.window * s_.out[1] + h.window) * s_.out[2] + w.window) * s_.channels);
          const index position = (d.tap * s_.kernel[1] + h.tap) * s_.kernel[2] + w.tap;
          if (mean_)
            lists.scales.push_back(T(1) / divisor(d.window, h.window, w.window));
          else
            lists.positions.push_back(static_cast<std::uint32_t>(position));
        }
      }
    }
  }

  T divisor(index d, index h, index w) const {
    return static_cast<T>(divisor_of(s_, 0, d, count_include_pad_) * divisor_of(s_, 1, h, count_include_pad_) *
                          divisor_of(s_, 2, w, count_include_pad_));
  }

  const PoolShape& s_;
  void (*kernel_)(const PoolGradRow<T>&) = nullptr;
  const T* dy_;
  T* dx_;
  const char* indices_ = nullptr;
  bool mean_ = false, count_include_pad_ = false;
};

}  // namespace

template <class T>
void max_pool_grad(const PoolShape& shape, const T* dy, const void* indices, T* dx) {
  if (windows_lie_apart(shape))
    return spread_pool_grad<T>(shape, {dy, static_cast<const char*>(indices), false, false}, dx);
  PoolGrad<T>(shape, dy, dx).want_max(indices);
}

template <class T>
void avg_pool_grad(const PoolShape& shape, const T* dy, bool count_include_pad, T* dx) {
  if (windows_lie_apart(shape)) return spread_pool_grad<T>(shape, {dy, nullptr, true, count_include_pad}, dx);
  PoolGrad<T>(shape, dy, dx).want_mean(count_include_pad);
}

template void max_pool_grad(const PoolShape&, const float*, const void*, float*);
template void max_pool_grad(const PoolShape&, const double*, const void*, double*);
template void avg_pool_grad(const PoolShape&, const float*, bool, float*);
template void avg_pool_grad(const PoolShape&, const double*, bool, double*);

}  // namespace pcx
