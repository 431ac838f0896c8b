// The filter's transform: in float64, rounded once.
#pragma once
#include <vector>

#include "ops/winograd_plan.h"

namespace pcx {

// Of a few input channels and one panel of output channels, one part of the kernel, element by element. The channels
// are transformed side by side, as they lie in the packed form.
class FilterTransform {
 public:
  FilterTransform(const Correlation& problem, const Tiles& tiles, const WeightStrides& strides);

  index elements() const { return size_[0] * size_[1] * size_[2]; }
  index parts() const { return index{1} * scheme_[0].parts * scheme_[1].parts * scheme_[2].parts; }
  index scratch(index channels) const;  // doubles

  // `w` is that of the first tap, channel and column; columns past `columns` are zero up to `width`. Element e goes to
  // to + e * stride. What stands `ahead` of the weights that are read will be read next.
  struct Piece {
    const float* w;
    index part, channels, columns, width, ahead;
  };
  void run(const Piece& piece, float* to, index stride, double* scratch) const;

 private:
  index tap_source(int a, index t) const;
  void list_taps();
  void read(const Piece& piece, double* to, float* turned) const;
  void read_tap(const Piece& piece, const float* w, double* to, float* turned) const;

  const Correlation& p_;
  const WeightStrides strides_;
  std::array<const WinogradAxis<double>*, 3> transform_{};
  std::array<WinogradScheme, 3> scheme_{};
  Axes kernel_{}, size_{};
  std::vector<index> taps_;  // of each part: where the weights of its taps are
  int transformed_ = 0;
};

}  // namespace pcx
