// How convolution by Fourier transforms cuts a problem: into blocks of positions, two of which go through one complex
// transform, and groups of channels.
#pragma once
#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

template <class T>
struct FourierPlan {
  FourierPlan(const Correlation& correlation, const Tiles& tiles);

  Correlation problem;       // with ascending taps
  Axes size, block, blocks;  // of a transform; positions of a block; blocks
  index elements;            // of a transform
  index pairs;               // of blocks of one picture
  index groups, bundles;     // that a task does together; such tasks
  index in_planes;           // of a task: channels
  index out_planes;          // that are held at a time
  index imaginary, plane;    // from real to imaginary parts, and from channel to channel
  bool in_place;             // one channel to one

  index in_channels() const { return problem.groups * problem.in_channels; }
  index out_channels() const { return problem.groups * problem.out_channels; }
  index spectrum() const { return 2 * elements * problem.in_channels; }                // elements, for one out channel
  index scratch() const { return (in_planes + (in_place ? 0 : out_planes)) * plane; }  // of a worker
  // As measured on an AVX2 processor: for one picture; for one channel of a pair of blocks, there or back.
  double cycles() const;
  double cycles_of_half() const;
};

// Places that the kernel spans.
inline index reach_of(const CorrelationAxis& axis) { return (axis.taps - 1) * std::abs(axis.tap_step) + 1; }

}  // namespace pcx
