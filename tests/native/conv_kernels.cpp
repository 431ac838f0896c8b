// conv_row and conv_row_spaced: every number of pixels that a tile can have, columns around every vector and panel,
// offsets in any order.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

template <class T>
void check_row(Report& report, Random& random, index pixels, int columns, index step) {
  const Kernels<T> k = tested<T>();
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index depth = random.pick<index>({1, 2, 3, 16, 37}), span = random.below(50);
  const index y_stride = columns + random.pick<index>({0, 0, 1, 7});
  const index width = step == 1 ? k.width(columns) : k.width_spaced(columns);
  Guarded<T> x(span + (pixels - 1) * step + 1, random.edge()), w(depth * width, random.edge()),
      bias(columns, random.edge());
  Guarded<T> y((pixels - 1) * y_stride + columns, random.edge());
  Guarded<std::int32_t> offsets(depth, random.edge());
  for (index i = 0; i < depth; ++i) offsets[i] = static_cast<std::int32_t>(random.below(span + 1));
  offsets[random.below(depth)] = static_cast<std::int32_t>(span);  // the last element of x is read
  fill(x, random, numbers);
  fill(w, random, numbers);
  fill(bias, random, numbers);
  ConvRow<T> row{x.data(), offsets.data(), w.data(), y.data(), nullptr, depth,
                 pixels,   y_stride,       columns,  false,    false,   0};
  row.accumulate = random.coin();
  row.relu = random.coin();
  if (random.coin()) row.bias = bias.data();
  y.poison();
  std::vector<T> before(static_cast<std::size_t>(y.size()));
  if (row.accumulate) {
    for (index p = 0; p < pixels; ++p) {
      for (index c = 0; c < columns; ++c) y[p * y_stride + c] = static_cast<T>(random.below(9) - 4);
    }
  }
  for (index i = 0; i < y.size(); ++i) before[static_cast<std::size_t>(i)] = y[i];
  report.start(
      "%zu bytes, step %lld, pixels %lld, columns %d, depth %lld, y_stride %lld, accumulate %d, bias %d, relu %d",
      sizeof(T), static_cast<long long>(step), static_cast<long long>(pixels), columns, static_cast<long long>(depth),
      static_cast<long long>(y_stride), row.accumulate, row.bias != nullptr, row.relu);
  (step == 1 ? k.conv_row : k.conv_row_spaced)(row);
  for (index i = 0; i < y.size(); ++i) {
    const index p = i / y_stride, c = i % y_stride;
    if (c >= columns) {
      report.expect(std::isnan(y[i]), "an element between two pixels was written");
      continue;
    }
    const double start = row.accumulate ? before[static_cast<std::size_t>(i)] : 0.0, shift = row.bias ? bias[c] : T(0);
    double sum = start + shift, extent = std::fabs(start) + std::fabs(shift);
    for (index d = 0; d < depth; ++d) {
      const double product = static_cast<double>(x[offsets[d] + p * step]) * static_cast<double>(w[d * width + c]);
      sum += product;
      extent += std::fabs(product);
    }
    report.close(y[i], row.relu && sum < 0 ? 0.0 : sum, extent, numbers == Numbers::integers ? 0 : depth + 2, i);
  }
  report.intact(y, "y");
}

template <class T>
void check_type(Report& report) {
  Random random{1};
  const Kernels<T> k = tested<T>();
  for (index pixels = 1; pixels <= 31; ++pixels) {  // tiles have up to 14: two of them and a rest
    for (index columns : sizes_around(k.lanes, k.panel)) {
      if (columns > k.panel) continue;
      for (int repeat = 0; repeat < 6; ++repeat) {
        check_row<T>(report, random, pixels, static_cast<int>(columns), repeat < 4 ? 1 : spaced);
      }
    }
  }
}

}  // namespace

void check_conv_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
