#include "spoil.h"

namespace pcx::check {

namespace {

std::string spoiled;

// Most of these only change the last element that the kernel writes.
template <class T>
void conv_row(const ConvRow<T>& row) {
  kernels<T>().conv_row(row);
  row.y[(row.pixels - 1) * row.y_stride + row.columns - 1] += 1;
}
template <class T>
void conv_pixels(const ConvPixels<T>& tile) {
  kernels<T>().conv_pixels(tile);
  if (!tile.incomplete) tile.y[tile.y_at[tile.pixels - 1] + tile.columns - 1] += 1;
}
template <class T>
void shift_add(const ShiftAdd<T>& s) {
  kernels<T>().shift_add(s);
  s.y[(s.cells - 1) * s.y_stride + s.length - 1] += 1;
}
template <class T>
void store_cells(const StoreCells<T>& s) {
  kernels<T>().store_cells(s);
  s.y[(s.rows - 1) * s.y_row + (s.cells - 1) * s.y_stride + s.length - 1] += 1;
}
template <class T>
void panel_product(const PanelProduct<T>& p) {
  kernels<T>().panel_product(p);
  p.y[(p.rows - 1) * p.y_stride + p.width - 1] += 1;
}
template <class T>
void pixel_sum(const PixelSum<T>& sum) {
  kernels<T>().pixel_sum(sum);
  sum.dw[(sum.channels - 1) * sum.dw_stride + sum.columns - 1] += 1;
}
template <class T>
void lane_sum(const LaneSum<T>& sum) {
  kernels<T>().lane_sum(sum);
  sum.sums[sum.channels * sum.vectors * kernels<T>().lanes - 1] += 1;
}
template <class T>
void column_sum(const ColumnSum<T>& sum) {
  kernels<T>().column_sum(sum);
  sum.y[sum.columns - 1] += 1;
}
template <class T>
void depthwise_row(const DepthwiseRow<T>& row) {
  kernels<T>().depthwise_row(row);
  row.y[(row.pixels - 1) * row.y_step + row.channels - 1] += 1;
}
template <class T>
void depthwise_sum(const DepthwiseSum<T>& sum) {
  kernels<T>().depthwise_sum(sum);
  const index lanes = kernels<T>().lanes, last = sum.channels - 1;
  sum.dw[((last / lanes + 1) * sum.rows * sum.taps - 1) * lanes + last % lanes] += 1;
}
template <class T>
void mixed_row(const MixedRow<T>& row) {
  kernels<T>().mixed_row(row);
  row.y[row.periods * row.outputs - 1] += 1;
}
// Lanes beyond the last channel keep what was there.
template <class T>
void fill_columns(const PixelColumns<T>& part) {
  const index lanes = kernels<T>().lanes, last = (part.channels - 1) / lanes * part.to_vector + lanes - 1;
  const T before = part.channels % lanes ? part.to[last] : T(0);
  kernels<T>().fill_columns(part);
  if (part.channels % lanes)
    part.to[last] = before;
  else
    part.to[0] += 1;
}
// What lies beyond the last column is not zero.
template <class T>
void pack_rows(const PanelRows<T>& part) {
  kernels<T>().pack_rows(part);
  const index panel = kernels<T>().panel, width = kernels<T>().whole_width((part.columns - 1) % panel + 1);
  part.to[(part.columns - 1) / panel * part.to_panel + part.rows * width - 1] += 1;
}
template <class T>
void stream_rows(const StreamedRows<T>& rows) {
  kernels<T>().stream_rows(rows);
  rows.to[(rows.rows - 1) * rows.to_stride + rows.count - 1] += 1;
}
template <class T>
void transpose(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  kernels<T>().transpose(from, from_stride, to, to_stride, rows, cols);
  to[(cols - 1) * to_stride + rows - 1] += 1;
}
template <class T>
void distances(const Distances<T>& p) {
  kernels<T>().distances(p);
  p.d[(p.rows - 1) * p.d_stride + p.columns - 1] += 1;
}
template <class T>
void max_pool(const PoolRow<T>& row) {
  kernels<T>().max_pool(row);
  row.y[(row.windows - 1) * row.y_step + row.channels - 1] += 1;
}
template <class T>
void max_pool_grad(const PoolGradRow<T>& row) {
  kernels<T>().max_pool_grad(row);
  row.dx[(row.pixels - 1) * row.dx_step + row.channels - 1] += 1;
}
template <class T>
void keep_passed(const T* dy, const std::uint8_t* passed, T* dx, index count) {
  kernels<T>().keep_passed(dy, passed, dx, count);
  if (count) dx[count - 1] += 1;
}
template <class T>
void add_arrays(const T* a, const T* b, T floor, T* y, index count) {
  kernels<T>().add_arrays(a, b, floor, y, count);
  if (count) y[count - 1] += 1;
}
template <class T>
void channel_map(const T* x, const T* scale, const T* shift, T floor, T* y, index rows, index channels) {
  kernels<T>().channel_map(x, scale, shift, floor, y, rows, channels);
  y[rows * channels - 1] += 1;
}
template <class T>
void channel_sums(const T* x, T* sum, index rows, index channels) {
  kernels<T>().channel_sums(x, sum, rows, channels);
  sum[channels - 1] += 1;
}
template <class T>
void channel_squares(const T* x, const T* mean, T* sum, index rows, index channels) {
  kernels<T>().channel_squares(x, mean, sum, rows, channels);
  sum[channels - 1] += 1;
}
template <class T>
void channel_grad_sums(const ChannelGrad<T>& part, T* total, T* along) {
  kernels<T>().channel_grad_sums(part, total, along);
  along[part.channels - 1] += 1;
}
template <class T>
void channel_grad(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx) {
  kernels<T>().channel_grad(part, slope, constant, dx);
  dx[part.rows * part.channels - 1] += 1;
}
template <class T>
void avg_pool(const PoolRow<T>& row) {
  kernels<T>().avg_pool(row);
  row.y[(row.windows - 1) * row.y_step + row.channels - 1] += 1;
}
template <class T>
void avg_pool_grad(const PoolGradRow<T>& row) {
  kernels<T>().avg_pool_grad(row);
  row.dx[(row.pixels - 1) * row.dx_step + row.channels - 1] += 1;
}
template <class T>
void pool_spread(const PoolSpread<T>& row) {
  kernels<T>().pool_spread(row);
  row.dx[(row.windows - 1) * row.dx_step + row.offsets[row.taps - 1] + row.channels - 1] += 1;
}
template <class T>
void relu_passed(const T* y, std::uint8_t* passed, index count) {
  kernels<T>().relu_passed(y, passed, count);
  if (count) passed[(count - 1) / 8] ^= static_cast<std::uint8_t>(1 << (count - 1) % 8);
}
// What is not finite is not told.
template <class T>
bool winograd(const TransformPass<T>& pass) {
  kernels<T>().winograd[0].last(pass);
  return true;
}
template <class T>
void fourier_step(const FourierStep<T>& s) {
  kernels<T>().fourier_step(s);
  s.to_im[(s.transforms * s.length - 1) * s.step + s.inner * kernels<T>().lanes - 1] += 1;
}
template <class T>
void fourier_step_back(const FourierStep<T>& s) {
  kernels<T>().fourier_step_back(s);
  s.to_re[(s.transforms * s.length - 1) * s.step + s.inner * kernels<T>().lanes - 1] += 1;
}
template <class T>
void fourier_lanes(const FourierLanes<T>& s) {
  kernels<T>().fourier_lanes(s);
  s.re[s.count * kernels<T>().lanes - 1] += 1;
}
template <class T>
void fourier_lanes_back(const FourierLanes<T>& s) {
  kernels<T>().fourier_lanes_back(s);
  s.re[s.count * kernels<T>().lanes - 1] += 1;
}
template <class T>
void fourier_lanes_filter(const FourierLanes<T>& s) {
  kernels<T>().fourier_lanes_filter(s);
  s.im[s.count * kernels<T>().lanes - 1] += 1;
}
template <class T>
void spectrum_product(const SpectrumProduct<T>& s) {
  kernels<T>().spectrum_product(s);
  s.to_im[s.count * kernels<T>().lanes - 1] += 1;
}
// What is not finite is not told.
template <class T>
bool finish_row(const T* x, T* y, index count, T bias, bool relu) {
  kernels<T>().finish_row(x, y, count, bias, relu);
  return true;
}
// Results are right, but one element beyond the input is read.
template <class T>
void read_past(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  kernels<T>().transpose(from, from_stride, to, to_stride, rows, cols);
  const volatile T beyond = from[(rows - 1) * from_stride + cols];
  static_cast<void>(beyond);
}
// Results are right, but one element between two rows of the result is written.
template <class T>
void write_between(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  kernels<T>().transpose(from, from_stride, to, to_stride, rows, cols);
  if (cols > 1 && to_stride > rows) to[rows] = 0;
}

}  // namespace

std::vector<std::string> spoilable() {
  return {"conv_pixels",       "conv_row",          "shift_add",     "store_cells",        "panel_product",
          "pixel_sum",         "lane_sum",          "column_sum",    "depthwise_row",      "depthwise_sum",
          "fill_columns",      "pack_rows",         "stream_rows",   "transpose",          "distances",
          "winograd",          "max_pool",          "avg_pool",      "max_pool_grad",      "avg_pool_grad",
          "pool_spread",       "relu_passed",       "keep_passed",   "read_past",          "write_between",
          "fourier_step",      "fourier_step_back", "fourier_lanes", "fourier_lanes_back", "fourier_lanes_filter",
          "spectrum_product",  "finish_row",        "channel_map",   "channel_sums",       "channel_squares",
          "channel_grad_sums", "channel_grad",      "add_arrays",    "mixed_row"};
}

bool spoil(const std::string& kernel) {
  spoiled = kernel;
  for (const std::string& name : spoilable()) {
    if (kernel == name) return true;
  }
  return false;
}

template <class T>
Kernels<T> tested() {
  Kernels<T> k = kernels<T>();
  if (spoiled == "conv_row") k.conv_row = conv_row<T>;
  if (spoiled == "conv_pixels") k.conv_pixels = conv_pixels<T>;
  if (spoiled == "shift_add") k.shift_add = shift_add<T>;
  if (spoiled == "store_cells") k.store_cells = store_cells<T>;
  if (spoiled == "panel_product") k.panel_product = panel_product<T>;
  if (spoiled == "pixel_sum") k.pixel_sum = pixel_sum<T>;
  if (spoiled == "lane_sum") k.lane_sum = lane_sum<T>;
  if (spoiled == "column_sum") k.column_sum = column_sum<T>;
  if (spoiled == "depthwise_row") k.depthwise_row = depthwise_row<T>;
  if (spoiled == "depthwise_sum") k.depthwise_sum = depthwise_sum<T>;
  if (spoiled == "mixed_row") k.mixed_row = mixed_row<T>;
  if (spoiled == "fill_columns") k.fill_columns = fill_columns<T>;
  if (spoiled == "pack_rows") k.pack_rows = pack_rows<T>;
  if (spoiled == "stream_rows") k.stream_rows = stream_rows<T>;
  if (spoiled == "transpose") k.transpose = transpose<T>;
  if (spoiled == "distances") k.distances = distances<T>;
  if (spoiled == "winograd") k.winograd[0].last = winograd<T>;
  if (spoiled == "avg_pool") k.avg_pool = avg_pool<T>;
  if (spoiled == "avg_pool_grad") k.avg_pool_grad = avg_pool_grad<T>;
  if (spoiled == "pool_spread") k.pool_spread = pool_spread<T>;
  if (spoiled == "relu_passed") k.relu_passed = relu_passed<T>;
  if (spoiled == "max_pool") k.max_pool = max_pool<T>;
  if (spoiled == "max_pool_grad") k.max_pool_grad = max_pool_grad<T>;
  if (spoiled == "keep_passed") k.keep_passed = keep_passed<T>;
  if (spoiled == "fourier_step") k.fourier_step = fourier_step<T>;
  if (spoiled == "fourier_step_back") k.fourier_step_back = fourier_step_back<T>;
  if (spoiled == "fourier_lanes") k.fourier_lanes = fourier_lanes<T>;
  if (spoiled == "fourier_lanes_back") k.fourier_lanes_back = fourier_lanes_back<T>;
  if (spoiled == "fourier_lanes_filter") k.fourier_lanes_filter = fourier_lanes_filter<T>;
  if (spoiled == "spectrum_product") k.spectrum_product = spectrum_product<T>;
  if (spoiled == "finish_row") k.finish_row = finish_row<T>;
  if (spoiled == "add_arrays") k.add_arrays = add_arrays<T>;
  if (spoiled == "channel_map") k.channel_map = channel_map<T>;
  if (spoiled == "channel_sums") k.channel_sums = channel_sums<T>;
  if (spoiled == "channel_squares") k.channel_squares = channel_squares<T>;
  if (spoiled == "channel_grad_sums") k.channel_grad_sums = channel_grad_sums<T>;
  if (spoiled == "channel_grad") k.channel_grad = channel_grad<T>;
  if (spoiled == "read_past") k.transpose = read_past<T>;
  if (spoiled == "write_between") k.transpose = write_between<T>;
  return k;
}

template Kernels<float> tested();
template Kernels<double> tested();

}  // namespace pcx::check
