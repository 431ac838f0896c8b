// The products of a block of tiles: each element of their transform times that element of the weight, which is packed,
// or made panel by panel when it is needed.
#pragma once
#include <optional>
#include <vector>

#include "isa/dispatch.h"
#include "ops/winograd_filter.h"
#include "ops/winograd_plan.h"

namespace pcx {

class WinogradProducts {
 public:
  // The problem as it was given; `plan` has to stay.
  WinogradProducts(const WinogradPlan& plan, const Correlation& problem, const Tiles& tiles,
                   const Weight<float>& weight);

  // Panels of output channels and tiles of a block. A weight that is made takes all tiles.
  struct Part {
    index panel, last_panel, tile, last_tile;
  };
  // `input` and `products` are those of the whole block; `made` has room for scratch() floats.
  void run(index group, index block, const Part& part, const float* input, float* products, float* made) const;
  index scratch() const { return weight_.by_turns ? made_size() + 2 * filter_->scratch(made_together()) : 0; }

 private:
  index columns_of(index panel) const;
  PanelProduct<float> product_of(const Part& part, index panel) const;
  bool add_chunk(PanelProduct<float>& product, const WinogradPlan::Zeros& zeros, index element, index chunk,
                 const float* input, const float* w) const;
  void packed(const float* w, index block, const Part& part, const float* input, float* products) const;
  void over_lanes(const float* w, const Part& part, const float* input, float* products) const;
  void making(index group, index block, const Part& part, const float* input, float* products, float* made) const;
  void make(index group, index panel, index chunk, float* made) const;
  index made_together() const;
  index made_size() const { return plan_.elements * made_element_; }

  const WinogradPlan& plan_;
  const Kernels<float>& k_;
  const Weight<float> weight_;
  const index group_size_;    // elements of a packed weight
  const index made_element_;  // floats from one element of a made weight to the next: in other sets of the cache
  std::optional<FilterTransform> filter_;  // by turns
  std::vector<index> rows_at_, sums_at_;   // over lanes: of each tile of a block
};

}  // namespace pcx
