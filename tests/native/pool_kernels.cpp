// Pooling rows and their gradients, and the elementwise kernels: every tail of channels, every size of index, values
// among zeros, infinities and NaN.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

template <class T>
T special(Random& random) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  return random.coin() ? random.pick<T>({T(0), -T(0), nan, infinity, -infinity, T(1), -T(1)})
                       : static_cast<T>(random.below(9) - 4);
}

template <class T>
bool same(T a, T b) {
  return a == b || (a != a && b != b);
}

struct Taps {
  std::vector<index> offsets;
  std::vector<std::uint32_t> positions;
};

Taps draw_taps(Random& random, index count, index reach, std::uint32_t most) {
  Taps taps;
  for (index i = 0; i < count; ++i) {
    taps.offsets.push_back(random.below(reach));
    taps.positions.push_back(static_cast<std::uint32_t>(random.below(most)) + 1);
  }
  return taps;
}

template <class T, class Index>
void check_rows(Report& report, Random& random, index channels, index tap_count) {
  const index windows = random.pick<index>({1, 2, 5}), reach = 7 * channels + 3;
  const Taps taps =
      draw_taps(random, tap_count, reach, static_cast<std::uint32_t>(std::numeric_limits<Index>::max() - 1));
  PoolRow<T> row{};
  row.offsets = taps.offsets.data();
  row.positions = taps.positions.data();
  row.taps = tap_count;
  row.windows = windows;
  row.channels = channels;
  row.x_step = random.pick<index>({channels, 2 * channels + 1});
  row.y_step = channels + random.pick<index>({0, 3});
  row.divisor = static_cast<T>(tap_count);
  Guarded<T> x((windows - 1) * row.x_step + reach + channels, random.edge());
  Guarded<T> y((windows - 1) * row.y_step + channels, random.edge());
  Guarded<Index> indices(y.size(), random.edge());
  for (index i = 0; i < x.size(); ++i) x[i] = special<T>(random);
  for (index i = 0; i < indices.size(); ++i) indices[i] = 0;
  y.poison();
  row.x = x.data();
  row.y = y.data();
  row.indices = indices.data();
  row.index_bytes = sizeof(Index);
  report.start("%zu bytes, index of %zu, channels %lld, taps %lld, windows %lld", sizeof(T), sizeof(Index),
               static_cast<long long>(channels), static_cast<long long>(tap_count), static_cast<long long>(windows));
  tested<T>().max_pool(row);
  for (index i = 0; i < y.size(); ++i) {
    const index p = i / row.y_step, c = i % row.y_step;
    if (c >= channels) {
      report.expect(y[i] != y[i] && indices[i] == 0, "an element between two windows was written");
      continue;
    }
    index best = 0;
    auto value = [&](index tap) { return x[p * row.x_step + taps.offsets[static_cast<std::size_t>(tap)] + c]; };
    for (index tap = 1; tap < tap_count; ++tap) {
      if (value(tap) > value(best) || (value(tap) != value(tap) && value(best) == value(best))) best = tap;
    }
    report.expect(same(y[i], value(best)), "a maximum is wrong");
    report.expect(indices[i] == taps.positions[static_cast<std::size_t>(best)], "a position is wrong");
  }
  y.poison();
  row.indices = nullptr;
  row.index_bytes = 0;
  tested<T>().max_pool(row);
  for (index i = 0; i < y.size(); ++i) {
    const index p = i / row.y_step, c = i % row.y_step;
    T best = c < channels ? x[p * row.x_step + taps.offsets[0] + c] : T(0);
    for (index offset : taps.offsets) {
      const T value = c < channels ? x[p * row.x_step + offset + c] : T(0);
      if (value > best || value != value) best = value;
    }
    report.expect(c < channels ? same(y[i], best) : y[i] != y[i], "a maximum without its index is wrong");
  }
  y.poison();
  tested<T>().avg_pool(row);
  for (index i = 0; i < y.size(); ++i) {
    const index p = i / row.y_step, c = i % row.y_step;
    T sum = 0;
    for (index offset : taps.offsets) sum += c < channels ? x[p * row.x_step + offset + c] : T(0);
    report.expect(c < channels ? same(y[i], sum / row.divisor) : y[i] != y[i], "a mean is wrong");
  }
  report.intact(y, "y");
  report.intact(indices, "indices");
}

template <class T, class Index>
void check_grad_rows(Report& report, Random& random, index channels, index tap_count) {
  const index pixels = random.pick<index>({1, 2, 5}), reach = 5 * channels + 2;
  const Taps taps = draw_taps(random, tap_count, reach, 4);
  const std::vector<T> scales(static_cast<std::size_t>(tap_count), T(0.25));
  PoolGradRow<T> row{};
  row.offsets = taps.offsets.data();
  row.positions = taps.positions.data();
  row.scales = scales.data();
  row.index_bytes = sizeof(Index);
  row.taps = tap_count;
  row.pixels = pixels;
  row.channels = channels;
  row.dy_step = channels;
  row.dx_step = channels + random.pick<index>({0, 3});
  Guarded<T> dy((pixels - 1) * row.dy_step + reach + channels, random.edge());
  Guarded<Index> indices(dy.size(), random.edge());
  Guarded<T> dx((pixels - 1) * row.dx_step + channels, random.edge());
  fill(dy, random, Numbers::integers);
  for (index i = 0; i < indices.size(); ++i) indices[i] = static_cast<Index>(random.below(6));
  row.dy = dy.data();
  row.indices = indices.data();
  row.dx = dx.data();
  report.start("gradient, %zu bytes, index of %zu, channels %lld, taps %lld, pixels %lld", sizeof(T), sizeof(Index),
               static_cast<long long>(channels), static_cast<long long>(tap_count), static_cast<long long>(pixels));
  for (bool max : {true, false}) {
    dx.poison();
    max ? tested<T>().max_pool_grad(row) : tested<T>().avg_pool_grad(row);
    for (index i = 0; i < dx.size(); ++i) {
      const index p = i / row.dx_step, c = i % row.dx_step;
      T sum = 0;
      for (std::size_t tap = 0; c < channels && tap < taps.offsets.size(); ++tap) {
        const index at = p * row.dy_step + taps.offsets[tap] + c;
        sum += !max ? dy[at] / 4 : indices[at] == taps.positions[tap] ? dy[at] : T(0);
      }
      report.expect(c < channels ? dx[i] == sum : dx[i] != dx[i], max ? "dx of max is wrong" : "dx of mean is wrong");
    }
  }
  report.intact(dx, "dx");
}

// Windows that do not overlap, whose taps lie anywhere among their own pixels.
template <class T, class Index>
void check_spread(Report& report, Random& random, index channels, index tap_count) {
  const index windows = random.pick<index>({1, 2, 5}), pixels = tap_count + random.below(3);
  PoolSpread<T> row{};
  row.channels = channels;
  row.windows = windows;
  row.taps = tap_count;
  row.scale = T(0.25);
  row.dy_step = channels + random.pick<index>({0, 3});
  const index pixel = channels + random.pick<index>({0, 2});
  row.dx_step = pixels * pixel;
  std::vector<index> offsets;
  std::vector<std::uint32_t> positions;
  for (index i = 0; i < tap_count; ++i) {
    offsets.push_back((pixels - 1 - i) * pixel);
    positions.push_back(static_cast<std::uint32_t>(1 + i % 5));
  }
  row.offsets = offsets.data();
  row.positions = positions.data();
  Guarded<T> dy((windows - 1) * row.dy_step + channels, random.edge());
  Guarded<Index> indices(dy.size(), random.edge());
  Guarded<T> dx((windows - 1) * row.dx_step + (pixels - 1) * pixel + channels, random.edge());
  fill(dy, random, Numbers::integers);
  for (index i = 0; i < indices.size(); ++i) indices[i] = static_cast<Index>(random.below(6));
  row.dy = dy.data();
  row.dx = dx.data();
  report.start("spread, %zu bytes, index of %zu, channels %lld, taps %lld, windows %lld", sizeof(T), sizeof(Index),
               static_cast<long long>(channels), static_cast<long long>(tap_count), static_cast<long long>(windows));
  for (bool max : {true, false}) {
    row.indices = max ? indices.data() : nullptr;
    row.index_bytes = max ? sizeof(Index) : 0;
    dx.poison();
    tested<T>().pool_spread(row);
    index written = 0;
    for (index p = 0; p < windows; ++p) {
      for (std::size_t tap = 0; tap < offsets.size(); ++tap) {
        for (index c = 0; c < channels; ++c, ++written) {
          const index at = p * row.dy_step + c;
          const T expected = !max ? dy[at] / 4 : indices[at] == positions[tap] ? dy[at] : T(0);
          report.expect(dx[p * row.dx_step + offsets[tap] + c] == expected, "a pixel's gradient is wrong");
        }
      }
    }
    index poisoned = 0;
    for (index i = 0; i < dx.size(); ++i) poisoned += dx[i] != dx[i];
    report.expect(poisoned == dx.size() - written, "an element beside the taps was written");
  }
  report.intact(dx, "dx");
}

template <class T>
void check_pools(Report& report) {
  Random random{5};
  const index lanes = kernels<T>().lanes;
  for (index channels : sizes_around(lanes, 3 * lanes)) {
    for (index taps : {1, 2, 3, 4, 5, 9}) {
      check_rows<T, std::uint8_t>(report, random, channels, taps);
      check_rows<T, std::uint16_t>(report, random, channels, taps);
      check_rows<T, std::uint32_t>(report, random, channels, taps);
    }
    for (index taps : {0, 1, 2, 4}) {
      check_grad_rows<T, std::uint8_t>(report, random, channels, taps);
      check_grad_rows<T, std::uint16_t>(report, random, channels, taps);
      check_grad_rows<T, std::uint32_t>(report, random, channels, taps);
    }
    for (index taps : {1, 2, 3, 4, 6}) {
      check_spread<T, std::uint8_t>(report, random, channels, taps);
      check_spread<T, std::uint16_t>(report, random, channels, taps);
      check_spread<T, std::uint32_t>(report, random, channels, taps);
    }
  }
}

template <class T>
void check_elements(Report& report) {
  Random random{6};
  for (index count = 0; count <= 67; ++count) {
    Guarded<T> x(count, random.edge()), y(count, random.edge()), dx(count, random.edge());
    Guarded<std::uint8_t> passed((count + 7) / 8, random.edge());
    for (index i = 0; i < count; ++i) x[i] = special<T>(random);
    y.poison();
    dx.poison();
    report.start("%zu bytes, %lld elements", sizeof(T), static_cast<long long>(count));
    tested<T>().relu(x.data(), y.data(), count);
    tested<T>().relu_passed(x.data(), passed.data(), count);
    for (const T floor : {T(0), -std::numeric_limits<T>::infinity()}) {
      tested<T>().add_arrays(x.data(), y.data(), floor, dx.data(), count);
      for (index i = 0; i < count; ++i) {
        const T sum = x[i] + y[i];
        report.expect(same(dx[i], sum < floor ? floor : sum), "a sum is wrong");
      }
    }
    dx.poison();
    tested<T>().keep_passed(x.data(), passed.data(), dx.data(), count);
    for (index i = 0; i < count; ++i) {
      const bool passes = !(x[i] <= 0);
      report.expect(same(y[i], passes ? x[i] : T(0)), "relu is wrong");
      report.expect((passed[i / 8] >> (i % 8) & 1) == passes, "a bit is wrong");
      report.expect(same(dx[i], passes ? x[i] : T(0)), "what is kept is wrong");
    }
    if (count % 8) report.expect(passed[count / 8] >> (count % 8) == 0, "a bit past the end is set");
    report.intact(y, "y");
    report.intact(dx, "dx");
    report.intact(passed, "passed");
  }
}

}  // namespace

void check_pool_kernels(Report& report) {
  check_pools<float>(report);
  check_pools<double>(report);
}

void check_elementwise_kernels(Report& report) {
  check_elements<float>(report);
  check_elements<double>(report);
}

}  // namespace pcx::check
