// A convolution seen from what it reads: a pixel of x times the weights of all taps is a row of partial results, and
// each of them is added where its tap leads. That is one matrix product over the pixels of x as they stand, and sums
// of its columns. It computes no tap in the padding and reads every pixel once, so it serves few output channels, small
// pictures, and strided input gradients.
#pragma once
#include <array>
#include <vector>

#include "isa/dispatch.h"
#include "ops/correlation.h"

namespace pcx {

struct ScatterAxis {
  index in, out;                    // extents of x and y
  index first, step;                // pixel q, tap t leads to y at first + q * step + t * tap_step
  index taps, tap_step;             //   (tap_step > 0)
  index kernel_first, kernel_step;  // tap t is entry kernel_first + t * kernel_step of the kernel

  index reach() const { return (taps - 1) * tap_step; }
};

struct Scatter {
  index batch, groups, in_channels, out_channels;  // channels of one group
  std::array<ScatterAxis, 3> axis;
  bool planar = false;  // neighbouring pixels lie in lanes, and each partial result in a plane of its own

  index pixels() const { return axis[0].in * axis[1].in * axis[2].in; }
  index tap_rows() const { return axis[0].taps * axis[1].taps; }
  index row_columns() const { return axis[2].taps * out_channels; }  // partial results of one row of taps
  index in_pixel() const { return groups * in_channels; }            // elements of a pixel of x
  index out_pixel() const { return groups * out_channels; }
};

Scatter scatter_of(const ConvShape& shape, Direction direction);
// Whether planes are the faster form: by the shape of one picture alone.
bool scatter_in_planes(const Scatter& problem);

// Whether scatter_of describes this convolution, and whether it is the faster of the direct ways: by the shape of one
// picture alone.
bool scatter_can(const ConvShape& shape, Direction direction);
template <class T>
bool scatter_suits(const ConvShape& shape, Direction direction);

// A step of `step` pixels of y in its last axis is a cell: what neighbouring taps of a pixel lead to lies together.
// Where taps are not neighbours, each residue of their place in a cell has a phase of its own; in planes each residue
// and channel has.
struct ScatterTerm {
  index column, cells;  // the first of its columns, in a row of taps; how far before the cell the pixel of x stands
};
struct ScatterPhase {
  index pixel, channel, length;    // where its elements begin in a cell, how many there are
  std::vector<ScatterTerm> terms;  // of `length` columns each
  ScatterTerm part{};              // a last term that has less
  index part_length = 0;
};

// Rows of taps whose partial results are computed together.
struct ScatterPass {
  index first, rows, columns, width, packed;  // width: columns up to whole vectors; packed: where its weight begins
  bool over_lanes;                            // few columns, each of them summed over lanes
};

struct ScatterPlan {
  std::vector<ScatterPass> passes;
  std::vector<ScatterPhase> phases;
  index reach = 0;              // cells further that taps lead, at most
  index gap = 0;                // zeros between two rows of pixels; in planes sums run on into them by whole vectors
  index longest = 0;            // elements of a phase in a cell
  index cell = 0;               // those that a cell of one phase has room for: whole vectors, or one
  index stride = 0;             // of a row of partial results
  index chunk = 0, packed = 0;  // channels of x summed in registers; elements of a group's packed weight

  template <class T>
  static ScatterPlan of(const Scatter& problem);
  bool apart(const Scatter& problem) const;  // no two taps lead to the same pixel of y: nothing is summed
  // Whose vectors cells are.
  template <class T>
  const Kernels<T>& cell_kernels(const Scatter& problem) const {
    return problem.planar ? kernels<T>() : kernels_for<T>(longest);
  }
};

template <class T>
index scatter_packed_size(const Scatter& problem);
template <class T>
void scatter_pack(const Scatter& problem, const T* w, const WeightStrides& strides, T* packed);

template <class T>
Work scatter_work(const Scatter& problem);
template <class T>
void scatter(const Scatter& problem, const T* x, const T* packed, const T* bias, bool relu, T* y);

}  // namespace pcx
