// Weight gradient: dw and db. (The choice between algorithms for this direction belongs here.)
#include <algorithm>
#include <stdexcept>

#include "ops/depthwise.h"
#include "ops/ops.h"
#include "ops/parts.h"
#include "ops/weight_grad_cut.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

// A 1x1 kernel does not care about rows and pictures: where rows are short, all pixels become one signal.
ConvShape flattened(ConvShape s) {
  constexpr index short_row = 32;
  if (s.out[2] >= short_row) return s;
  for (int a = 0; a < 3; ++a) {
    if (s.kernel[a] != 1 || s.stride[a] != 1 || s.in[a] != s.out[a]) return s;
  }
  s.in = s.out = {1, 1, s.batch * s.in[0] * s.in[1] * s.in[2]};
  s.batch = 1;
  return s;
}

template <class T>
void sums_of_products(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw, T* db) {
  bool done = false;
  if constexpr (sizeof(T) == sizeof(float)) {
    done = tiles != Tiles{1, 1, 1} && winograd_weight_grad(shape, tiles, x, dy, dw);
  }
  // Also where a sum was not finite: these know which of them are.
  if (!done && !groups_share_lanes<T>(shape)) return direct_weight_grad(shape, x, dy, dw, db);
  if (!done) depthwise_weight_grad(forward_parts(shape)[0], x, dy, dw);
  if (db) bias_grad(shape, dy, db);
}

}  // namespace

template <class T>
Tiles weight_grad_tiles(const ConvShape& shape, Algorithm algorithm) {
  const char* obstacle =
      sizeof(T) != sizeof(float) ? "Winograd's algorithm is for float32" : winograd_weight_grad_obstacle(shape);
  if (algorithm == Algorithm::fft) throw std::invalid_argument("Fourier transforms give no weight gradient here");
  if (algorithm == Algorithm::winograd && obstacle) throw std::invalid_argument(obstacle);
  if (obstacle) return {1, 1, 1};
  const Tiles tiles = winograd_weight_grad_tiles(shape);
  return algorithm == Algorithm::automatic && !winograd_weight_grad_pays(shape, tiles) ? Tiles{1, 1, 1} : tiles;
}

template Tiles weight_grad_tiles<float>(const ConvShape&, Algorithm);
template Tiles weight_grad_tiles<double>(const ConvShape&, Algorithm);

template <class T>
void conv_weight_grad(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw, T* db) {
  if (shape.y_size() > 0 && shape.x_size() > 0) return sums_of_products(flattened(shape), tiles, x, dy, dw, db);
  std::fill_n(dw, shape.w_size(), T(0));
  if (!db) return;
  if (shape.y_size() == 0)
    std::fill_n(db, shape.out_channels, T(0));
  else
    bias_grad(shape, dy, db);
}

template <class T>
Work weight_grad_work(const ConvShape& given, const Tiles& tiles) {
  if (given.y_size() == 0 || given.x_size() == 0) return {};
  const ConvShape shape = flattened(given);
  if (tiles != Tiles{1, 1, 1}) return winograd_weight_grad_work(shape, tiles);
  return groups_share_lanes<T>(shape) ? depthwise_weight_grad_work<T>(forward_parts(shape)[0])
                                      : direct_weight_grad_work<T>(shape);
}

template Work weight_grad_work<float>(const ConvShape&, const Tiles&);
template Work weight_grad_work<double>(const ConvShape&, const Tiles&);
template void conv_weight_grad(const ConvShape&, const Tiles&, const float*, const float*, float*, float*);
template void conv_weight_grad(const ConvShape&, const Tiles&, const double*, const double*, double*, double*);

}  // namespace pcx
