// pixel_sum, lane_sum, column_sum and transpose: every number of channels that a tile can have, columns around every
// vector and panel.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

// Starts that ascend, with gaps here and there, or consecutive ones.
std::vector<index> ascending(Random& random, index count, index step, bool gaps) {
  std::vector<index> list;
  for (index i = 0, at = 0; i < count; ++i, at += step + (gaps ? random.below(4) : 0)) list.push_back(at);
  return list;
}

template <class T>
void check_sum(Report& report, Random& random, int channels, int columns) {
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  PixelSum<T> sum{};
  sum.channels = channels;
  sum.columns = columns;
  sum.rows = random.pick<index>({0, 1, 2, 3});
  sum.cols = random.pick<index>({1, 2, 5, 17});
  sum.x_pixel = random.pick<index>({0, 1, channels, channels + 3});  // pixels may overlap, or be one and the same
  sum.dy_pixel = columns + random.pick<index>({0, 3});
  sum.dw_stride = columns + random.pick<index>({0, 3});
  sum.overwrite = random.coin();
  const std::vector<index> x_rows = ascending(random, sum.rows, sum.cols * sum.x_pixel, true);
  const std::vector<index> dy_rows = ascending(random, sum.rows, sum.cols * sum.dy_pixel, true);
  const std::vector<index> x_at = ascending(random, channels, 1, random.coin());
  if (sum.rows != 1 || random.coin()) {
    sum.x_rows = x_rows.data();
    sum.dy_rows = dy_rows.data();
  }
  if (random.coin()) sum.x_at = x_at.data();
  auto extent_of = [&](const std::vector<index>& rows, index pixel, index last) {
    return rows.empty() ? 1 : rows.back() + (sum.cols - 1) * pixel + last;
  };
  Guarded<T> x(extent_of(x_rows, sum.x_pixel, sum.x_at ? x_at.back() + 1 : channels), random.edge());
  Guarded<T> dy(extent_of(dy_rows, sum.dy_pixel, columns), random.edge());
  Guarded<T> dw((channels - 1) * sum.dw_stride + columns, random.edge());
  sum.x = x.data();
  sum.dy = dy.data();
  sum.dw = dw.data();
  fill(x, random, numbers);
  fill(dy, random, numbers);
  dw.poison();
  for (index c = 0; c < channels && !sum.overwrite; ++c) {
    for (index i = 0; i < columns; ++i) dw[c * sum.dw_stride + i] = static_cast<T>(c + i);
  }
  report.start("%zu bytes, channels %d, columns %d, rows %lld, cols %lld, x_pixel %lld, dw_stride %lld, %s, %s",
               sizeof(T), channels, columns, static_cast<long long>(sum.rows), static_cast<long long>(sum.cols),
               static_cast<long long>(sum.x_pixel), static_cast<long long>(sum.dw_stride),
               sum.x_at ? "listed" : "side by side", sum.overwrite ? "overwriting" : "adding");
  tested<T>().pixel_sum(sum);
  for (index i = 0; i < dw.size(); ++i) {
    const index c = i / sum.dw_stride, column = i % sum.dw_stride;
    if (column >= columns) {
      report.expect(std::isnan(dw[i]), "an element between two channels was written");
      continue;
    }
    double expected = sum.overwrite ? 0 : static_cast<double>(c + column), extent = expected;
    for (index r = 0; r < sum.rows; ++r) {
      for (index p = 0; p < sum.cols; ++p) {
        const index from = sum.x_rows ? x_rows[static_cast<std::size_t>(r)] : 0,
                    at = sum.x_at ? x_at[static_cast<std::size_t>(c)] : c;
        const index dy_from = sum.x_rows ? dy_rows[static_cast<std::size_t>(r)] : 0;
        const double product = static_cast<double>(x[from + p * sum.x_pixel + at]) *
                               static_cast<double>(dy[dy_from + p * sum.dy_pixel + column]);
        expected += product;
        extent += std::fabs(product);
      }
    }
    report.close(dw[i], expected, extent, numbers == Numbers::integers ? 0 : sum.rows * sum.cols + 1, i);
  }
  report.intact(dw, "dw");
}

template <class T>
void check_lane_sum(Report& report, Random& random, index channels, index vectors) {
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index lanes = kernels<T>().lanes;
  LaneSum<T> sum{};
  sum.channels = channels;
  sum.vectors = vectors;
  sum.rows = random.pick<index>({0, 1, 2, 3});
  sum.cols = random.pick<index>({1, 2, 5, 17});
  sum.x_pixel = random.pick<index>({1, lanes, vectors * lanes + 3});
  sum.dy_pixel = channels + random.pick<index>({0, 3});
  sum.overwrite = random.coin();
  const std::vector<index> x_rows = ascending(random, sum.rows, sum.cols * sum.x_pixel, true);
  const std::vector<index> dy_rows = ascending(random, sum.rows, sum.cols * sum.dy_pixel, true);
  const std::vector<index> x_at = ascending(random, vectors, random.coin() ? lanes : 3, true);
  sum.x_rows = x_rows.data();
  sum.dy_rows = dy_rows.data();
  sum.x_at = x_at.data();
  auto extent_of = [&](const std::vector<index>& rows, index pixel, index last) {
    return rows.empty() ? 1 : rows.back() + (sum.cols - 1) * pixel + last;
  };
  Guarded<T> x(extent_of(x_rows, sum.x_pixel, x_at.back() + lanes), random.edge());
  Guarded<T> dy(extent_of(dy_rows, sum.dy_pixel, channels), random.edge());
  Guarded<T> sums(channels * vectors * lanes, random.edge());
  sum.x = x.data();
  sum.dy = dy.data();
  sum.sums = sums.data();
  fill(x, random, numbers);
  fill(dy, random, numbers);
  sums.poison();
  for (index i = 0; i < sums.size() && !sum.overwrite; ++i) sums[i] = static_cast<T>(i % 64);
  report.start("%zu bytes, channels %lld, vectors %lld, rows %lld, cols %lld, x_pixel %lld, %s", sizeof(T),
               static_cast<long long>(channels), static_cast<long long>(vectors), static_cast<long long>(sum.rows),
               static_cast<long long>(sum.cols), static_cast<long long>(sum.x_pixel),
               sum.overwrite ? "overwriting" : "adding");
  tested<T>().lane_sum(sum);
  for (index i = 0; i < sums.size(); ++i) {
    const index c = i / lanes / vectors, v = i / lanes % vectors;
    double expected = sum.overwrite ? 0 : static_cast<double>(i % 64), extent = expected;
    for (std::size_t r = 0; r < x_rows.size(); ++r) {
      for (index p = 0; p < sum.cols; ++p) {
        const index at = x_rows[r] + p * sum.x_pixel + x_at[static_cast<std::size_t>(v)] + i % lanes;
        const double product = static_cast<double>(x[at]) * static_cast<double>(dy[dy_rows[r] + p * sum.dy_pixel + c]);
        expected += product;
        extent += std::fabs(product);
      }
    }
    report.close(sums[i], expected, extent, numbers == Numbers::integers ? 0 : sum.rows * sum.cols + 1, i);
  }
  report.intact(sums, "sums");
}

template <class T>
void check_column_sum(Report& report, Random& random, index columns) {
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  ColumnSum<T> sum{};
  sum.columns = columns;
  sum.pixels = random.pick<index>({1, 3, 4, 5, 18});
  sum.step = columns + random.pick<index>({0, 3});
  Guarded<T> x((sum.pixels - 1) * sum.step + columns, random.edge()), y(columns, random.edge());
  sum.x = x.data();
  sum.y = y.data();
  fill(x, random, numbers);
  for (index k = 0; k < columns; ++k) y[k] = static_cast<T>(k);
  report.start("%zu bytes, columns %lld, pixels %lld, step %lld", sizeof(T), static_cast<long long>(columns),
               static_cast<long long>(sum.pixels), static_cast<long long>(sum.step));
  tested<T>().column_sum(sum);
  for (index k = 0; k < columns; ++k) {
    double expected = static_cast<double>(k), extent = expected;
    for (index p = 0; p < sum.pixels; ++p) {
      expected += static_cast<double>(x[p * sum.step + k]);
      extent += std::fabs(static_cast<double>(x[p * sum.step + k]));
    }
    report.close(y[k], expected, extent, numbers == Numbers::integers ? 0 : sum.pixels + 1, k);
  }
  report.intact(y, "y");
}

template <class T>
void check_sums(Report& report) {
  Random random{2};
  const Kernels<T> k = tested<T>();
  for (int channels = 1; channels <= 31; ++channels) {
    for (index columns : sizes_around(k.lanes, k.panel)) {
      if (columns > k.panel) continue;
      for (int repeat = 0; repeat < 4; ++repeat) check_sum<T>(report, random, channels, static_cast<int>(columns));
    }
  }
}

template <class T>
void check_lane_sums(Report& report) {
  Random random{5};
  for (index channels = 1; channels <= 9; ++channels) {
    for (index vectors = 1; vectors <= 17; ++vectors) {
      for (int repeat = 0; repeat < 4; ++repeat) check_lane_sum<T>(report, random, channels, vectors);
    }
  }
}

template <class T>
void check_column_sums(Report& report) {
  Random random{4};
  const Kernels<T> k = tested<T>();
  for (index columns : sizes_around(k.lanes, 2 * k.panel)) {
    for (int repeat = 0; repeat < 8; ++repeat) check_column_sum<T>(report, random, columns);
  }
}

template <class T>
void check_transpose(Report& report, Random& random, index rows, index cols) {
  const index from_stride = cols + random.pick<index>({0, 4}), to_stride = rows + random.pick<index>({0, 4});
  Guarded<T> from((rows - 1) * from_stride + cols, random.edge()), to((cols - 1) * to_stride + rows, random.edge());
  for (index i = 0; i < from.size(); ++i) from[i] = static_cast<T>(i);
  to.poison();
  report.start("%zu bytes, rows %lld of stride %lld, cols %lld of stride %lld", sizeof(T), static_cast<long long>(rows),
               static_cast<long long>(from_stride), static_cast<long long>(cols), static_cast<long long>(to_stride));
  tested<T>().transpose(from.data(), from_stride, to.data(), to_stride, rows, cols);
  for (index i = 0; i < to.size(); ++i) {
    const index c = i / to_stride, r = i % to_stride;
    if (r >= rows)
      report.expect(std::isnan(to[i]), "an element between two rows was written");
    else
      report.close(to[i], static_cast<double>(r * from_stride + c), 0, 0, i);
  }
  report.intact(to, "to");
}

template <class T>
void check_transposes(Report& report) {
  Random random{3};
  const index lanes = kernels<T>().lanes;
  for (index rows : sizes_around(lanes, 2 * lanes)) {
    for (index cols : sizes_around(lanes, 2 * lanes)) {
      for (int repeat = 0; repeat < 4; ++repeat) check_transpose<T>(report, random, rows, cols);
    }
  }
}

}  // namespace

void check_weight_kernels(Report& report) {
  check_sums<float>(report);
  check_sums<double>(report);
  check_lane_sums<float>(report);
  check_lane_sums<double>(report);
  check_column_sums<float>(report);
  check_column_sums<double>(report);
}

void check_transpose_kernels(Report& report) {
  check_transposes<float>(report);
  check_transposes<double>(report);
}

}  // namespace pcx::check
