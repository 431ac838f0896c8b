// depthwise_row, depthwise_sum and fill_columns: pixels around every tile, channels around every vector, runs of all
// lengths, rows left out.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

template <class T>
struct Problem {
  index lanes = kernels<T>().lanes, pixels, channels, rows, vectors, taps = 0, columns = 0;
  std::vector<TapRun> runs;
  std::vector<index> tap_column;

  Problem(Random& random, index pixels, index channels) : pixels(pixels), channels(channels) {
    rows = 1 + random.below(7);
    vectors = (channels + lanes - 1) / lanes;
    for (index run = 1 + random.below(3); run > 0; --run) {
      const index column = random.below(9), length = 1 + random.below(longest_tap_run);
      runs.push_back({column, length});
      for (index i = 0; i < length; ++i) tap_column.push_back(column + i);
      columns = std::max(columns, column + length + pixels - 1);
      taps += length;
    }
    columns += random.below(3);
  }
  index row_size() const { return (vectors * columns + kernels<T>().depthwise_pixels - 1) * lanes; }
  index x_at(index c, index column) const { return (c / lanes * columns + column) * lanes + c % lanes; }
  index w_at(index c, index r, index tap) const { return ((c / lanes * rows + r) * taps + tap) * lanes + c % lanes; }
};

template <class T>
void start(Report& report, const Problem<T>& p, const char* kernel) {
  report.start("%s, %zu bytes, pixels %lld, channels %lld, rows %lld, taps %lld in %zu runs, columns %lld", kernel,
               sizeof(T), static_cast<long long>(p.pixels), static_cast<long long>(p.channels),
               static_cast<long long>(p.rows), static_cast<long long>(p.taps), p.runs.size(),
               static_cast<long long>(p.columns));
}

template <class T>
void check_row_and_sum(Report& report, Random& random, index pixels, index channels) {
  const Problem<T> p(random, pixels, channels);
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index step = channels + random.pick<index>({0, 0, 1, 7}), size = (pixels - 1) * step + channels;
  Guarded<T> x(p.rows * p.row_size(), random.edge()), w(p.vectors * p.rows * p.taps * p.lanes, random.edge());
  Guarded<T> bias(channels, random.edge()), y(size, random.edge()), dy(size, random.edge()),
      dw(w.size(), random.edge());
  for (const Guarded<T>* array : {&x, &w, &bias, &dy}) fill(*array, random, numbers);
  std::vector<const T*> rows;
  for (index r = 0; r < p.rows; ++r) rows.push_back(random.below(4) == 0 ? nullptr : x.data() + r * p.row_size());
  DepthwiseRow<T> row{rows.data(),
                      p.runs.data(),
                      w.data(),
                      y.data(),
                      random.coin() ? bias.data() : nullptr,
                      p.rows,
                      static_cast<index>(p.runs.size()),
                      p.taps,
                      p.columns,
                      pixels,
                      channels,
                      step,
                      random.coin()};
  start(report, p, "depthwise_row");
  y.poison();
  tested<T>().depthwise_row(row);
  auto product = [&](index r, index tap, index pixel, index c) {  // what x gives to it
    return rows[static_cast<std::size_t>(r)]
               ? static_cast<double>(
                     x[r * p.row_size() + p.x_at(c, p.tap_column[static_cast<std::size_t>(tap)] + pixel)])
               : 0.0;
  };
  const index terms = p.rows * p.taps + 2;
  for (index i = 0; i < y.size(); ++i) {
    const index pixel = i / step, c = i % step;
    if (c >= channels) {
      report.expect(std::isnan(y[i]), "an element between two pixels was written");
      continue;
    }
    double sum = row.bias ? bias[c] : T(0), extent = std::fabs(sum);
    for (index r = 0; r < p.rows; ++r) {
      for (index tap = 0; tap < p.taps; ++tap) {
        const double term = product(r, tap, pixel, c) * static_cast<double>(w[p.w_at(c, r, tap)]);
        sum += term;
        extent += std::fabs(term);
      }
    }
    report.close(y[i], row.relu && sum < 0 ? 0.0 : sum, extent, numbers == Numbers::integers ? 0 : terms, i);
  }
  report.intact(y, "y");

  DepthwiseSum<T> sum{rows.data(), p.runs.data(), dy.data(), dw.data(), p.rows, row.run_count,
                      p.taps,      p.columns,     pixels,    channels,  step};
  start(report, p, "depthwise_sum");
  for (index i = 0; i < dw.size(); ++i) dw[i] = static_cast<T>(i % 5);
  tested<T>().depthwise_sum(sum);
  for (index c = 0; c < channels; ++c) {
    for (index r = 0; r < p.rows; ++r) {
      for (index tap = 0; tap < p.taps; ++tap) {
        const index at = p.w_at(c, r, tap);
        double expected = static_cast<double>(at % 5), extent = expected;
        for (index pixel = 0; pixel < pixels; ++pixel) {
          const double term = product(r, tap, pixel, c) * static_cast<double>(dy[pixel * step + c]);
          expected += term;
          extent += std::fabs(term);
        }
        report.close(dw[at], expected, extent, numbers == Numbers::integers ? 0 : pixels + 1, at);
      }
    }
  }
  report.intact(dw, "dw");
}

template <class T>
void check_fill(Report& report, Random& random, index pixels, index channels) {
  const index lanes = kernels<T>().lanes, vectors = (channels + lanes - 1) / lanes;
  const index columns = pixels + random.below(4);
  std::vector<std::int32_t> from;
  index span = channels;
  if (random.coin()) {
    const index out = random.pick<index>({1, 2, 3, 4, 8, 16}), in = random.pick<index>({1, 2, 3, 4, 8});
    for (index c = 0; c < channels; ++c) from.push_back(static_cast<std::int32_t>(c / out * in));
    span = from.back() + 1;
  }
  const index step = random.pick<index>({span, span + 3, 2 * span});
  Guarded<T> x((pixels - 1) * step + span, random.edge());
  Guarded<T> to((vectors - 1) * columns * lanes + pixels * lanes, random.edge());
  fill(x, random, Numbers::integers);
  to.poison();
  report.start("fill_columns, %zu bytes, pixels %lld of step %lld, channels %lld, columns %lld, %s", sizeof(T),
               static_cast<long long>(pixels), static_cast<long long>(step), static_cast<long long>(channels),
               static_cast<long long>(columns), from.empty() ? "as they come" : "spread");
  tested<T>().fill_columns(
      {x.data(), from.empty() ? nullptr : from.data(), to.data(), pixels, channels, step, columns, 0});
  for (index i = 0; i < to.size(); ++i) {
    const index p = i / lanes % columns, c = i / lanes / columns * lanes + i % lanes;
    if (p >= pixels)
      report.expect(std::isnan(to[i]), "a column beyond the last pixel was written");
    else
      report.close(to[i], c >= channels ? 0.0 : x[p * step + (from.empty() ? c : from[static_cast<std::size_t>(c)])], 0,
                   0, i);
  }
  report.intact(to, "to");
}

template <class T>
void check_type(Report& report) {
  Random random{12};
  const Kernels<T> k = kernels<T>();
  for (index pixels = 1; pixels <= 2 * k.depthwise_pixels + 2; ++pixels) {
    for (index channels : sizes_around(k.lanes, 2 * k.lanes)) {
      for (int repeat = 0; repeat < 4; ++repeat) check_row_and_sum<T>(report, random, pixels, channels);
      check_fill<T>(report, random, pixels, channels);
    }
  }
}

}  // namespace

void check_depthwise_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
