// Weight gradient with few channels a group: blocks of positions are dealt into slices that each have sums of their
// own, in the order of the packed weight; slices are added in order, so the sum does not depend on threads.
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/column_rows.h"

namespace pcx {

namespace {

constexpr index least_tasks = 16;
constexpr index slices_bytes = 32 << 20;  // of all sums together

template <class T>
class DepthwiseGrad {
 public:
  DepthwiseGrad(const Correlation& problem, const T* x, const T* dy)
      : p_(problem), cut_(depthwise_grad_cut<T>(p_)), lanes_(kernels<T>().lanes), all_(p_.groups * p_.out_channels) {
    x_ = x;
    dy_ = dy;
    vector_ = p_.taps() * p_.in_channels * lanes_;
    size_ = divide_up(all_, lanes_) * vector_;
    units_ = cut_.units(p_);
    // From memory a pixel comes with all its channels, or half of what comes is for others.
    const index affordable = slices_bytes / (size_ * static_cast<index>(sizeof(T)));
    const index bytes = (p_.batch * p_.axis[0].in * p_.axis[1].in * p_.axis[2].in * p_.groups * p_.in_channels +
                         p_.batch * p_.positions() * all_) *
                        static_cast<index>(sizeof(T));
    together_ = bytes > far_bytes && std::min(affordable, units_) >= least_tasks ? cut_.channel_blocks : 1;
    const index wanted = divide_up(least_tasks * together_, cut_.channel_blocks);
    slices_ = std::max<index>(1, std::min({wanted, affordable, units_}));
  }

  Work work() const {
    const index scratch = ColumnRows<T>(p_, cut_, false).bytes(), sums = slices_ * size_ * index(sizeof(T));
    const index rows = divide_up(units_, slices_) * cut_.block[0] * cut_.block[1];
    return {p_.products(), cut_.high * cut_.block[2] + divide_up(rows, cut_.high) + slices_, sums, scratch,
            cut_.shared_by(p_, tasks())};
  }

  void run(T* dw) {
    const int workers = workers_for(cut_.shared_by(p_, tasks()), p_.products());
    Buffer<T> sums(slices_ * size_);
    std::vector<ColumnRows<T>> columns;
    for (int i = 0; i < workers; ++i) columns.emplace_back(p_, cut_, false);
    parallel_for(tasks(), workers, [&](index task, int worker) {
      const index each = cut_.channel_blocks / together_, slice = task / each, first = task % each * together_;
      T* const own = sums.data() + slice * size_;
      std::fill_n(own + first * cut_.channels / lanes_ * vector_, own_size(first), T(0));
      for (index unit = units_ * slice / slices_; unit < units_ * (slice + 1) / slices_; ++unit) {
        for (index i = first; i < first + together_; ++i)
          compute(columns[static_cast<std::size_t>(worker)], unit, i * cut_.channels, own);
      }
    });
    const TapColumns width(p_.axis[2], 1);
    for (index k = 0; k < all_; k += lanes_) finish(width, sums.data() + k / lanes_ * vector_, k, dw);
  }

 private:
  index tasks() const { return slices_ * (cut_.channel_blocks / together_); }

  // Elements of the sums of a task from channel block `first` on.
  index own_size(index first) const {
    const index channels = std::min(together_ * cut_.channels, all_ - first * cut_.channels);
    return divide_up(channels, lanes_) * vector_;
  }

  // Adds a unit's sums of the channels [first, ..) of a block.
  void compute(ColumnRows<T>& rows, index unit, index first, T* sums) const {
    const DepthwiseBlock block = depthwise_block(p_, cut_, unit);
    DepthwiseSum<T> sum{};
    sum.runs = rows.runs().data();
    sum.run_count = static_cast<index>(rows.runs().size());
    sum.dw = sums + first / lanes_ * vector_;
    sum.x = rows.seen();
    sum.rows = rows.rows();
    sum.taps = p_.axis[2].taps;
    sum.x_vector = rows.vector();
    sum.channels = std::min(cut_.channels, all_ - first);
    sum.dy_step = all_;
    sum.dy_row = p_.axis[2].positions * all_;
    sum.pixels = block.size[2];
    const index high = p_.axis[1].positions, wide = p_.axis[2].positions;
    rows.begin(x_, block, first, sum.channels, dy_);
    for (index d = block.start[0]; d < block.start[0] + block.size[0]; ++d) {
      const index end = block.start[1] + block.size[1];
      for (index h = block.start[1]; h < end; h += sum.high) {
        sum.high = rows.look(d, h, end - h);
        sum.dy = dy_ + (((block.image * p_.axis[0].positions + d) * high + h) * wide + block.start[2]) * all_ + first;
        kernels<T>().depthwise_sum(sum);
      }
    }
  }

  // Adds the slices of one vector of channels, and puts each tap where it belongs.
  void finish(const TapColumns& width, T* sums, index first, T* dw) const {
    for (index slice = 1; slice < slices_; ++slice) {
      for (index i = 0; i < vector_; ++i) sums[i] += sums[slice * size_ + i];
    }
    const index taps = p_.axis[2].taps, rows = vector_ / lanes_ / taps, count = std::min(lanes_, all_ - first);
    for (index row = 0; row < rows; ++row) {
      for (index tap : width.order) {
        const index above = row / p_.in_channels, j = row % p_.in_channels;
        std::copy_n(sums, count, dw + ((above * taps + tap) * p_.in_channels + j) * all_ + first);
        sums += lanes_;
      }
    }
  }

  const Correlation& p_;
  const DepthwiseCut cut_;
  const T* x_;
  const T* dy_;
  const index lanes_, all_;
  index vector_, size_, units_, slices_;  // elements of a vector of channels, and of all
  index together_;                        // blocks of channels that take turns at a unit
};

}  // namespace

template <class T>
Work depthwise_weight_grad_work(const Correlation& problem) {
  return DepthwiseGrad<T>(problem, nullptr, nullptr).work();
}

template <class T>
void depthwise_weight_grad(const Correlation& problem, const T* x, const T* dy, T* dw) {
  DepthwiseGrad<T>(problem, x, dy).run(dw);
}

template Work depthwise_weight_grad_work<float>(const Correlation&);
template Work depthwise_weight_grad_work<double>(const Correlation&);
template void depthwise_weight_grad(const Correlation&, const float*, const float*, float*);
template void depthwise_weight_grad(const Correlation&, const double*, const double*, double*);

}  // namespace pcx
