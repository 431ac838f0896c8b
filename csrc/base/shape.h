// What a convolution is, once its rank is erased: 1D and 2D are 3D with unit axes in front.
// Tensors are channels-last: x (batch, in, in_channels), w (kernel, in_channels / groups, out_channels),
// y (batch, out, out_channels). Axis order is depth, height, width.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace pcx {

using Axes = std::array<std::int64_t, 3>;

// Sizes that do not fit together or do not fit in memory; the binding turns it into pyconvx.ShapeError.
struct ShapeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// The one output-size formula: floor((in + before + after - dilation (kernel - 1) - 1) / stride) + 1, or 0 where the
// kernel does not fit.
std::int64_t output_size(std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                         std::int64_t before, std::int64_t after);

// The product of non-negative sizes, or ShapeError where it is more than can be addressed.
std::int64_t checked_product(const char* what, std::initializer_list<std::int64_t> sizes);

struct ConvShape {
  std::int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  Axes in{}, kernel{}, stride{}, dilation{}, pad_before{}, pad_after{};
  Axes out{};  // derived

  // Fills `out` and checks that every index which the kernels form stays inside its array.
  void finish();

  std::int64_t group_in() const { return in_channels / groups; }
  std::int64_t group_out() const { return out_channels / groups; }
  std::int64_t x_size() const { return batch * in[0] * in[1] * in[2] * in_channels; }
  std::int64_t y_size() const { return batch * out[0] * out[1] * out[2] * out_channels; }
  std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  std::int64_t w_size() const { return taps() * group_in() * out_channels; }
};

// Pooling: x (batch, in, channels), y (batch, out, channels). Tap t of window o reads x at o stride - before + t
// dilation; taps outside x are left out, and every window has a tap inside.
struct PoolShape {
  std::int64_t batch = 0, channels = 0;
  Axes in{}, kernel{}, stride{}, dilation{}, pad_before{}, pad_after{};
  bool ceil_mode = false;  // a last window may reach past the padding, if it starts before the padding at the end
  Axes out{};              // derived

  // Fills `out` and checks what ConvShape::finish checks, and that no window lies beside x.
  void finish();

  std::int64_t x_size() const { return batch * in[0] * in[1] * in[2] * channels; }
  std::int64_t y_size() const { return batch * out[0] * out[1] * out[2] * channels; }
  std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int index_bytes() const { return taps() <= 1 << 8 ? 1 : taps() <= 1 << 16 ? 2 : 4; }  // of a position in a window
};

}  // namespace pcx
