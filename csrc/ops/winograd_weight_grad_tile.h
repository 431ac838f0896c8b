// Tiles of a weight gradient by Winograd's algorithm, between the tensors and the transformed form.
#pragma once
#include "ops/winograd_weight_grad_plan.h"

namespace pcx {

constexpr index strip = 16;  // channels of x that go through all axes together

// The transforms of one strip of x or one panel of dy.
class WeightGradTransform {
 public:
  // Of part `row / strips` of the kernel; `small` are three arrays of plan.small_size().
  static WeightGradTransform of_x(const WinogradWeightGradPlan& plan, const float* x, index group, index row,
                                  float* small);
  static WeightGradTransform of_dy(const WinogradWeightGradPlan& plan, const float* dy, index group, index panel,
                                   float* small);

  // Tiles [first, last) of all, the first of them to slot 0 of `to`.
  void run(index first, index last, float* to) const;

 private:
  using Pass = void (*WinogradAxis<float>::*)(const TransformPass<float>&);

  WeightGradTransform(const WinogradWeightGradPlan& plan, float* small) : plan_(plan), small_(small) {}
  index next(index tile, index most, float* to) const;
  const float* copy(const float* image, const Axes& start, const Axes& hull) const;

  const WinogradWeightGradPlan& plan_;
  float* small_;
  const float* data_ = nullptr;       // at the first channel
  index pixel_ = 0;                   // elements from pixel to pixel
  Axes tensor_{}, tile_{}, shift_{};  // extents of both; where tile 0 begins
  Axes jump_{1, 1, 1}, step_{};       // from position to position of dy; from element to element of a tile
  index channels_ = 0, slot_ = 0, element_ = 0;
  Pass pass_ = nullptr;
};

// dw (+)= the transform back of a region's sums; returns whether all were finite.
struct WeightGradBack {
  const WinogradWeightGradPlan& plan;
  const float* sums;  // [element][row][column], rows of plan.region_panels panels
  float* dw;
  float* small;
  bool overwrite;

  bool run(index group, index first_row, index rows, index first_panel, index columns) const;

 private:
  bool channel(const float* from, index row, float* to, index columns) const;
};

}  // namespace pcx
