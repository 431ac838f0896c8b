// Runs the parts of a direction: all pictures part by part, or some pictures at a time.
#include <algorithm>
#include <stdexcept>

#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "ops/depthwise.h"
#include "ops/fourier.h"
#include "ops/parts.h"
#include "ops/scatter.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

template <class T>
std::vector<index> run_part(const Correlation& part, const Tiles& tiles, const T* x, const Weight<T>& w, const T* bias,
                            bool relu, T* y) {
  if (is_fourier(tiles)) return fourier_correlate(part, tiles, x, w.data, bias, relu, y);
  if constexpr (sizeof(T) == 4) {
    if (tiles != Tiles{1, 1, 1}) return winograd_correlate(part, tiles, x, w, bias, relu, y);
  }
  depthwise_suits<T>(part) ? depthwise(part, x, w.data, bias, relu, y) : correlate(part, x, w, bias, relu, y);
  return {};
}

}  // namespace

template <class T>
index pictures_together(const ConvShape& shape, Direction direction, index parts) {
  constexpr index near_bytes = 2 << 20;  // of x and y: in the second cache, or hardly out of it
  constexpr index least_tasks = 16;      // enough to share out
  const index bytes = (shape.x_size() + shape.y_size()) * static_cast<index>(sizeof(T));
  const bool once = parts == 1 && (direction == Direction::forward || reaches_everything(shape));
  if (once || parts == 0 || bytes <= far_bytes) return shape.batch;
  const index each = std::max<index>(1, near_bytes / divide_up(bytes, shape.batch));
  return divide_up(shape.batch, each) < least_tasks ? shape.batch : each;
}

namespace {

// Some of the pictures, part by part. Returns which of them Winograd's algorithm or a Fourier transform cannot do.
template <class T>
std::vector<index> run_pictures(const ConvShape& shape, const T* x, const PackedWeight<T>& w, const T* bias, bool relu,
                                T* y) {
  const std::vector<Correlation> parts = parts_of(shape, w.direction, w.tiles);
  const WeightStrides strides = strides_of(shape, w.direction);
  if (w.direction == Direction::input_grad && !reaches_everything(shape)) fill_unreached(shape, bias, relu, y);
  std::vector<index> not_finite;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Tiles tiles = part_tiles(parts[i], w.tiles);
    const bool by_turns = w.parts[i] == not_packed;
    const Weight<T> own{by_turns ? w.lent : w.data.data() + w.parts[i], by_turns, strides};
    for (index image : run_part(parts[i], tiles, x, own, bias, relu, y)) {
      if (std::find(not_finite.begin(), not_finite.end(), image) == not_finite.end()) not_finite.push_back(image);
    }
  }
  return not_finite;
}

// So many pictures at a time, each time by one thread.
template <class T>
std::vector<index> run_in_turn(const ConvShape& shape, index together, const T* x, const PackedWeight<T>& w,
                               const T* bias, bool relu, T* y) {
  const bool forward = w.direction == Direction::forward;
  const index from = (forward ? shape.x_size() : shape.y_size()) / shape.batch;
  const index to = (forward ? shape.y_size() : shape.x_size()) / shape.batch;
  const index tasks = divide_up(shape.batch, together);
  std::vector<std::vector<index>> of_task(static_cast<std::size_t>(tasks));
  parallel_for(tasks, workers_for(tasks), [&](index task, int) {
    const index first = task * together;
    ConvShape some = shape;
    some.batch = std::min(together, shape.batch - first);
    of_task[static_cast<std::size_t>(task)] = run_pictures(some, x + first * from, w, bias, relu, y + first * to);
  });
  std::vector<index> not_finite;
  for (index task = 0; task < tasks; ++task) {
    for (index image : of_task[static_cast<std::size_t>(task)]) not_finite.push_back(task * together + image);
  }
  return not_finite;
}

}  // namespace

template <class T>
std::vector<index> run_parts(const ConvShape& shape, Direction direction, const T* x, const PackedWeight<T>& w,
                             const T* bias, bool relu, T* y) {
  if (!serves(w, shape, direction)) {
    throw std::invalid_argument("the packed weight was made for another instruction set, direction or shape");
  }
  if (scattered(w)) {
    scatter(scatter_of(shape, direction), x, w.data.data(), bias, relu, y);
    return {};
  }
  if (w.tiles == Tiles{1, 1, 1} && w.parts.size() > 1) {
    const std::vector<Correlation> parts = parts_of(shape, direction);
    if (depthwise_together<T>(parts)) {
      std::vector<const T*> packed;
      for (index part : w.parts) packed.push_back(w.data.data() + part);
      if (!reaches_everything(shape)) fill_unreached(shape, bias, relu, y);
      depthwise_residues(parts, x, packed, bias, relu, y);
      return {};
    }
  }
  const index together = pictures_together<T>(shape, direction, static_cast<index>(w.parts.size()));
  return together < shape.batch ? run_in_turn(shape, together, x, w, bias, relu, y)
                                : run_pictures(shape, x, w, bias, relu, y);
}

template index pictures_together<float>(const ConvShape&, Direction, index);
template index pictures_together<double>(const ConvShape&, Direction, index);
template std::vector<index> run_parts(const ConvShape&, Direction, const float*, const PackedWeight<float>&,
                                      const float*, bool, float*);
template std::vector<index> run_parts(const ConvShape&, Direction, const double*, const PackedWeight<double>&,
                                      const double*, bool, double*);

}  // namespace pcx
