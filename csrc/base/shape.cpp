#include "base/shape.h"

namespace pcx {

namespace {
// Elements; offsets are formed in 64 bits from sums of a few such products, of at most 8 bytes each.
constexpr std::int64_t limit = std::int64_t{1} << 56;
}  // namespace

std::int64_t checked_product(const char* what, std::initializer_list<std::int64_t> sizes) {
  std::int64_t product = 1;
  for (std::int64_t size : sizes) {
    if (size < 0) throw ShapeError(std::string(what) + ": a size is negative");
    if (size != 0 && product > limit / size) {
      throw ShapeError(std::string(what) + ": the product of its sizes is more than this machine can address");
    }
    product *= size;
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

}  // namespace pcx
