// Pooling forward. A row of windows is cut into runs that see the same taps: the inner windows are one run, each window
// at an edge is one of its own.
#include "base/buffer.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"
#include "ops/pooling.h"

namespace pcx {

namespace {

template <class T>
using PoolKernel = void (*)(const PoolRow<T>&);

template <class T>
class Pool {
 public:
  Pool(const PoolShape& shape, PoolKernel<T> kernel, const T* x, T* y) : s_(shape), kernel_(kernel), x_(x), y_(y) {}

  void want_indices(void* indices) {
    indices_ = static_cast<char*>(indices);
    index_bytes_ = indices ? s_.index_bytes() : 0;
  }
  void want_mean(bool count_include_pad) {
    mean_ = true;
    count_include_pad_ = count_include_pad;
  }

  void run() const {
    if (s_.y_size() == 0) return;
    const RowCut cut(s_.batch * s_.out[0] * s_.out[1], s_.out[2] * s_.channels, most_taps(), s_.channels);
    const int workers = cut.workers();
    Buffer<index> offsets(workers * most_taps());
    Buffer<std::uint32_t> positions(workers * most_taps());
    parallel_for(cut.tasks(), workers, [&](index task, int worker) {
      const Lists lists{offsets.data() + worker * most_taps(), positions.data() + worker * most_taps()};
      cut.each_row(task, [&](index row, index c, index channels) { compute(row, c, channels, lists); });
    });
  }

 private:
  struct Lists {
    index* offsets;
    std::uint32_t* positions;
  };

  index most_taps() const {
    index product = 1;
    for (int a = 0; a < 3; ++a) product *= std::min(s_.kernel[a], s_.in[a]);
    return product;
  }

  void compute(index row, index c, index channels, const Lists& lists) const {
    const index h = row % s_.out[1], d = row / s_.out[1] % s_.out[0], image = row / (s_.out[1] * s_.out[0]);
    const index y = row * s_.out[2] * s_.channels + c;
    PoolRow<T> run{};
    run.offsets = lists.offsets;
    run.positions = lists.positions;
    run.channels = channels;
    run.x_step = s_.stride[2] * s_.channels;
    run.y_step = s_.channels;
    run.index_bytes = index_bytes_;
    run.x = x_ + image * s_.in[0] * s_.in[1] * s_.in[2] * s_.channels + c;
    auto windows = [&](index first, index count) {
      run.windows = count;
      run.taps = list_taps(d, h, first, lists);
      run.y = y_ + y + first * s_.channels;
      run.indices = indices_ ? indices_ + (y + first * s_.channels) * index_bytes_ : nullptr;
      run.divisor = divisor(d, h, first);
      kernel_(run);
    };
    const Span inner = inner_windows(s_, 2);
    for (index w = 0; w < inner.begin; ++w) windows(w, 1);
    if (inner.size()) windows(inner.begin, inner.size());
    for (index w = inner.end; w < s_.out[2]; ++w) windows(w, 1);
  }

  // Where the taps of window (d, h, w) stand in its image, and their positions in the window; their number.
  index list_taps(index d, index h, index w, const Lists& lists) const {
    const Span deep = taps_of(s_, 0, d), high = taps_of(s_, 1, h), wide = taps_of(s_, 2, w);
    auto coordinate = [&](int a, index window, index tap) {
      return window * s_.stride[a] - s_.pad_before[a] + tap * s_.dilation[a];
    };
    index n = 0;
    for (index td = deep.begin; td < deep.end; ++td) {
      for (index th = high.begin; th < high.end; ++th) {
        const index x_row = coordinate(0, d, td) * s_.in[1] + coordinate(1, h, th);
        const index position = (td * s_.kernel[1] + th) * s_.kernel[2];
        for (index tw = wide.begin; tw < wide.end; ++tw, ++n) {
          lists.offsets[n] = (x_row * s_.in[2] + coordinate(2, w, tw)) * s_.channels;
          lists.positions[n] = static_cast<std::uint32_t>(position + tw);
        }
      }
    }
    return n;
  }

  T divisor(index d, index h, index w) const {
    if (!mean_) return 1;
    return static_cast<T>(divisor_of(s_, 0, d, count_include_pad_) * divisor_of(s_, 1, h, count_include_pad_) *
                          divisor_of(s_, 2, w, count_include_pad_));
  }

  const PoolShape& s_;
  const PoolKernel<T> kernel_;
  const T* x_;
  T* y_;
  char* indices_ = nullptr;
  int index_bytes_ = 0;
  bool mean_ = false, count_include_pad_ = false;
};

}  // namespace

template <class T>
void max_pool(const PoolShape& shape, const T* x, T* y, void* indices) {
  Pool<T> pool(shape, kernels<T>().max_pool, x, y);
  pool.want_indices(indices);
  pool.run();
}

template <class T>
void avg_pool(const PoolShape& shape, const T* x, bool count_include_pad, T* y) {
  Pool<T> pool(shape, kernels<T>().avg_pool, x, y);
  pool.want_mean(count_include_pad);
  pool.run();
}

template void max_pool(const PoolShape&, const float*, float*, void*);
template void max_pool(const PoolShape&, const double*, double*, void*);
template void avg_pool(const PoolShape&, const float*, bool, float*);
template void avg_pool(const PoolShape&, const double*, bool, double*);

}  // namespace pcx
