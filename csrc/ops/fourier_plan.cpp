#include "ops/fourier_plan.h"

#include <algorithm>
#include <cstdlib>

#include "base/division.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index channels_at_once = 32;  // that are turned from pixels into planes: a line of float32
constexpr index line_bytes = 64;

// Cycles for a vector of complex numbers: a step, there or back; across the lanes, both ways; in from the picture and
// out again; a product. A row of a block, on its way; a block.
constexpr double step_cycles = 4.3, lanes_cycles = 21, moved_cycles = 13, product_cycles = 4, row_cycles = 50,
                 block_cycles = 1000;
constexpr index cached_bytes = 400 << 10;                     // of what a task holds; elsewhere a step takes longer
constexpr double beyond_cache = 1.2, far_byte_cycles = 0.16;  // and a product, whose spectra come from memory

int steps_of(index places) {
  int steps = 0;
  for (; places > 1; places /= places % 4 == 0 ? 4 : 2) ++steps;
  return steps;
}

}  // namespace

template <class T>
FourierPlan<T>::FourierPlan(const Correlation& correlation, const Tiles& tiles)
    : problem(ascending(correlation)), elements(1), pairs(1) {
  for (int a = 0; a < 3; ++a) {
    const CorrelationAxis& axis = problem.axis[a];
    size[a] = -tiles[a];
    block[a] = std::clamp<index>(size[a] - reach_of(axis) + 1, 1, std::max<index>(1, axis.positions));
    blocks[a] = divide_up(axis.positions, block[a]);
    elements *= size[a];
    pairs *= blocks[a];
  }
  pairs = divide_up(pairs, 2);
  in_place = problem.in_channels == 1 && problem.out_channels == 1;
  groups = std::clamp<index>(channels_at_once / std::max(problem.in_channels, problem.out_channels), 1, problem.groups);
  bundles = divide_up(problem.groups, groups);
  in_planes = groups * problem.in_channels;
  out_planes = std::min(groups * problem.out_channels, channels_at_once);
  imaginary = elements + line_bytes / static_cast<index>(sizeof(T));
  plane = imaginary + elements + 2 * line_bytes / static_cast<index>(sizeof(T));
}

template <class T>
double FourierPlan<T>::cycles_of_half() const {
  const double vectors = static_cast<double>(elements) / kernels<T>().lanes;
  const int steps = steps_of(size[0]) + steps_of(size[1]) + steps_of(size[2] / kernels<T>().lanes);
  const double far = scratch() * static_cast<index>(sizeof(T)) > cached_bytes ? beyond_cache : 1;
  return vectors * (far * (step_cycles * steps + moved_cycles / 2) + lanes_cycles / 2) +
         row_cycles * static_cast<double>(size[0] * size[1]) + block_cycles;
}

template <class T>
double FourierPlan<T>::cycles() const {
  const double vectors = static_cast<double>(elements) / kernels<T>().lanes;
  const bool far = problem.out_channels * spectrum() * static_cast<index>(sizeof(T)) > cached_bytes;
  const double in = static_cast<double>(problem.in_channels), out = static_cast<double>(problem.out_channels);
  const double product = far ? far_byte_cycles * 2 * kernels<T>().lanes * sizeof(T) : product_cycles;
  const double each = cycles_of_half() * (in + out) + (in_place ? 0 : vectors * product * in * out);
  return each * static_cast<double>(pairs * problem.groups);
}

template struct FourierPlan<float>;
template struct FourierPlan<double>;

}  // namespace pcx
