// The driver: a block of tiles is transformed for all its channels, then, panel by panel of output channels, multiplied
// and transformed back. The sum over channels is split every `spaced` channels, which halves its rounding error.
#include "ops/winograd.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

#include "base/buffer.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/winograd_pass.h"

namespace pcx {

namespace {

constexpr index block_bytes = 768 << 10;   // of a block's transformed input and products: they stay near the core
constexpr index scratch_bytes = 48 << 20;  // of all workers together
constexpr index most_tiles = 112, least_tiles = 28;
constexpr index least_tasks = 16;
constexpr index line = 16;                 // floats of a cache line
constexpr double parallel_products = 4e6;  // multiply-adds of the transformed problem that are worth a second thread

index divide_up(index a, index b) { return (a + b - 1) / b; }

class Winograd {
 public:
  Winograd(const Correlation& problem, const Tiles& tiles, const float* x, const float* packed, const float* bias,
           bool relu, float* y)
      : p_(problem), k_(kernels<float>()), tile_(tiles), x_(x), packed_(packed), bias_(bias), y_(y), relu_(relu) {
    for (int a = 0; a < 3; ++a) {
      CorrelationAxis& axis = p_.axis[a];
      if (axis.tap_step < 0) axis.first += (axis.taps - 1) * axis.tap_step;  // the packed filter is turned
      size_[a] = tile_[a] + axis.taps - 1;
      count_[a] = divide_up(axis.positions, tile_[a]);
      scheme_[a] = winograd_axis_for<float>(tile_[a], axis.taps);
    }
    elements_ = size_[0] * size_[1] * size_[2];
    chunk_ = divide_up(p_.in_channels, divide_up(p_.in_channels, spaced));
    chunks_ = divide_up(p_.in_channels, chunk_);
    panels_ = divide_up(p_.out_channels, k_.panel);
    cut();
    identity_.resize(static_cast<std::size_t>(chunk_));
    std::iota(identity_.begin(), identity_.end(), 0);
  }

  Work work() const {
    const index bytes = scratch_size() * static_cast<index>(sizeof(float));
    const index affordable = std::max<index>(1, scratch_bytes / bytes);
    const double products = 1.0 * p_.batch * p_.groups * tiles() * elements_ * p_.in_channels * p_.out_channels;
    return {products, chunk_ + chunks_, 0, bytes, products < parallel_products ? 1 : std::min(tasks(), affordable)};
  }

  std::vector<index> run() {
    const index tasks = this->tasks(), scratch = scratch_size();
    const int workers = workers_for(work().workers);
    Buffer<float> buffer(scratch * workers);
    std::unique_ptr<std::atomic<bool>[]> failed(new std::atomic<bool>[static_cast<std::size_t>(p_.batch)]);
    for (index i = 0; i < p_.batch; ++i) failed[i] = false;
    parallel_for(tasks, workers, [&](index task, int worker) {
      const index image = task / (panel_groups_ * blocks_ * p_.groups);
      if (!compute(task, buffer.data() + worker * scratch)) failed[image] = true;
    });
    std::vector<index> not_finite;
    for (index i = 0; i < p_.batch; ++i) {
      if (failed[i]) not_finite.push_back(i);
    }
    return not_finite;
  }

 private:
  index tasks() const { return p_.batch * p_.groups * blocks_ * panel_groups_; }
  index tiles() const { return count_[0] * count_[1] * count_[2]; }

  void cut() {
    const index tile_bytes = elements_ * (chunks_ * spaced + k_.panel) * static_cast<index>(sizeof(float));
    const index most = std::clamp(block_bytes / tile_bytes, least_tiles, most_tiles);
    blocks_ = divide_up(tiles(), most);
    block_ = divide_up(tiles(), blocks_);
    panels_each_ = panels_;
    while (p_.batch * p_.groups * blocks_ * divide_up(panels_, panels_each_) < least_tasks && panels_each_ > 2) {
      panels_each_ = divide_up(panels_each_, 2);
    }
    panel_groups_ = divide_up(panels_, panels_each_);
    // An odd number of cache lines between elements: the elements of a tile then lie in different cache sets.
    input_element_ = block_ * spaced + line;
    product_element_ = block_ * k_.panel + line;
  }

  // Scratch of a worker: transformed input, products, and two small arrays for a tile on its way.
  index input_size() const { return chunks_ * elements_ * input_element_; }
  index product_size() const { return elements_ * product_element_; }
  index small_size() const { return elements_ * std::max<index>(k_.panel, spaced); }
  index scratch_size() const { return input_size() + product_size() + 3 * small_size(); }

  bool compute(index task, float* scratch) const {
    const index panel_group = task % panel_groups_, block = task / panel_groups_ % blocks_;
    const index group = task / panel_groups_ / blocks_ % p_.groups, image = task / panel_groups_ / blocks_ / p_.groups;
    const index first = block * block_, count = std::min(block_, tiles() - first);
    float* input = scratch;
    float* products = input + input_size();
    float* small = products + product_size();
    for (index t = 0; t < count; ++t) {
      for (index chunk = 0; chunk < chunks_; ++chunk) transform_in(image, group, first + t, t, chunk, input, small);
    }
    bool finite = true;
    const index last = std::min(panels_, (panel_group + 1) * panels_each_);
    for (index panel = panel_group * panels_each_; panel < last; ++panel) {
      multiply(group, panel, count, input, products);
      for (index t = 0; t < count; ++t) {
        if (!transform_out(image, group, panel, first + t, t, products, small)) finite = false;
      }
    }
    return finite;
  }

  Axes tile_at(index tile) const {
    return {tile / (count_[1] * count_[2]), tile / count_[2] % count_[1], tile % count_[2]};
  }

  void transform_in(index image, index group, index tile, index slot, index chunk, float* input, float* small) const {
    const Axes at = tile_at(tile);
    const index pixel = p_.groups * p_.in_channels, c0 = chunk * chunk_;
    const index channels = std::min(chunk_, p_.in_channels - c0);
    Axes start{};
    bool inside = true;
    for (int a = 0; a < 3; ++a) {
      start[a] = p_.axis[a].first + at[a] * tile_[a];
      inside = inside && start[a] >= 0 && start[a] + size_[a] <= p_.axis[a].in;
    }
    const float* from =
        x_ + image * p_.axis[0].in * p_.axis[1].in * p_.axis[2].in * pixel + group * p_.in_channels + c0;
    Axes strides{p_.axis[1].in * p_.axis[2].in * pixel, p_.axis[2].in * pixel, pixel};
    if (inside) {
      from += start[0] * strides[0] + start[1] * strides[1] + start[2] * strides[2];
    } else {
      copy_patch(from, strides, start, channels, small);
      from = small;
      strides = dense(size_, channels);
    }
    float* const goal = input + chunk * elements_ * input_element_ + slot * spaced;
    const Axes goal_strides = dense(size_, input_element_);
    int left = transformed_axes();
    float* buffers[] = {small + small_size(), small + 2 * small_size()};
    for (int a : {2, 1, 0}) {
      if (!scheme_[a]) continue;
      --left;
      float* to = left ? buffers[left % 2] : goal;
      const Axes to_strides = left ? dense(size_, channels) : goal_strides;
      scheme_[a]->input(winograd_pass(a, from, strides, to, to_strides, size_, channels));
      from = to;
      strides = to_strides;
    }
  }

  int transformed_axes() const {
    int n = 0;
    for (const WinogradAxis<float>* axis : scheme_) n += axis != nullptr;
    return n;
  }

  // What a tile at the border reads, with zeros for padding.
  void copy_patch(const float* x, const Axes& strides, const Axes& start, index channels, float* patch) const {
    for (index d = start[0]; d < start[0] + size_[0]; ++d) {
      for (index h = start[1]; h < start[1] + size_[1]; ++h) {
        const bool row_inside = d >= 0 && d < p_.axis[0].in && h >= 0 && h < p_.axis[1].in;
        for (index w = start[2]; w < start[2] + size_[2]; ++w, patch += channels) {
          if (row_inside && w >= 0 && w < p_.axis[2].in) {
            std::copy_n(x + d * strides[0] + h * strides[1] + w * strides[2], channels, patch);
          } else {
            std::fill_n(patch, channels, 0.0f);
          }
        }
      }
    }
  }

  void multiply(index group, index panel, index count, const float* input, float* products) const {
    ConvRow<float> row{};
    const index first = panel * k_.panel;
    row.columns = static_cast<int>(std::min<index>(k_.panel, p_.out_channels - first));
    const index width = k_.width_spaced(row.columns);
    const index group_size = winograd_packed_size(p_, tile_) / p_.groups;
    const float* w = packed_ + group * group_size + first * elements_ * p_.in_channels;
    row.offsets = identity_.data();
    row.pixels = count;
    row.y_stride = k_.panel;
    for (index e = 0; e < elements_; ++e) {
      row.y = products + e * product_element_;
      for (index chunk = 0; chunk < chunks_; ++chunk) {
        const index c0 = chunk * chunk_;
        row.x = input + (chunk * elements_ + e) * input_element_;
        row.w = w + (e * p_.in_channels + c0) * width;
        row.depth = std::min(chunk_, p_.in_channels - c0);
        row.accumulate = chunk > 0;
        row.ahead = row.depth * width;
        k_.conv_row_spaced(row);
      }
    }
  }

  bool transform_out(index image, index group, index panel, index tile, index slot, const float* products,
                     float* small) const {
    const Axes at = tile_at(tile);
    const index first = panel * k_.panel, channels = std::min<index>(k_.panel, p_.out_channels - first);
    const index pixel = p_.groups * p_.out_channels;
    Axes start{}, inside{}, extents = size_;
    bool whole = true;
    for (int a = 0; a < 3; ++a) {
      start[a] = at[a] * tile_[a];
      inside[a] = std::min<index>(tile_[a], p_.axis[a].positions - start[a]);
      whole = whole && inside[a] == tile_[a];
    }
    const Axes y_strides{p_.axis[1].out * p_.axis[2].out * pixel, p_.axis[2].out * pixel, pixel};
    float* const y = y_ + image * p_.axis[0].out * y_strides[0] + start[0] * y_strides[0] + start[1] * y_strides[1] +
                     start[2] * y_strides[2] + group * p_.out_channels + first;
    const float* from = products + slot * k_.panel;
    Axes strides = dense(size_, product_element_);
    int left = transformed_axes();
    bool finite = true;
    for (int a : {0, 1, 2}) {
      if (!scheme_[a]) continue;
      --left;
      extents[a] = tile_[a];
      const bool to_y = left == 0 && whole;
      float* to = to_y ? y : small + left * small_size();
      const Axes to_strides = to_y ? y_strides : dense(extents, channels);
      TransformPass<float> pass = winograd_pass(a, from, strides, to, to_strides, extents, channels);
      if (left) {
        scheme_[a]->output(pass);
      } else {
        pass.bias = bias_ ? bias_ + group * p_.out_channels + first : nullptr;
        pass.relu = relu_;
        finite = scheme_[a]->last(pass);
      }
      from = to;
      strides = to_strides;
    }
    if (!whole) copy_inside(from, strides, inside, channels, y, y_strides);
    return finite;
  }

  static void copy_inside(const float* from, const Axes& strides, const Axes& inside, index channels, float* y,
                          const Axes& y_strides) {
    for (index d = 0; d < inside[0]; ++d) {
      for (index h = 0; h < inside[1]; ++h) {
        for (index w = 0; w < inside[2]; ++w) {
          std::copy_n(from + d * strides[0] + h * strides[1] + w * strides[2], channels,
                      y + d * y_strides[0] + h * y_strides[1] + w * y_strides[2]);
        }
      }
    }
  }

  Correlation p_;
  const Kernels<float>& k_;
  const Tiles tile_;
  const float* x_;
  const float* packed_;
  const float* bias_;
  float* y_;
  const bool relu_;
  Axes size_{}, count_{};
  std::array<const WinogradAxis<float>*, 3> scheme_{};
  index elements_, input_element_, product_element_, chunk_, chunks_, panels_, panels_each_, panel_groups_, blocks_,
      block_;
  std::vector<std::int32_t> identity_;
};

}  // namespace

Work winograd_work(const Correlation& problem, const Tiles& tiles) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return {};
  return Winograd(problem, tiles, nullptr, nullptr, nullptr, false, nullptr).work();
}

std::vector<index> winograd_correlate(const Correlation& problem, const Tiles& tiles, const float* x,
                                      const float* packed, const float* bias, bool relu, float* y) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return {};
  return Winograd(problem, tiles, x, packed, bias, relu, y).run();
}

}  // namespace pcx
