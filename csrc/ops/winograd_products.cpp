#include "ops/winograd_products.h"

#include <algorithm>

#include "base/division.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

constexpr index line = 16;  // floats of a cache line
// Channels of a weight that are made side by side: few, whose transforms stay near the L1 cache, or where they lie side
// by side in the weight a cache line of them.
constexpr index few_made = 4, line_made = 16;
constexpr index made_ahead = 2;  // times as many channels are fetched beforehand: those that are next come too late

}  // namespace

WinogradProducts::WinogradProducts(const WinogradPlan& plan, const Correlation& problem, const Tiles& tiles,
                                   const Weight<float>& weight)
    : plan_(plan),
      k_(kernels<float>()),
      weight_(weight),
      group_size_(winograd_packed_size(problem, tiles) / problem.groups),
      made_element_((divide_up(plan.chunk * k_.panel, line) | 1) * line) {
  if (weight.by_turns) filter_.emplace(problem, tiles, weight.strides);
  for (index t = 0; plan_.over_lanes && t < plan_.pictures * plan_.block; ++t) {
    rows_at_.push_back(t * plan_.chunk_row);
    sums_at_.push_back(t * plan_.panel);
  }
}

void WinogradProducts::run(index group, index block, const Part& part, const float* input, float* products,
                           float* made) const {
  input += part.tile * plan_.chunk_row;
  products += part.tile * plan_.panel;
  const float* const w = weight_.data + group * group_size_;
  if (plan_.over_lanes) return over_lanes(w, part, input, products);
  if (!weight_.by_turns) return packed(w, block, part, input, products);
  making(group, block, part, input, products, made);
}

index WinogradProducts::columns_of(index panel) const {
  return std::min<index>(k_.panel, plan_.problem.out_channels - panel * k_.panel);
}

PanelProduct<float> WinogradProducts::product_of(const Part& part, index panel) const {
  PanelProduct<float> product{};
  product.rows = part.last_tile - part.tile;
  product.x_stride = plan_.chunk_row;
  product.y_stride = plan_.panel;
  product.columns = columns_of(panel);
  product.width = k_.whole_width(product.columns);
  return product;
}

// One chunk of the sum of one element; `w` is the chunk's weight. Returns whether there is anything to sum.
bool WinogradProducts::add_chunk(PanelProduct<float>& product, const WinogradPlan::Zeros& zeros, index element,
                                 index chunk, const float* input, const float* w) const {
  const WinogradPlan::Summed summed = plan_.summed(zeros, chunk);
  if (summed.depth == 0) return false;
  product.x = input + (chunk * plan_.elements + element) * plan_.input_element + summed.first;
  product.w = w + summed.first * product.width;
  product.depth = summed.depth;
  product.ahead = product.depth * product.width;
  k_.panel_product(product);
  return true;
}

// Element by element, so that one element of the transformed input serves all panels from the cache.
void WinogradProducts::packed(const float* w, index block, const Part& part, const float* input,
                              float* products) const {
  WinogradPlan::Zeros zeros = plan_.padding_of(block);
  for (index e = 0; e < plan_.elements; ++e) {
    plan_.go_to(e, zeros);
    for (index panel = part.panel; panel < part.last_panel; ++panel) {
      PanelProduct<float> product = product_of(part, panel);
      const float* const of_element =
          w + panel * k_.panel * plan_.elements * plan_.depth() + e * plan_.depth() * product.width;
      product.y = products + (panel * plan_.elements + e) * plan_.product_element;
      for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
        if (add_chunk(product, zeros, e, chunk, input, of_element + chunk * plan_.chunk * product.width))
          product.accumulate = true;
      }
    }
  }
}

// All columns at once: they are few.
void WinogradProducts::over_lanes(const float* w, const Part& part, const float* input, float* products) const {
  Run run{0, 0};
  ConvPixels<float> product{};
  product.x_at = rows_at_.data();
  product.y_at = sums_at_.data();
  product.runs = &run;
  product.run_count = 1;
  product.pixels = part.last_tile - part.tile;
  product.columns = static_cast<int>(plan_.problem.out_channels);
  product.over_lanes = true;
  product.w = w;
  for (index e = 0; e < plan_.elements; ++e) {
    product.y = products + e * plan_.product_element;
    for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
      product.x = input + (chunk * plan_.elements + e) * plan_.input_element;
      run.length = std::min(plan_.chunk, plan_.depth() - chunk * plan_.chunk);
      product.accumulate = chunk > 0;
      k_.conv_pixels(product);
      product.w += round_up(run.length, k_.lanes) * plan_.problem.out_channels;
    }
  }
}

// Panel by panel and chunk by chunk, for all elements of which a weight is made together.
void WinogradProducts::making(index group, index block, const Part& part, const float* input, float* products,
                              float* made) const {
  std::vector<char> begun(static_cast<std::size_t>(plan_.elements));
  for (index panel = part.panel; panel < part.last_panel; ++panel) {
    WinogradPlan::Zeros zeros = plan_.padding_of(block);
    PanelProduct<float> product = product_of(part, panel);
    std::fill(begun.begin(), begun.end(), char{0});
    for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
      make(group, panel, chunk, made);
      for (index e = 0; e < plan_.elements; ++e) {
        char& some = begun[static_cast<std::size_t>(e)];
        plan_.go_to(e, zeros);
        product.y = products + (panel * plan_.elements + e) * plan_.product_element;
        product.accumulate = some;
        if (add_chunk(product, zeros, e, chunk, input, made + e * made_element_)) some = 1;
      }
    }
  }
}

index WinogradProducts::made_together() const { return weight_.strides.out == 1 ? few_made : line_made; }

// The transformed weight of one panel for a chunk of the sum; what it is made in stands behind it.
void WinogradProducts::make(index group, index panel, index chunk, float* made) const {
  const index channels = plan_.problem.in_channels;
  const index begin = chunk * plan_.chunk, end = std::min(begin + plan_.chunk, plan_.depth());
  const index columns = columns_of(panel), width = k_.whole_width(columns);
  const float* const w = weight_.data + group * weight_.strides.group + panel * k_.panel * weight_.strides.out;
  double* const scratch = reinterpret_cast<double*>(made + made_size());
  for (index i = begin, count; i < end; i += count) {
    const index c = i % channels;
    count = std::min({made_together(), channels - c, end - i});
    filter_->run(
        {w + c * weight_.strides.in, i / channels, count, columns, width, made_ahead * count * weight_.strides.in},
        made + (i - begin) * width, made_element_, scratch);
  }
}

}  // namespace pcx
