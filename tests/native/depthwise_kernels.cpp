// depthwise_row, depthwise_sum, fill_columns and stream_rows: pixels around every tile, channels around every vector,
// runs of all lengths, rows and columns left out.
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
    rows = random.pick<index>({1, 2, 3, 3, 4, 5, 6, 7});
    vectors = (channels + lanes - 1) / lanes;
    const index usual = random.below(8);  // a single run of so many taps, or two as with stride 2, or any runs
    if (usual >= 5) {
      for (index run = 1 + random.below(3); run > 0; --run) add_run(random.below(9), 1 + random.below(longest_tap_run));
    } else if (usual >= 3) {
      add_run(random.below(3), usual - 1);
      add_run(columns + pixels + random.below(2), usual - 2);
    } else {
      add_run(random.below(3), random.pick<index>({1, 2, 3, 3, 4, 5, 6, 7}));
    }
    columns += pixels - 1;
  }
  void add_run(index column, index length) {
    runs.push_back({column, length, 0, pixels + length - 1});
    for (index i = 0; i < length; ++i) tap_column.push_back(column + i);
    columns = std::max(columns, column + length);
    taps += length;
  }
  std::vector<TapRun> runs_of(index x_step) const {  // columns so far apart
    std::vector<TapRun> list = runs;
    for (TapRun& run : list) run.at *= x_step;
    return list;
  }
  void leave_out_columns(Random& random) {  // as many as a row of taps may have beside a picture
    for (TapRun& run : runs) {
      run.begin = random.below(run.taps / 2 + 1);
      run.end -= random.below(run.taps / 2 + 1);
    }
  }
  bool leaves_out(index tap, index pixel) const {
    for (const TapRun& run : runs) {
      if (tap < run.taps) return tap + pixel < run.begin || tap + pixel >= run.end;
      tap -= run.taps;
    }
    return false;
  }
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
void check_row(Report& report, Random& random, index pixels, index channels) {
  Problem<T> p(random, pixels, channels);
  if (random.coin()) p.leave_out_columns(random);
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index step = channels + random.pick<index>({0, 0, 1, 7}), size = (pixels - 1) * step + channels;
  const index whole = p.vectors * p.lanes, x_step = whole + random.pick<index>({0, p.lanes, 3});
  const index row_size = (p.columns - 1) * x_step + whole;
  const index w_vector = (p.rows + random.pick<index>({0, 0, 1, 5})) * p.taps * p.lanes;  // rows that are not seen
  Guarded<T> x(p.rows * row_size, random.edge()), w(p.vectors * w_vector, random.edge());
  Guarded<T> bias(channels, random.edge()), y(size, random.edge());
  for (const Guarded<T>* array : {&x, &w, &bias}) fill(*array, random, numbers);
  for (index r = 0; p.runs.size() == 1 && r < p.rows; ++r) {  // what is left out is not even looked at
    T* const first = x.data() + r * row_size + p.runs[0].at * x_step;
    const index columns = pixels + p.runs[0].taps - 1;
    std::fill_n(first, p.runs[0].begin * x_step, std::numeric_limits<T>::quiet_NaN());
    for (index q = p.runs[0].end; q < columns; ++q) {
      std::fill_n(first + q * x_step, whole, std::numeric_limits<T>::quiet_NaN());
    }
  }
  std::vector<const T*> rows;
  for (index r = 0; r < p.rows; ++r) rows.push_back(random.below(4) == 0 ? nullptr : x.data() + r * row_size);
  DepthwiseRow<T> row{};
  row.x = rows.data();
  const std::vector<TapRun> runs = p.runs_of(x_step);
  row.runs = runs.data();
  row.w = w.data();
  row.y = y.data();
  row.bias = random.coin() ? bias.data() : nullptr;
  row.rows = p.rows;
  row.run_count = static_cast<index>(p.runs.size());
  row.taps = p.taps;
  row.w_vector = w_vector;
  row.x_step = x_step;
  row.pixels = pixels;
  row.channels = channels;
  row.y_step = step;
  row.relu = random.coin();
  start(report, p, "depthwise_row");
  y.poison();
  tested<T>().depthwise_row(row);
  for (index i = 0; i < y.size(); ++i) {
    const index pixel = i / step, c = i % step;
    if (c >= channels) {
      report.expect(std::isnan(y[i]), "an element between two pixels was written");
      continue;
    }
    double sum = row.bias ? bias[c] : T(0), extent = std::fabs(sum);
    for (index r = 0; r < p.rows; ++r) {
      for (index tap = 0; rows[static_cast<std::size_t>(r)] && tap < p.taps; ++tap) {
        if (p.leaves_out(tap, pixel)) continue;
        const index column = p.tap_column[static_cast<std::size_t>(tap)] + pixel;
        const index at = p.w_at(c, r, tap) + c / p.lanes * (w_vector - p.rows * p.taps * p.lanes);
        const double term = static_cast<double>(x[r * row_size + column * x_step + c]) * static_cast<double>(w[at]);
        sum += term;
        extent += std::fabs(term);
      }
    }
    const index terms = p.rows * p.taps + 2;
    report.close(y[i], row.relu && sum < 0 ? 0.0 : sum, extent, numbers == Numbers::integers ? 0 : terms, i);
  }
  report.intact(y, "y");
}

template <class T>
void check_sum(Report& report, Random& random, index pixels, index channels) {
  const Problem<T> p(random, pixels, channels);
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index step = channels + random.pick<index>({0, 0, 1, 7}), high = 1 + random.below(3);
  const index dy_row = (pixels - 1) * step + channels + random.pick<index>({0, 5});
  const index x_vector = (p.columns + random.below(2)) * p.lanes, row_size = p.vectors * x_vector;
  Guarded<T> x(high * p.rows * row_size, random.edge()), dw(p.vectors * p.rows * p.taps * p.lanes, random.edge());
  Guarded<T> dy((high - 1) * dy_row + (pixels - 1) * step + channels, random.edge());
  fill(x, random, numbers);
  fill(dy, random, numbers);
  std::vector<const T*> rows;
  for (index h = 0; h < high; ++h) {
    for (index r = 0; r < p.rows; ++r) rows.push_back(x.data() + (h * p.rows + r) * row_size);
  }
  for (index r = 0; r < p.rows; ++r) {
    for (index h = 0, left_out = random.below(4) == 0; left_out && h < high; ++h) {
      rows[static_cast<std::size_t>(h * p.rows + r)] = nullptr;
    }
  }
  DepthwiseSum<T> sum{};
  sum.x = rows.data();
  const std::vector<TapRun> runs = p.runs_of(p.lanes);
  sum.runs = runs.data();
  sum.dy = dy.data();
  sum.dw = dw.data();
  sum.high = high;
  sum.rows = p.rows;
  sum.run_count = static_cast<index>(p.runs.size());
  sum.taps = p.taps;
  sum.x_vector = x_vector;
  sum.pixels = pixels;
  sum.channels = channels;
  sum.dy_row = dy_row;
  sum.dy_step = step;
  start(report, p, "depthwise_sum");
  for (index i = 0; i < dw.size(); ++i) dw[i] = static_cast<T>(i % 5);
  tested<T>().depthwise_sum(sum);
  for (index c = 0; c < channels; ++c) {
    for (index r = 0; r < p.rows; ++r) {
      for (index tap = 0; tap < p.taps; ++tap) {
        const index at = p.w_at(c, r, tap);
        double expected = static_cast<double>(at % 5), extent = expected;
        for (index i = 0; rows[static_cast<std::size_t>(r)] && i < high * pixels; ++i) {
          const index h = i / pixels, column = p.tap_column[static_cast<std::size_t>(tap)] + i % pixels;
          const index from = (h * p.rows + r) * row_size + c / p.lanes * x_vector + column * p.lanes + c % p.lanes;
          const double term =
              static_cast<double>(x[from]) * static_cast<double>(dy[h * dy_row + i % pixels * step + c]);
          expected += term;
          extent += std::fabs(term);
        }
        report.close(dw[at], expected, extent, numbers == Numbers::integers ? 0 : high * pixels + 1, at);
      }
    }
  }
  report.intact(dw, "dw");
}

template <class T>
void check_fill(Report& report, Random& random, index pixels, index channels) {
  const index lanes = kernels<T>().lanes, vectors = (channels + lanes - 1) / lanes;
  std::vector<std::int32_t> from;
  index span = channels;
  if (random.coin()) {
    const index out = random.pick<index>({1, 2, 3, 4, 8, 16}), in = random.pick<index>({1, 2, 3, 4, 8});
    for (index c = 0; c < channels; ++c) from.push_back(static_cast<std::int32_t>(c / out * in));
    span = from.back() + 1;
  }
  const index step = random.pick<index>({span, span + 3, 2 * span});
  const bool apart = random.coin();  // the columns of a vector together, or the vectors of a column
  const index spare = random.below(2) * lanes, to_step = apart ? lanes : vectors * lanes + spare;
  const index to_vector = apart ? pixels * lanes + spare : lanes;
  Guarded<T> x((pixels - 1) * step + span, random.edge());
  Guarded<T> to((vectors - 1) * to_vector + (pixels - 1) * to_step + lanes, random.edge());
  fill(x, random, Numbers::integers);
  to.poison();
  report.start("fill_columns, %zu bytes, pixels %lld of step %lld, channels %lld to %lld and %lld, %s", sizeof(T),
               static_cast<long long>(pixels), static_cast<long long>(step), static_cast<long long>(channels),
               static_cast<long long>(to_vector), static_cast<long long>(to_step),
               from.empty() ? "as they come" : "spread");
  PixelColumns<T> part{};
  part.x = x.data();
  part.from = from.empty() ? nullptr : from.data();
  part.to = to.data();
  part.pixels = pixels;
  part.channels = channels;
  part.x_step = step;
  part.to_vector = to_vector;
  part.to_step = to_step;
  tested<T>().fill_columns(part);
  index written = 0;
  for (index p = 0; p < pixels; ++p) {
    for (index c = 0; c < vectors * lanes; ++c, ++written) {
      const index at = c / lanes * to_vector + p * to_step + c % lanes;
      const index source = c >= channels ? -1 : from.empty() ? c : from[static_cast<std::size_t>(c)];
      report.close(to[at], source < 0 ? 0.0 : x[p * step + source], 0, 0, at);
    }
  }
  index poisoned = 0;
  for (index i = 0; i < to.size(); ++i) poisoned += std::isnan(to[i]);
  report.expect(poisoned == to.size() - written, "an element beside the columns was written");
  report.intact(to, "to");
}

template <class T>
void check_stream(Report& report, Random& random, index rows, index count) {
  StreamedRows<T> p{};
  p.rows = rows;
  p.count = count;
  p.from_stride = count + random.pick<index>({0, 0, 3});
  p.to_stride = count + random.pick<index>({0, 0, 3, 16});
  Guarded<T> from((rows - 1) * p.from_stride + count, random.edge());
  Guarded<T> to((rows - 1) * p.to_stride + count, random.edge());
  fill(from, random, Numbers::reals);
  to.poison();
  p.from = from.data();
  p.to = to.data();
  report.start("stream_rows, %zu bytes, rows %lld of %lld, %lld and %lld apart", sizeof(T),
               static_cast<long long>(rows), static_cast<long long>(count), static_cast<long long>(p.from_stride),
               static_cast<long long>(p.to_stride));
  tested<T>().stream_rows(p);
  for (index i = 0; i < to.size(); ++i) {
    const index r = i / p.to_stride, c = i % p.to_stride;
    report.expect(c < count ? to[i] == from[r * p.from_stride + c] : std::isnan(to[i]), "an element is wrong");
  }
  report.intact(to, "to");
}

template <class T>
void check_type(Report& report) {
  Random random{12};
  const index lanes = kernels<T>().lanes;
  for (index pixels = 1; pixels <= 22; ++pixels) {
    for (index channels : sizes_around(lanes, 2 * lanes)) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        check_row<T>(report, random, pixels, channels);
        check_sum<T>(report, random, pixels, channels);
      }
      check_fill<T>(report, random, pixels, channels);
    }
  }
  for (index rows : {1, 2, 3}) {
    for (index count = 1; count < 70; ++count) check_stream<T>(report, random, rows, count);
  }
}

}  // namespace

void check_depthwise_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
