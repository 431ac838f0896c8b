#include "base/shape.h"

#include <algorithm>

namespace pcx {

namespace {
// Elements; offsets are formed in 64 bits from sums of a few such products, of at most 8 bytes each.
constexpr std::int64_t limit = std::int64_t{1} << 56;
}  // namespace

std::int64_t checked_product(const char* what, std::initializer_list<std::int64_t> sizes) {
  std::int64_t product = 1;
  for (std::int64_t size : sizes) {
    if (size < 0) throw ShapeError(std::string(what) + ": a size is negative");
    if (__builtin_mul_overflow(product, size, &product) || product > limit) {
      throw ShapeError(std::string(what) + ": the product of its sizes is more than this machine can address");
    }
  }
  return product;
}

std::int64_t output_size(std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                         std::int64_t before, std::int64_t after) {
  const std::int64_t span = in + before + after - dilation * (kernel - 1) - 1;
  return span < 0 ? 0 : span / stride + 1;
}

void ConvShape::finish() {
  if (groups < 1 || in_channels < 0 || out_channels < 0 || in_channels % groups || out_channels % groups) {
    throw ShapeError("groups must divide in_channels and out_channels");
  }
  for (int a = 0; a < 3; ++a) {
    for (std::int64_t size : {in[a], pad_before[a], pad_after[a], kernel[a], stride[a], dilation[a]}) {
      if (size < 0 || size > limit) throw ShapeError("a size, padding, stride or dilation is out of range");
    }
    if (kernel[a] < 1 || stride[a] < 1 || dilation[a] < 1) {
      throw ShapeError("kernel size, stride and dilation must be at least 1");
    }
    checked_product("dilated kernel", {kernel[a], dilation[a]});
    out[a] = output_size(in[a], kernel[a], stride[a], dilation[a], pad_before[a], pad_after[a]);
  }
  checked_product("x", {batch, in[0], in[1], in[2], in_channels});
  checked_product("w", {kernel[0], kernel[1], kernel[2], in_channels, out_channels});
  checked_product("y", {batch, out[0], out[1], out[2], out_channels});
}

namespace {

std::int64_t pooled_size(const PoolShape& s, int a) {
  const std::int64_t reach = s.dilation[a] * (s.kernel[a] - 1) + 1, padded = s.in[a] + s.pad_before[a];
  const std::int64_t room = padded + s.pad_after[a] - reach;
  if (!s.ceil_mode) return room < 0 ? 0 : room / s.stride[a] + 1;
  if (room <= -s.stride[a]) return 0;
  const std::int64_t count = (room + s.stride[a] - 1) / s.stride[a] + 1;
  return (count - 1) * s.stride[a] >= padded ? count - 1 : count;
}

// A window begins before the end of x; its first tap at or after the beginning of x must come before that end, too.
bool window_has_tap(const PoolShape& s, int a, std::int64_t window) {
  const std::int64_t start = window * s.stride[a] - s.pad_before[a], dilation = s.dilation[a];
  const std::int64_t tap = start < 0 ? (-start + dilation - 1) / dilation : 0;
  return tap < s.kernel[a] && start + tap * dilation < s.in[a];
}

}  // namespace

void PoolShape::finish() {
  if (channels < 0) throw ShapeError("a size is negative");
  for (int a = 0; a < 3; ++a) {
    for (std::int64_t size : {in[a], pad_before[a], pad_after[a], kernel[a], stride[a], dilation[a]}) {
      if (size < 0 || size > limit) throw ShapeError("a size, padding, stride or dilation is out of range");
    }
    if (kernel[a] < 1 || stride[a] < 1 || dilation[a] < 1) {
      throw ShapeError("kernel size, stride and dilation must be at least 1");
    }
    checked_product("dilated window", {kernel[a], dilation[a]});
    out[a] = pooled_size(*this, a);
  }
  checked_product("x", {batch, in[0], in[1], in[2], channels});
  checked_product("y", {batch, out[0], out[1], out[2], channels});
  if (checked_product("window", {kernel[0], kernel[1], kernel[2]}) > std::int64_t{1} << 32) {
    throw ShapeError("a window has more than 2^32 positions");
  }
  if (y_size() == 0) return;
  for (int a = 0; a < 3; ++a) {
    const std::int64_t early = std::min(out[a], pad_before[a] / stride[a] + 1);  // later windows start inside x
    for (std::int64_t window = 0; window < early; ++window) {
      if (!window_has_tap(*this, a, window)) throw ShapeError("a window lies beside x: pad less, or dilate less");
    }
    if (out[a] * stride[a] - stride[a] - pad_before[a] >= in[a]) throw ShapeError("a window starts after the end of x");
  }
}

}  // namespace pcx
