// One tile of Winograd's algorithm, between the tensors and the transformed form.
#pragma once
#include "ops/winograd_plan.h"

namespace pcx {

// The input's transform of tiles [first, last) of a block for one chunk of the sum. `x` is the picture at the group's
// first channel; `small` are three arrays of plan.small_size().
struct WinogradInput {
  const WinogradPlan& plan;
  const float* x;
  float* input;  // of the block
  float* small;

  void run(index block, index chunk, index first, index last) const;

 private:
  struct Segment;
  struct Patch;
  Patch patch_of(const Segment& segment, const Axes& tile) const;
  bool crosses_whole(const Patch& patch) const;
  Patch padded(const Patch& patch, index channels) const;
  index transform(const Segment& segment, const Axes& tile, index slot, index most) const;
  index one_by_one(const Segment& segment, const Axes& tile, index slot) const;
  void through_axes(const Patch& patch, index tiles, index channels, float* goal) const;
  void first_axis(int a, TransformPass<float> pass, index tiles, index in_pitch, index out_pitch) const;
};

// The products' transform of tiles [first, last) of a block for some panels, with bias and ReLU. `y` is the picture at
// the group's first channel, bias (or null) that channel's. Returns whether all sums were finite.
struct WinogradOutput {
  const WinogradPlan& plan;
  const float* products;  // of the block
  const float* bias;
  bool relu;
  float* y;
  float* small;

  bool run(index block, index first_panel, index last_panel, index first, index last) const;

 private:
  struct Goal;
  Axes y_strides() const;
  Goal goal_of(const Axes& tile) const;
  index transform(index panel, const Axes& tile, const float* from, index most, bool& finite) const;
  bool into_rows(int a, TransformPass<float> pass, const Goal& goal, index k0, index columns, index tiles) const;
  void spread(const Goal& goal, index k0, index columns, const float* from, const Axes& strides) const;
  bool last_axis(int a, TransformPass<float> pass, index column, index columns, index tiles, index pitch) const;
};

}  // namespace pcx
