// Levels of a picture on one canvas: the picture itself, then each level shrunk from the one before, bilinearly and
// corner on corner, straight from its place to the next one's. Plain loops: memory, not arithmetic, takes the time.
#include <algorithm>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index rgb = 3;
constexpr index rows_a_task = 16;
constexpr index parallel_size = 1 << 14;  // pixels; fewer are done by one thread

// Of each new position the old ones before and after it, and how far it is towards the second.
struct Taps {
  Buffer<index> before, after;
  Buffer<float> part;
  index last;
  double step;

  Taps(index old_size, index new_size)
      : before(new_size),
        after(new_size),
        part(new_size),
        last(old_size - 1),
        step(static_cast<double>(last) / static_cast<double>(std::max<index>(new_size - 1, 1))) {
    for (index i = 0; i < new_size; ++i) set(i, static_cast<double>(i) * step);
  }

  template <class Real>
  void set(index i, Real position) {
    const index first = std::min(static_cast<index>(position), last);
    before.data()[i] = first;
    after.data()[i] = std::min(first + 1, last);
    part.data()[i] = static_cast<float>(position - static_cast<Real>(first));
  }
};

// Taps of columns, where the reference has them: four at a time, positions summed up in float32, as far as all four
// have a neighbour on their right. The sums drift, in pictures of 8000 pixels across by a third of a pixel: enough to
// move boxes.
Taps taps_of_columns(index old_size, index new_size) {
  Taps taps(old_size, new_size);
  constexpr index lanes = 4;
  const float four = static_cast<float>(lanes * taps.step);
  float x[lanes];
  for (index lane = 0; lane < lanes; ++lane)
    x[lane] = static_cast<float>(static_cast<double>(lane - lanes) * taps.step);
  for (index i = 0; i < new_size; i += lanes) {
    for (index lane = 0; lane < lanes; ++lane) x[lane] += four;
    if (static_cast<index>(x[lanes - 1]) + 1 >= old_size) break;
    for (index lane = 0; lane < std::min(lanes, new_size - i); ++lane) taps.set(i + lane, x[lane]);
  }
  return taps;
}

template <class Body>  // body(first row, end, worker)
void each_band(const Tile& tile, int workers, Body&& body) {
  parallel_for(divide_up(tile.height, rows_a_task), workers, [&](index task, int worker) {
    body(task * rows_a_task, std::min((task + 1) * rows_a_task, tile.height), worker);
  });
}

int workers_of(const Tile& tile) {
  return tile.height * tile.width < parallel_size ? 1 : workers_for(divide_up(tile.height, rows_a_task));
}

void lerp(const float* a, const float* b, float part, float* y, index count) {
  for (index i = 0; i < count; ++i) y[i] = a[i] + (b[i] - a[i]) * part;
}

}  // namespace

void paint_picture(const std::uint8_t* picture, const float* levels, const Tile& tile, float* canvas, index width) {
  each_band(tile, workers_of(tile), [&](index first, index end, int) {
    for (index row = first; row < end; ++row) {
      const std::uint8_t* from = picture + row * tile.width * rgb;
      float* to = canvas + ((tile.top + row) * width + tile.left) * rgb;
      for (index i = 0; i < tile.width * rgb; i += rgb)
        for (index c = 0; c < rgb; ++c) to[i + c] = levels[c * 256 + from[i + c]];
    }
  });
}

void shrink_level(const Tile& from, const Tile& to, float* canvas, index width) {
  const Taps rows(from.height, to.height), columns = taps_of_columns(from.width, to.width);
  const int workers = workers_of(to);
  const index line = from.width * rgb;
  const Buffer<float> lines(line * workers);
  auto row_of = [&](const Tile& tile, index row) { return canvas + ((tile.top + row) * width + tile.left) * rgb; };
  each_band(to, workers, [&](index first, index end, int worker) {
    float* between = lines.data() + line * worker;
    for (index row = first; row < end; ++row) {
      lerp(row_of(from, rows.before.data()[row]), row_of(from, rows.after.data()[row]), rows.part.data()[row], between,
           line);
      float* y = row_of(to, row);
      for (index i = 0; i < to.width; ++i)
        lerp(between + columns.before.data()[i] * rgb, between + columns.after.data()[i] * rgb, columns.part.data()[i],
             y + i * rgb, rgb);
    }
  });
}

}  // namespace pcx
