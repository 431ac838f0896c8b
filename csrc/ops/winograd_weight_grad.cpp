// Weight gradient by Winograd's algorithm: dw = output[sum over tiles of filter[dy tile] . input[x tile]], so that the
// sum is transformed once. A block of tiles is transformed for all channels; then each task takes a region of the
// products, whose sums over the block it transforms back and adds to dw.
#include <algorithm>
#include <atomic>

#include "base/buffer.h"
#include "base/parallel.h"
#include "ops/winograd.h"
#include "ops/winograd_weight_grad_tile.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 60 << 20;  // of all workers together
constexpr index piece_tiles = 32;          // of a transform, for one strip or panel
constexpr double parallel_products = 6e5;
constexpr double with_transforms = 3;  // what all takes, in products, where they are few

class WinogradWeightGrad {
 public:
  WinogradWeightGrad(const ConvShape& shape, const Tiles& tiles, const float* x, const float* dy)
      : plan_(shape, tiles), s_(plan_.s), k_(kernels<float>()), x_(x), dy_(dy) {}

  Work work() const {
    const double products = 1.0 * plan_.tiles * plan_.products() * s_.groups * s_.group_in() * s_.group_out();
    const index slice = divide_up(plan_.tiles, plan_.slices), blocks = divide_up(slice, plan_.block);
    const index own = plan_.slices > 1 ? plan_.slices * s_.w_size() : 0;
    Work work{products, plan_.block + blocks + plan_.slices, own * bytes, own_size() * bytes, 1};
    if (plan_.alone)
      work.scratch += plan_.block_size() * bytes;
    else
      work.shared += plan_.block_size() * bytes;
    if (products < parallel_products) return work;
    const index affordable = std::max<index>(1, scratch_bytes / work.scratch);
    work.workers =
        std::min(plan_.alone ? plan_.slices * s_.groups : std::max(transforms(), plan_.regions()), affordable);
    return work;
  }

  // Whether all sums were finite.
  bool run(float* dw) {
    const Work work = this->work();
    const int workers = workers_for(work.workers, with_transforms * work.products);
    Buffer<float> shared(plan_.alone ? 0 : plan_.block_size()), scratch(workers * work.scratch / bytes);
    SliceSums<float> sums(s_, plan_.slices, {dw, nullptr});
    if (!plan_.alone) {
      Slice{*this, 0, 0, sums.of(0), shared.data(), scratch.data(), workers}.run();
    } else {
      parallel_for(plan_.slices * s_.groups, workers, [&](index task, int worker) {
        float* const block = scratch.data() + worker * work.scratch / bytes;
        const index slice = task % plan_.slices;
        Slice{*this, task / plan_.slices, slice, sums.of(slice), block, block + plan_.block_size(), 1}.run();
      });
    }
    sums.add_up(workers);
    return finite_;
  }

 private:
  static constexpr index bytes = sizeof(float);

  index own_size() const { return plan_.sums_size() + 3 * plan_.small_size(); }
  index arrays() const { return plan_.rows() + plan_.panels; }  // strips of x and panels of dy
  index transforms() const { return divide_up(plan_.block, piece_tiles) * arrays(); }

  // One slice of one group, block after block, by `workers` that each have an own_size() of `own`.
  struct Slice {
    WinogradWeightGrad& all;
    index group, number;
    WeightSums<float> sums;
    float* block;
    float* own;
    int workers;

    void run() const {
      const WinogradWeightGradPlan& plan = all.plan_;
      const index begin = plan.tiles * number / plan.slices, end = plan.tiles * (number + 1) / plan.slices;
      for (index first = begin; first < end; first += plan.block) {
        const index tiles = std::min(plan.block, end - first);
        parallel_for(divide_up(tiles, piece_tiles) * all.arrays(), workers, [&](index task, int worker) {
          const index piece = task / all.arrays() * piece_tiles;
          transform(task % all.arrays(), first, piece, std::min(piece + piece_tiles, tiles), worker);
        });
        parallel_for(plan.regions(), workers,
                     [&](index region, int worker) { multiply(region, tiles, first == begin, worker); });
      }
    }

    float* x_of(index row) const { return block + row * all.plan_.elements * all.plan_.x_element; }
    float* dy_of(index panel) const {
      return x_of(all.plan_.rows()) + panel * all.plan_.elements * all.plan_.dy_element;
    }

    void transform(index array, index first, index begin, index end, int worker) const {
      const WinogradWeightGradPlan& plan = all.plan_;
      float* const small = own + worker * all.own_size() + plan.sums_size();
      const index panel = array - plan.rows();
      if (panel < 0)
        WeightGradTransform::of_x(plan, all.x_, group, array, small)
            .run(first + begin, first + end, x_of(array) + begin * strip);
      else
        WeightGradTransform::of_dy(plan, all.dy_, group, panel, small)
            .run(first + begin, first + end, dy_of(panel) + begin * plan.panel);
    }

    // Element by element, so that an element's sums and transforms stay in the L1 cache.
    void multiply(index region, index tiles, bool overwrite, int worker) const {
      const WinogradWeightGradPlan& plan = all.plan_;
      const ConvShape& s = all.s_;
      const index across = divide_up(plan.panels, plan.region_panels);
      const index first_row = region / across * plan.region_strips, first_panel = region % across * plan.region_panels;
      const index rows = std::min(plan.region_strips, plan.rows() - first_row);
      const index columns = std::min(plan.region_panels * plan.panel, s.group_out() - first_panel * plan.panel);
      float* const products = own + worker * all.own_size();
      PixelSum<float> sum{};
      sum.rows = 1;
      sum.cols = tiles;
      sum.x_pixel = strip;
      sum.dy_pixel = plan.panel;
      sum.dw_stride = plan.region_panels * plan.panel;
      sum.overwrite = true;
      for (index e = 0; e < plan.elements; ++e) {
        for (index row = 0; row < rows; ++row) {
          if (plan.is_zero(first_row + row, e)) {
            std::fill_n(products + e * plan.sums_element() + row * strip * sum.dw_stride, strip * sum.dw_stride, 0.0f);
            continue;
          }
          sum.x = x_of(first_row + row) + e * plan.x_element;
          sum.channels = static_cast<int>(std::min(strip, s.group_in() - (first_row + row) % plan.strips * strip));
          for (index k = 0; k < columns; k += plan.panel) {
            sum.dy = dy_of(first_panel + k / plan.panel) + e * plan.dy_element;
            sum.columns = static_cast<int>(std::min(plan.panel, columns - k));
            sum.dw = products + e * plan.sums_element() + row * strip * sum.dw_stride + k;
            all.k_.pixel_sum(sum);
          }
        }
      }
      const WeightGradBack back{plan, products, sums.dw, products + plan.sums_size(), overwrite};
      if (!back.run(group, first_row, rows, first_panel, columns)) all.finite_ = false;
    }
  };

  const WinogradWeightGradPlan plan_;
  const ConvShape& s_;
  const Kernels<float>& k_;
  const float* x_;
  const float* dy_;
  std::atomic<bool> finite_{true};
};

}  // namespace

Work winograd_weight_grad_work(const ConvShape& shape, const Tiles& tiles) {
  return WinogradWeightGrad(shape, tiles, nullptr, nullptr).work();
}

bool winograd_weight_grad(const ConvShape& shape, const Tiles& tiles, const float* x, const float* dy, float* dw) {
  return WinogradWeightGrad(shape, tiles, x, dy).run(dw);
}

}  // namespace pcx
