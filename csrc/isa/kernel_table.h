// The contract of every kernel. A kernel checks nothing: sizes were checked by base/shape, blocks are cut by ops.
// Pointers need no alignment; outputs never overlap inputs. Strides count elements.
#pragma once
#include "isa/fourier_steps.h"
#include "isa/pool_rows.h"
#include "isa/winograd_passes.h"

namespace pcx {

// A row of output pixels times one panel of output channels:
//   y[p][k] (+)= sum over i < depth of x[offsets[i] + p] * w[i * w_stride + k],  then + bias[k], then max(0, .)
// with y[p][k] at y + p * y_stride + k; or, in planes, which have neither bias nor relu, at y + p + k * y_stride.
// Every sum runs over i in order, so a result depends neither on the length of the row nor on its neighbours.
template <class T>
struct ConvRow {
  const T* x;
  const std::int32_t* offsets;
  const T* w;
  T* y;
  const T* bias;  // or null
  index depth, pixels, w_stride, y_stride;
  int columns;
  bool accumulate, relu, planes;
};

// Rows of a matrix times one panel of another, the products of Winograd's convolution:
//   y[r][k] (+)= sum over i < depth of x[r * x_stride + i] * w[i][k],  k < width, which is lanes or panel; from
// `columns` on y has any number.
// Every sum runs over i in order, so a result does not depend on the number of rows. Meanwhile w[ahead] and what
// follows is fetched.
template <class T>
struct PanelProduct {
  const T* x;
  const T* w;
  T* y;
  index depth, rows, x_stride, y_stride;
  index width, columns;
  bool accumulate;
  index ahead;
};

// Rows of channels, one after the other in memory, and the gradient of what became of them:
//   y = x * scale + shift, then max(0, .) if relu; g = dy where that let y through (y above zero or NaN), else +0
template <class T>
struct ChannelGrad {
  const T* x;
  const T* dy;
  const T* mean;  // of each channel, as are
  const T* scale;
  const T* shift;
  index rows, channels;
  bool relu;
};

// `length` elements that lie together in memory, from `start` on; so many rows of weights before theirs are left out.
struct Run {
  index start, length, skip = 0;
};

// Output pixels, wherever they stand, times one panel of output channels; a pixel reads runs of x:
//   y[y_at[p] + k] (+)= sum over runs r, i < r.length of x[x_at[p] + r.start + i] * w[(r, i)][k],  then + bias[k],
//   then max(0, .)
// w has a row of whole_width(columns) entries for each (r, i), in order, beside those that runs leave out; those past
// `columns` are computed and not stored. Sums that are not complete yet go to sums[p][k] instead,
// or sums[sums_at[p]][k], whole_width(columns) apart, from where they are resumed: their products are then added in the
// same order as in one call. Where over_lanes, there is none of this; w has `columns` vectors for every `lanes`
// elements of a run, with zeros where the run ends within them, and a row is as long as `columns`; each lane sums its
// own elements; adding the lanes up takes as long as 16 products of a column, or less where all is one short run. A
// result depends neither on the pixel's place in the list nor on the other pixels.
template <class T>
struct ConvPixels {
  const T* x;
  const index* x_at;
  const Run* runs;
  const T* w;
  T* y;
  const index* y_at;
  const T* bias;  // or null
  index pixels, run_count;
  int columns;
  bool over_lanes, accumulate, relu;
  // Where what is stored next ends, from the first of these columns, if it is to be fetched; or 0. And whether the next
  // elements of a pixel, as many as its run, are to be fetched where over_lanes; and whether y is stored past the
  // caches, where the columns of each pixel are whole lines of memory.
  index y_next_end;
  bool fetch_x, streamed;
  bool resumed, incomplete;
  T* sums;
  const index* sums_at;  // or null
};

// Rows of partial results, each added to the cell that it belongs to:
//   y[m * y_stride + k] += sum over i < terms of p[m * p_stride + offsets[i] + k], m < cells, k < length,
//                          then + p[m * p_stride + part_offset + k] for k < part_length alone.
// Cells are whole vectors: in the lanes of the last one beyond `length` (of terms that are whole) p is read as well,
// and y gets what follows from it.
template <class T>
struct ShiftAdd {
  const T* p;
  const index* offsets;
  T* y;
  index terms, cells, length, p_stride, y_stride;
  index part_offset, part_length;  // or 0
};

// Sums of cells into the pixels that they belong to:
//   y[r * y_row + m * y_stride + k] = p[r * p_row + m * p_stride + k] + bias[k], max(0, .), r < rows, m < cells,
//   k < length.
// p and bias hold whole vectors. Where y_stride is `length`, elements that follow a cell are written more than once.
template <class T>
struct StoreCells {
  const T* p;
  T* y;
  const T* bias;
  index cells, length, p_stride, y_stride;
  index rows, p_row, y_row;
  bool relu;
};

// Pixels contracted: dw[c][k] = (dw[c][k] +) sum over pixels of x[pixel][c] * dy[pixel][k], in an
// order that follows from the channels and columns of the tile and the length of the rows.
// c < channels, k < columns <= panel. The pixels are `rows` rows of `cols`, which start at x_rows[r] and dy_rows[r]; no
// lists: one row that starts at 0. Channel c stands x_at[c] from there, or c where there is no list.
template <class T>
struct PixelSum {
  const T* x;
  const T* dy;
  T* dw;
  index rows, cols;
  index x_pixel, dy_pixel, dw_stride;
  int channels, columns;
  const index* x_rows;  // both or none
  const index* dy_rows;
  const index* x_at;  // or null
  bool overwrite;     // dw, whatever it holds
};

// The same with x in lanes, which may be of several pixels and taps: for vector v of x, at x_at[v] from a pixel,
//   sums[c][v] = (sums[c][v] +) sum over pixels of x[pixel + x_at[v]] * dy[pixel][c], c < channels.
// All lanes of x are read.
template <class T>
struct LaneSum {
  const T* x;
  const T* dy;
  T* sums;
  index rows, cols;
  index x_pixel, dy_pixel;
  index vectors, channels;
  const index* x_rows;
  const index* dy_rows;
  const index* x_at;
  bool overwrite;  // sums, whatever they hold
};

// Pixels summed: y[k] += sum over pixels of x[pixel * step + k], k < columns.
template <class T>
struct ColumnSum {
  const T* x;
  T* y;
  index pixels, step, columns;
};

// Taps that read neighbouring columns, the first one that which begins `at` elements after the row's first, for output
// pixel 0.
struct TapRun {
  index at, taps;    // 1 to longest_tap_run taps
  index begin, end;  // the columns that are there, of all that its taps see; taps / 2 at most are missing at an end
};
constexpr index longest_tap_run = 7;

// A row of output pixels in which every channel has weights of its own. x[r], r < rows, holds what the pixels see in
// one row of taps, in columns `x_step` apart: channel c for tap i of a run and pixel p in column i + p, at
// x[r][run.at + (i + p) * x_step + c]. What would stand in missing columns is left out.
//   y[p * y_step + c] = sum over r, over the taps of all runs: x * w, + bias[c], max(0, .)
// w is [c / lanes][r][tap][c % lanes], with w_vector elements for a vector of channels. A null x[r] is left out. Every
// sum runs in this order. w and x hold whole vectors. Meanwhile the channels at ahead[i] + p * ahead_step, i <
// ahead_count, are fetched.
template <class T>
struct DepthwiseRow {
  const T* const* x;
  const TapRun* runs;
  const T* w;
  T* y;
  const T* bias;                                                            // or null
  index rows, run_count, taps, w_vector, x_step, pixels, channels, y_step;  // taps: of all runs together
  const T* const* ahead;
  index ahead_count, ahead_step;
  bool relu;
};

// Outputs in order of memory, in periods of so many that read x `x_step` further each: those of one or more pixels with
// all their channels. What a vector of outputs reads lies in four vectors of x or less, and never before what the first
// of them reads.
//   y[q * outputs + i] = sum over j < terms of x[q * x_step + from[i] + j] * w[i / lanes][j][i % lanes], + bias[i],
//                        max(0, .)
template <class T>
struct MixedRow {
  const T* x;
  const std::int32_t* from;
  const T* w;
  T* y;
  const T* bias;  // of a period; or null
  index periods, outputs, terms, x_step;
  bool relu;
};

// The weights' part in the gradient, for `high` rows of dy; row h sees x[h * rows + r], as above but for the order:
// here channel c of column q is at x[..][c / lanes * x_vector + q * lanes + c % lanes]. A null row r is one for all h;
// no column is missing.
//   dw[c / lanes][r][tap][c % lanes] += sum over h < high, p < pixels of
//                                       x[h * rows + r][column of the tap + p] * dy[h * dy_row + p * dy_step + c]
template <class T>
struct DepthwiseSum {
  const T* const* x;
  const TapRun* runs;
  const T* dy;
  T* dw;
  index high, rows, run_count, taps, x_vector, pixels, channels, dy_row, dy_step;
};

// Pixels into columns of whole vectors, p < pixels and c < channels, with zeros in the lanes beyond:
//   to[c / lanes * to_vector + p * to_step + c % lanes] = x[p * x_step + (from ? from[c] : c)]
template <class T>
struct PixelColumns {
  const T* x;
  const std::int32_t* from;  // ascending, or null
  T* to;
  index pixels, channels, x_step, to_vector, to_step;
};

// Rows of a weight into panels, as ConvPixels reads them:
//   to[k / panel * to_panel + r * whole_width(what is left of columns) + k % panel] = from[r * from_stride + k],
//   k < columns, with zeros beyond.
template <class T>
struct PanelRows {
  const T* from;
  T* to;
  index rows, columns, from_stride, to_panel;
};

// Rows of `count` elements, row r from from[r * from_stride] to to[r * to_stride], stored past the caches where a whole
// line is written: for results that nobody will find there again.
template <class T>
struct StreamedRows {
  const T* from;
  T* to;
  index rows, count, from_stride, to_stride;
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
  bool far;  // rows of b come from memory
};

constexpr index short_weights = 4;  // vectors of weights that stay in registers

template <class T>
struct Kernels {
  int lanes;   // of a vector
  int panel;   // columns of a full weight panel, a multiple of lanes
  int narrow;  // so few columns have kernels of their own: conv_row, conv_pixels over lanes
  int tile;    // channels of x that pixel_sum takes at a time
  void (*conv_pixels)(const ConvPixels<T>& tile);
  void (*conv_row)(const ConvRow<T>& row);  // columns <= narrow
  void (*shift_add)(const ShiftAdd<T>& sum);
  void (*store_cells)(const StoreCells<T>& part);
  void (*panel_product)(const PanelProduct<T>& product);  // of float32
  void (*pixel_sum)(const PixelSum<T>& sum);
  void (*lane_sum)(const LaneSum<T>& sum);
  void (*column_sum)(const ColumnSum<T>& sum);
  void (*depthwise_row)(const DepthwiseRow<T>& row);
  void (*depthwise_sum)(const DepthwiseSum<T>& sum);
  void (*mixed_row)(const MixedRow<T>& row);
  void (*fill_columns)(const PixelColumns<T>& part);
  void (*pack_rows)(const PanelRows<T>& rows);
  void (*stream_rows)(const StreamedRows<T>& rows);
  void (*stream_end)();  // to be called by a task that streamed rows, before another thread may read them
  WinogradAxis<T> winograd[winograd_axes];
  void (*widen_rows)(const WidenedRows& rows);
  void (*fourier_step)(const FourierStep<T>& step);
  void (*fourier_step_back)(const FourierStep<T>& step);
  void (*fourier_lanes)(const FourierLanes<T>& step);
  void (*fourier_lanes_back)(const FourierLanes<T>& step);
  void (*fourier_lanes_filter)(const FourierLanes<T>& step);
  void (*spectrum_product)(const SpectrumProduct<T>& product);
  // y[i] = max(0, x[i] + bias), or without the maximum; y may be x. Whether all x[i] were finite.
  bool (*finish_row)(const T* x, T* y, index count, T bias, bool relu);
  // to[c * to_stride + r] = from[r * from_stride + c]
  void (*transpose)(const T* from, index from_stride, T* to, index to_stride, index rows, index cols);
  void (*distances)(const Distances<T>& block);
  void (*max_pool)(const PoolRow<T>& row);
  void (*avg_pool)(const PoolRow<T>& row);
  void (*max_pool_grad)(const PoolGradRow<T>& row);
  void (*avg_pool_grad)(const PoolGradRow<T>& row);
  void (*pool_spread)(const PoolSpread<T>& row);
  // y[i] = max(floor, a[i] + b[i]), a NaN stays one; y may be a or b.
  void (*add_arrays)(const T* a, const T* b, T floor, T* y, index count);
  // y[i] = max(0, x[i]), a NaN stays one; y may be x.
  void (*relu)(const T* x, T* y, index count);
  // Bit i % 8 of passed[i / 8] says whether y[i] is above zero or NaN; bits past `count` are zero.
  void (*relu_passed)(const T* y, std::uint8_t* passed, index count);
  // dx[i] = dy[i] where passed, else +0, whatever dy[i] is; dx may be dy.
  void (*keep_passed)(const T* dy, const std::uint8_t* passed, T* dx, index count);
  // Of rows of channels, a channel at a time: y = max(floor, x * scale + shift), a NaN stays one, y may be x; the sum
  // of x; the sum of (x - mean)^2; the sums of g and of g * (x - mean); and
  // dx = g * scale + ((x - mean) * slope + constant), where dx may be dy.
  void (*channel_map)(const T* x, const T* scale, const T* shift, T floor, T* y, index rows, index channels);
  void (*channel_sums)(const T* x, T* sum, index rows, index channels);
  void (*channel_squares)(const T* x, const T* mean, T* sum, index rows, index channels);
  void (*channel_grad_sums)(const ChannelGrad<T>& part, T* total, T* along);
  void (*channel_grad)(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx);
  bool over_lanes(index columns, index depth, bool one_run) const {
    return columns <= narrow &&
           (depth >= 16 * (columns - 1) || (one_run && 2 * depth > lanes && short_run(columns, depth)));
  }
  bool short_run(index columns, index length) const {
    return columns * ((length + lanes - 1) / lanes) <= short_weights;
  }
  bool wide() const { return lanes * sizeof(T) == 64; }  // products are fast beside caches and memory
  // Whether a tile of so many pixels reads more of them side by side than a set of the first-level cache has lines.
  bool crowds(index pixels) const {
    constexpr index most_lines = 12;
    return pixels > most_lines * ((pixels + tile - 1) / tile);
  }
  index whole_width(index columns) const { return columns <= lanes ? lanes : panel; }
};

struct KernelTable {
  const char* isa;
  Kernels<float> f32;
  Kernels<double> f64;
  const KernelTable* half = nullptr;  // of vectors half as long, which such a processor has, too
};

extern const KernelTable scalar_table;
#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable avx2_table, avx512_table;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable neon_table;
#endif

}  // namespace pcx
