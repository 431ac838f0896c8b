// The contract of every kernel. A kernel checks nothing: sizes were checked by base/shape, blocks are cut by ops.
// Pointers need no alignment; outputs never overlap inputs. Strides count elements.
#pragma once
#include <cstdint>

namespace pcx {

using index = std::int64_t;

// A row of output pixels times one panel of output channels:
//   y[p][k] (+)= sum over i < depth of x[offsets[i] + p] * w[i][k],  then + bias[k], then max(0, .)
// A row of w has Kernels::width(columns) entries; those past `columns` are computed and not stored.
// Every sum runs over i in order, so a result depends neither on the length of the row nor on its neighbours.
template <class T>
struct ConvRow {
  const T* x;
  const std::int32_t* offsets;
  const T* w;
  T* y;
  const T* bias;  // or null
  index depth, pixels, y_stride;
  int columns;
  bool accumulate, relu;
};

// A rectangle of pixels contracted: dw[c][k] += sum over pixels of x[pixel][c] * dy[pixel][k], in pixel order.
// c < channels, k < columns <= panel.
template <class T>
struct PixelSum {
  const T* x;
  const T* dy;
  T* dw;
  index rows, cols;
  index x_row, x_pixel, dy_row, dy_pixel, dw_stride;
  int channels, columns;
};

enum class Difference { squared, absolute, chi2 };  // (a - b)^2, |a - b|, (a - b)^2 / (|a| + |b|) with 0 / 0 = 0

// d[r][c] = scale * sum over i < depth of the difference of a[r][i] and b[c][i], then its square root where asked.
// The sum of a pair depends on nothing but its two rows and the depth, and does not change when they are exchanged.
template <class T>
struct Distances {
  const T* a;
  const T* b;
  T* d;
  index rows, columns, depth;  // rows of a, rows of b
  index a_stride, b_stride, d_stride;
  Difference difference;
  T scale;
  bool root;
};

template <class T>
struct Kernels {
  int lanes;   // of a vector
  int panel;   // columns of a full weight panel, a multiple of lanes
  int narrow;  // so few columns are packed without padding
  void (*conv_row)(const ConvRow<T>& row);
  void (*pixel_sum)(const PixelSum<T>& sum);
  // to[c * to_stride + r] = from[r * from_stride + c]
  void (*transpose)(const T* from, index from_stride, T* to, index to_stride, index rows, index cols);
  void (*distances)(const Distances<T>& block);

  index width(index columns) const { return columns <= narrow ? columns : columns <= lanes ? lanes : panel; }
};

struct KernelTable {
  const char* isa;
  Kernels<float> f32;
  Kernels<double> f64;
};

extern const KernelTable scalar_table;
#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable avx2_table, avx512_table;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable neon_table;
#endif

}  // namespace pcx
