// What a convolution costs, asked of the drivers that would run it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/parts.h"
#include "ops/weight_grad.h"
#include "ops/winograd.h"
#include "ops/winograd_pass.h"

namespace pcx {

namespace {

using Matrix = std::vector<double>;

// A transform as a matrix: what it makes of the unit vectors, which are the channels of one line.
Matrix matrix_of(void (*transform)(const TransformPass<double>&), index inputs, index outputs) {
  Matrix units(static_cast<std::size_t>(inputs * inputs)), result(static_cast<std::size_t>(outputs * inputs));
  for (index i = 0; i < inputs; ++i) units[static_cast<std::size_t>(i * inputs + i)] = 1;
  TransformPass<double> pass{};
  pass.in = units.data();
  pass.out = result.data();
  pass.in_step = pass.out_step = pass.channels = inputs;
  pass.outer = pass.inner = 1;
  transform(pass);
  return result;
}

double square_sum(const double* values, index count, index step) {
  double sum = 0;
  for (index i = 0; i < count; ++i) sum += values[i * step] * values[i * step];
  return sum;
}

// By how much one axis enlarges rounding errors, as rms: output j of the transformed product has an error in proportion
// to the norms of row j of the filter's and of the input's transform, and reaches the result by column j of the last.
double axis_amplification(int tile, index kernel) {
  const WinogradAxis<double>* axis = winograd_axis_for<double>(tile, kernel);
  if (!axis) return 1;
  const index size = axis->size();
  const Matrix filter = matrix_of(axis->filter, kernel, size), input = matrix_of(axis->input, size, size);
  const Matrix output = matrix_of(axis->output, size, tile);
  double sum = 0;
  for (index j = 0; j < size; ++j) {
    sum += square_sum(&filter[static_cast<std::size_t>(j * kernel)], kernel, 1) *
           square_sum(&input[static_cast<std::size_t>(j * size)], size, 1) *
           square_sum(&output[static_cast<std::size_t>(j)], tile, size);
  }
  return std::sqrt(sum / static_cast<double>(tile * kernel));
}

template <class T>
Work work_of(const Correlation& part, const Tiles& tiles) {
  if constexpr (sizeof(T) == 4) {
    if (tiles != Tiles{1, 1, 1}) return winograd_work(part, tiles);
  }
  return depthwise_suits<T>(part) ? depthwise_work<T>(part) : correlate_work<T>(part);
}

template <class T>
index elements_packed(const Correlation& part, const Tiles& tiles) {
  if (tiles != Tiles{1, 1, 1}) return winograd_packed_size(part, tiles);
  return depthwise_suits<T>(part) ? depthwise_packed_size<T>(part) : packed_size<T>(part);
}

}  // namespace

template <class T>
Cost cost_of(const ConvShape& shape, Direction direction, const Tiles& tiles) {
  Cost cost;
  for (int a = 0; a < 3; ++a) {
    if (tiles[a] == 1) continue;
    const int taps = static_cast<int>(shape.kernel[a]);  // a weight gradient slides tiles of dy: F(kernel, tile)
    cost.amplification *= direction == Direction::weight_grad
                              ? axis_amplification(taps, tiles[a])
                              : axis_amplification(tiles[a], winograd_scheme(tiles[a], taps).kernel);
  }
  if (direction == Direction::weight_grad) {
    cost.work = weight_grad_work<T>(shape, tiles);
    return cost;
  }
  for (const Correlation& part : parts_of(shape, direction)) {  // one after the other
    const Work work = work_of<T>(part, tiles);
    cost.work.products += work.products;
    cost.work.chain = std::max(cost.work.chain, work.chain);
    cost.work.shared = std::max(cost.work.shared, work.shared);
    cost.work.scratch = std::max(cost.work.scratch, work.scratch);
    cost.work.workers = std::max(cost.work.workers, work.workers);
    cost.packed += elements_packed<T>(part, tiles) * index(sizeof(T));
  }
  return cost;
}

template Cost cost_of<float>(const ConvShape&, Direction, const Tiles&);
template Cost cost_of<double>(const ConvShape&, Direction, const Tiles&);

}  // namespace pcx
