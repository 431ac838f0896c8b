// Gradients of pooling by windows that do not overlap, as most do: each window writes its own pixels, so that its
// gradient is read once, and the pixels between windows get zeros. A task owns all rows of x that its windows lie in,
// and those after them.
#include <vector>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/pooling.h"

namespace pcx {

namespace {

template <class T>
class Spread {
 public:
  Spread(const PoolShape& shape, const PoolGradient<T>& gradient, T* dx)
      : s_(shape), g_(gradient), dx_(dx), row_(s_.in[2] * s_.channels) {}

  void run() const {
    const RowCut cut(s_.batch * s_.out[0] * s_.out[1], s_.out[2] * s_.channels, s_.taps(), s_.channels);
    const int workers = cut.workers();
    std::vector<Taps> taps(static_cast<std::size_t>(workers));
    parallel_for(cut.tasks(), workers, [&](index task, int worker) {
      Taps& own = taps[static_cast<std::size_t>(worker)];
      cut.each_row(task, [&](index row, index c, index channels) { compute(row, c, channels, own); });
    });
  }

 private:
  struct Taps {
    std::vector<index> rows;       // of x, where each begins
    std::vector<index> row_first;  // tap of each row in the window, with width tap 0
    std::vector<index> offsets;
    std::vector<std::uint32_t> positions;
  };

  // Pixels of x that window `o` has on axis `a`, with those that follow it.
  Span owned(int a, index o) const {
    const index start = o * s_.stride[a] - s_.pad_before[a];
    return {std::clamp<index>(start, 0, s_.in[a]),
            o + 1 == s_.out[a] ? s_.in[a] : std::clamp<index>(start + s_.stride[a], 0, s_.in[a])};
  }

  void compute(index row, index c, index channels, Taps& taps) const {
    const index h = row % s_.out[1], d = row / s_.out[1] % s_.out[0], image = row / (s_.out[1] * s_.out[0]);
    const index image_start = image * s_.in[0] * s_.in[1] * row_ + c;
    const Span deep = owned(0, d), high = owned(1, h);
    taps.rows.clear();
    taps.row_first.clear();
    for (index xd = deep.begin; xd < deep.end; ++xd) {
      for (index xh = high.begin; xh < high.end; ++xh) {
        const index td = xd - d * s_.stride[0] + s_.pad_before[0], th = xh - h * s_.stride[1] + s_.pad_before[1];
        const index start = image_start + (xd * s_.in[1] + xh) * row_;
        if (td >= s_.kernel[0] || th >= s_.kernel[1]) {
          clear(dx_ + start, 0, s_.in[2], channels);
          continue;
        }
        clear_between(dx_ + start, channels);
        taps.rows.push_back(start);
        taps.row_first.push_back((td * s_.kernel[1] + th) * s_.kernel[2]);
      }
    }
    PoolSpread<T> run{};
    run.channels = channels;
    run.dy_step = s_.channels;
    run.dx_step = s_.stride[2] * s_.channels;
    run.index_bytes = g_.indices ? s_.index_bytes() : 0;
    const index dy = row * s_.out[2] * s_.channels + c;
    auto windows = [&](index first, index count) {
      list_taps(first, taps);
      run.windows = count;
      run.taps = static_cast<index>(taps.offsets.size());
      run.offsets = taps.offsets.data();
      run.positions = taps.positions.data();
      run.dy = g_.dy + dy + first * s_.channels;
      run.indices = g_.indices ? g_.indices + (dy + first * s_.channels) * run.index_bytes : nullptr;
      run.scale = g_.mean ? T(1) / divisor(d, h, first) : T(1);
      run.dx = dx_;
      kernels<T>().pool_spread(run);
    };
    const Span inner = inner_windows(s_, 2);
    for (index w = 0; w < inner.begin; ++w) windows(w, 1);
    if (inner.size()) windows(inner.begin, inner.size());
    for (index w = inner.end; w < s_.out[2]; ++w) windows(w, 1);
  }

  index start_of(index window) const { return window * s_.stride[2] - s_.pad_before[2]; }

  void list_taps(index w, Taps& taps) const {
    const Span wide = taps_of(s_, 2, w);
    taps.offsets.clear();
    taps.positions.clear();
    for (std::size_t i = 0; i < taps.rows.size(); ++i) {
      for (index tap = wide.begin; tap < wide.end; ++tap) {
        taps.offsets.push_back(taps.rows[i] + (start_of(w) + tap) * s_.channels);
        taps.positions.push_back(static_cast<std::uint32_t>(taps.row_first[i] + tap));
      }
    }
  }

  void clear(T* row, index begin, index end, index channels) const {
    if (channels == s_.channels) {
      std::fill_n(row + begin * channels, (end - begin) * channels, T(0));
      return;
    }
    for (index p = begin; p < end; ++p) std::fill_n(row + p * s_.channels, channels, T(0));
  }

  // The pixels of a row that no window has.
  void clear_between(T* row, index channels) const {
    for (index w = 0; w < s_.out[2]; ++w) {
      const Span own = owned(2, w);
      const index end = std::clamp<index>(start_of(w) + s_.kernel[2], own.begin, own.end);
      if (end < own.end) clear(row, end, own.end, channels);
    }
  }

  T divisor(index d, index h, index w) const {
    return static_cast<T>(divisor_of(s_, 0, d, g_.count_include_pad) * divisor_of(s_, 1, h, g_.count_include_pad) *
                          divisor_of(s_, 2, w, g_.count_include_pad));
  }

  const PoolShape& s_;
  const PoolGradient<T> g_;
  T* dx_;
  const index row_;  // elements of a row of x
};

}  // namespace

bool windows_lie_apart(const PoolShape& s) {
  for (int a = 0; a < 3; ++a) {
    if (s.dilation[a] != 1 || s.kernel[a] > s.stride[a]) return false;
  }
  return true;
}

template <class T>
void spread_pool_grad(const PoolShape& shape, const PoolGradient<T>& gradient, T* dx) {
  if (shape.x_size() > 0 && shape.y_size() == 0)
    std::fill_n(dx, shape.x_size(), T(0));
  else if (shape.x_size() > 0)
    Spread<T>(shape, gradient, dx).run();
}

template void spread_pool_grad(const PoolShape&, const PoolGradient<float>&, float*);
template void spread_pool_grad(const PoolShape&, const PoolGradient<double>&, double*);

}  // namespace pcx
