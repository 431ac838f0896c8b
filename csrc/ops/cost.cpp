// What a convolution costs, asked of the drivers that would run it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/division.h"
#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/fourier.h"
#include "ops/parts.h"
#include "ops/scatter.h"
#include "ops/weight_grad.h"
#include "ops/winograd.h"
#include "ops/winograd_weight_grad_plan.h"

namespace pcx {

namespace {

// By how much one axis enlarges rounding errors, as rms.
double axis_amplification(int tile, index kernel) {
  const WinogradAxis<float>* axis = winograd_axis_for<float>(tile, kernel);
  return axis ? std::sqrt(axis->amplification) : 1;
}

template <class T>
Work work_of(const Correlation& part, const Tiles& tiles, const Weight<T>& weight) {
  if (is_fourier(tiles)) return fourier_work<T>(part, tiles);
  if constexpr (sizeof(T) == 4) {
    if (tiles != Tiles{1, 1, 1}) return winograd_work(part, tiles, weight);
  }
  return depthwise_suits<T>(part) ? depthwise_work<T>(part) : correlate_work<T>(part, weight);
}

// The largest among the parts of a direction; a weight gradient slides tiles of dy: F(kernel, tile).
double amplification_of(const ConvShape& shape, Direction direction, const Tiles& tiles) {
  double most = 1;
  if (direction == Direction::weight_grad) {
    for (int a = 0; a < 3; ++a)
      most *= axis_amplification(winograd_weight_grad_scheme(tiles[a], shape, a).kernel, tiles[a]);
    return most;
  }
  for (const Correlation& part : parts_of(shape, direction, tiles)) {
    const Tiles own = part_tiles(part, tiles);
    if (is_fourier(own)) continue;
    double product = 1;
    for (int a = 0; a < 3; ++a) product *= axis_amplification(own[a], winograd_scheme(own[a], part.axis[a]).kernel);
    most = std::max(most, product);
  }
  return most;
}

// Of parts that are computed one after the other, so many pictures at a time by a thread; `all`: by their own.
template <class T>
Work work_in_turn(const ConvShape& shape, Direction direction, const Tiles& tiles, bool kept, index together,
                  const std::vector<Work>& all) {
  ConvShape some = shape;
  some.batch = together;
  const std::vector<Correlation> parts = parts_of(some, direction, tiles), whole = parts_of(shape, direction, tiles);
  Work work{0, 0, 0, 0, divide_up(shape.batch, together)};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Tiles own = part_tiles(parts[i], tiles);
    const bool by_turns = !kept && packs_by_turns<T>(whole[i], own);
    const Work part = work_of<T>(parts[i], own, {nullptr, by_turns, strides_of(shape, direction)});
    work.products += all[i].products;
    work.chain = std::max(work.chain, all[i].chain);
    work.scratch = std::max(work.scratch, part.shared + part.scratch);
  }
  return work;
}

}  // namespace

template <class T>
Cost cost_of(const ConvShape& shape, Direction direction, const Tiles& tiles, bool kept) {
  Cost cost;
  cost.amplification = amplification_of(shape, direction, tiles);
  if (direction == Direction::weight_grad) {
    cost.works = {weight_grad_work<T>(shape, tiles)};
    return cost;
  }
  if (tiles == Tiles{1, 1, 1} && scatter_suits<T>(shape, direction)) {
    cost.works = {scatter_work<T>(scatter_of(shape, direction))};
    cost.packed = scatter_packed_size<T>(scatter_of(shape, direction)) * index(sizeof(T));
    return cost;
  }
  const std::vector<Correlation> parts = parts_of(shape, direction, tiles);
  if (tiles == Tiles{1, 1, 1} && depthwise_together<T>(parts)) {
    cost.works = {depthwise_residues_work<T>(parts)};
    for (const Correlation& part : parts) cost.packed += part_packed_size<T>(part, tiles) * index(sizeof(T));
    return cost;
  }
  const WeightStrides strides = strides_of(shape, direction);
  for (const Correlation& part : parts) {
    const Tiles own = part_tiles(part, tiles);
    const bool by_turns = !kept && packs_by_turns<T>(part, own);
    cost.works.push_back(work_of<T>(part, own, {nullptr, by_turns, strides}));
    if (!by_turns) cost.packed += part_packed_size<T>(part, own) * index(sizeof(T));
  }
  const index together = pictures_together<T>(shape, direction, static_cast<index>(parts.size()));
  if (together < shape.batch) cost.works = {work_in_turn<T>(shape, direction, tiles, kept, together, cost.works)};
  return cost;
}

template Cost cost_of<float>(const ConvShape&, Direction, const Tiles&, bool);
template Cost cost_of<double>(const ConvShape&, Direction, const Tiles&, bool);

}  // namespace pcx
