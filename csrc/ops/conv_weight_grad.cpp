// Weight gradient: dw and db. (The choice between algorithms for this direction belongs here.)
#include <algorithm>
#include <stdexcept>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/ops.h"
#include "ops/parts.h"
#include "ops/weight_grad.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

// db = the sum of dy over all pixels: an outer product with a pixel that is always one. Slices as above.
template <class T>
void bias_grad(const ConvShape& s, const T* dy, T* db) {
  constexpr index slice_pixels = 4096;
  const Kernels<T>& k = kernels<T>();
  const index channels = s.out_channels, pixels = s.y_size() / channels, slices = divide_up(pixels, slice_pixels);
  Buffer<T> sums(slices * channels);
  std::fill_n(sums.data(), slices * channels, T(0));
  const T one = 1;
  const int workers = s.y_size() < (1 << 20) ? 1 : workers_for(slices);
  parallel_for(slices, workers, [&](index slice, int) {
    PixelSum<T> sum{};
    sum.x = &one;
    sum.rows = 1;
    sum.cols = std::min(slice_pixels, pixels - slice * slice_pixels);
    sum.dy_pixel = channels;
    sum.channels = 1;
    for (index c = 0; c < channels; c += k.panel) {
      sum.dy = dy + slice * slice_pixels * channels + c;
      sum.dw = sums.data() + slice * channels + c;
      sum.columns = static_cast<int>(std::min<index>(k.panel, channels - c));
      k.pixel_sum(sum);
    }
  });
  std::fill_n(db, channels, T(0));
  for (index slice = 0; slice < slices; ++slice) {
    for (index c = 0; c < channels; ++c) db[c] += sums.data()[slice * channels + c];
  }
}

template <class T>
void sums_of_products(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (tiles != Tiles{1, 1, 1} && winograd_weight_grad(shape, tiles, x, dy, dw)) return;
  }
  // Also where a sum was not finite: these know which of them are.
  if (const Correlation forward = forward_parts(shape)[0]; depthwise_suits<T>(forward))
    depthwise_weight_grad(forward, x, dy, dw);
  else
    direct_weight_grad(shape, x, dy, dw);
}

}  // namespace

template <class T>
Tiles weight_grad_tiles(const ConvShape& shape, Algorithm algorithm) {
  const char* obstacle =
      sizeof(T) != sizeof(float) ? "Winograd's algorithm is for float32" : winograd_weight_grad_obstacle(shape);
  if (algorithm == Algorithm::winograd && obstacle) throw std::invalid_argument(obstacle);
  if (obstacle) return {1, 1, 1};
  const Tiles tiles = winograd_weight_grad_tiles(shape);
  return algorithm == Algorithm::automatic && !winograd_weight_grad_pays(shape, tiles) ? Tiles{1, 1, 1} : tiles;
}

template Tiles weight_grad_tiles<float>(const ConvShape&, Algorithm);
template Tiles weight_grad_tiles<double>(const ConvShape&, Algorithm);

template <class T>
void conv_weight_grad(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw, T* db) {
  if (shape.y_size() == 0 || shape.x_size() == 0) {
    std::fill_n(dw, shape.w_size(), T(0));
  } else {
    sums_of_products(shape, tiles, x, dy, dw);
  }
  if (!db) return;
  if (shape.y_size() == 0)
    std::fill_n(db, shape.out_channels, T(0));
  else
    bias_grad(shape, dy, db);
}

template <class T>
Work weight_grad_work(const ConvShape& shape, const Tiles& tiles) {
  if (shape.y_size() == 0 || shape.x_size() == 0) return {};
  if (tiles != Tiles{1, 1, 1}) return winograd_weight_grad_work(shape, tiles);
  const Correlation forward = forward_parts(shape)[0];
  return depthwise_suits<T>(forward) ? depthwise_weight_grad_work<T>(forward) : direct_weight_grad_work<T>(shape);
}

template Work weight_grad_work<float>(const ConvShape&, const Tiles&);
template Work weight_grad_work<double>(const ConvShape&, const Tiles&);
template void conv_weight_grad(const ConvShape&, const Tiles&, const float*, const float*, float*, float*);
template void conv_weight_grad(const ConvShape&, const Tiles&, const double*, const double*, double*, double*);

}  // namespace pcx
