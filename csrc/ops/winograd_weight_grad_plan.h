// How Winograd's algorithm cuts a weight gradient: a tile of dy slides over a tile of x and gives `kernel` sums on each
// axis, F(kernel, tile). Each element of the two transforms is a matrix product over tiles.
#pragma once
#include "isa/dispatch.h"
#include "ops/weight_grad.h"
#include "ops/winograd_plan.h"

namespace pcx {

// As WinogradScheme with F(kernel, tile): a part of the kernel, some with taps too many, has transforms of x of its
// own. What the last element of a transform gives is the last tap alone, so short parts do without it.
WinogradScheme winograd_weight_grad_scheme(int tile, const ConvShape& shape, int axis);

struct WinogradWeightGradPlan {
  WinogradWeightGradPlan(const ConvShape& shape, const Tiles& tiles_on);

  ConvShape s;
  std::array<WinogradScheme, 3> scheme;
  std::array<const WinogradAxis<float>*, 3> transform;
  Axes spacing;  // of a tile's positions: a dilated axis is taken apart into dense ones, whose tiles follow one another
  Axes size, count, row;  // elements of a transformed tile; tiles of an image; those of one dense axis
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

  // The first position in dy of a tile on axis a, and the number of tiles from this one to the end of its row.
  index first_position(int a, index tile) const { return tile / row[a] + tile % row[a] * scheme[a].tile * spacing[a]; }
  index row_left(index tile) const { return row[2] - tile % row[2]; }
  Axes part_of(index strip_row) const;
  bool is_zero(index strip_row, index element) const;  // of no use: a short part's last element

  index rows() const { return parts * strips; }  // strips of the products
  index regions() const { return divide_up(rows(), region_strips) * divide_up(panels, region_panels); }
  index block_size() const { return elements * (rows() * x_element + panels * dy_element); }
  double products() const;  // of a tile, for each channel of x and of dy
  index sums_element() const;
  index sums_size() const { return elements * sums_element(); }
  index small_size() const;  // of each of three arrays for tiles on their way
};

}  // namespace pcx
