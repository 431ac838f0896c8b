// How Winograd's algorithm cuts a weight gradient: a tile of dy slides over a tile of x and gives `kernel` sums on each
// axis, F(kernel, tile). Each element of the two transforms is a matrix product over tiles.
#pragma once
#include "isa/dispatch.h"
#include "ops/weight_grad.h"
#include "ops/winograd_plan.h"

namespace pcx {

// A kernel for which there is no F(kernel, tile) is cut into `parts` of `kernel` taps, the last perhaps with taps too
// many, each with transforms of its own. Tile 1 leaves the axis as it is: each tap is a part.
struct WeightGradScheme {
  int tile, kernel, parts;  // no parts: impossible

  index size() const { return tile + kernel - 1; }
};
WeightGradScheme winograd_weight_grad_scheme(int tile, index taps);

struct WinogradWeightGradPlan {
  WinogradWeightGradPlan(const ConvShape& shape, const Tiles& tiles_on);

  ConvShape s;
  std::array<WeightGradScheme, 3> scheme;
  std::array<const WinogradAxis<float>*, 3> transform;
  Axes size, count;       // elements of a transformed tile; tiles of an image
  int transformed = 0;    // axes
  index elements, parts;  // of a tile; of the kernel
  index tiles;            // of all images
  index strips, panels;   // of x's channels for each part of the kernel; of dy's channels
  index panel;
  index slices, block;          // of the tiles; each slice has a gradient of its own
  bool alone;                   // each slice of each group is a task; else all share one after the other
  index x_element, dy_element;  // between elements of a block's transforms, [strip or panel][element][tile][channel]
  index region_strips, region_panels;  // of the products that a task sums over a block: they stay in the L2 cache
  index run;                           // tiles of a row that are transformed together

  index rows() const { return parts * strips; }  // strips of the products
  index regions() const { return divide_up(rows(), region_strips) * divide_up(panels, region_panels); }
  index block_size() const { return elements * (rows() * x_element + panels * dy_element); }
  index sums_element() const;
  index sums_size() const { return elements * sums_element(); }
  index small_size() const;  // of each of three arrays for tiles on their way
};

}  // namespace pcx
