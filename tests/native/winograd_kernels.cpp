// Winograd's transforms: for each F(tile, kernel), output(input(d) * filter(g)) is the correlation of d and g, on many
// lines along either of two strides, with bias and ReLU in the last pass, which also tells of Inf and NaN; and the
// products of rows and a panel.
#include "check.h"
#include "isa/toom_cook.h"
#include "spoil.h"

namespace pcx::check {

namespace {

// `outer` x `inner` lines of `count` entries of `channels` elements, entries of one line side by side or far apart.
struct Lines {
  index count, outer, inner, channels, step, inner_stride, outer_stride;
  Lines(index entries, index rows, index columns, index width, bool entries_together, index gap)
      : count(entries), outer(rows), inner(columns), channels(width) {
    const index pixel = channels + gap;
    step = entries_together ? pixel : inner * pixel;
    inner_stride = entries_together ? count * pixel : pixel;
    outer_stride = count * inner * pixel;
  }
  index size() const { return at(outer - 1, inner - 1, count - 1) + channels; }
  index at(index r, index c, index i) const { return r * outer_stride + c * inner_stride + i * step; }
};

template <class T>
TransformPass<T> pass(const Guarded<T>& in, const Lines& from, const Guarded<T>& out, const Lines& to) {
  return {in.data(),       out.data(),        nullptr,         from.step,  to.step,
          from.outer,      from.outer_stride, to.outer_stride, from.inner, from.inner_stride,
          to.inner_stride, from.channels,     false,           0,          from.channels};
}

// In fractions: sum over j of output[i][j] filter[j][k] input[j][l] is 1 where l = i + k, else 0. Then any product of
// the transforms is the correlation, whatever d and g are. (At run time: clang gives up such long constants.)
template <int Tile, int Kernel>
bool inverts() {
  constexpr ToomCookFractions<Tile, Kernel> m;
  for (int i = 0; i < Tile; ++i) {
    for (int k = 0; k < Kernel; ++k) {
      for (int l = 0; l < m.size; ++l) {
        Fraction sum = 0;
        for (int j = 0; j < m.size; ++j) sum = sum + m.output[i][j] * m.filter[j][k] * m.input[j][l];
        if (!(sum == Fraction(l == i + k))) return false;
      }
    }
  }
  return true;
}

void check_matrices(Report& report) {
  report.start("matrices in fractions");
  const bool all[] = {inverts<3, 2>(), inverts<4, 2>(), inverts<5, 2>(), inverts<2, 3>(), inverts<3, 3>(),
                      inverts<4, 3>(), inverts<5, 3>(), inverts<6, 3>(), inverts<3, 4>(), inverts<4, 4>(),
                      inverts<5, 4>(), inverts<2, 5>(), inverts<3, 5>(), inverts<4, 5>(), inverts<3, 6>(),
                      inverts<4, 7>(), inverts<4, 9>()};
  static_assert(sizeof all / sizeof all[0] == winograd_axes, "a new F(tile, kernel) is to be checked here");
  for (bool one : all) report.expect(one, "the transforms do not invert");
}

void check_axis(Report& report, Random& random, const WinogradAxis<float>& axis, index channels) {
  using T = float;
  const index size = axis.size(), outer = 1 + random.below(3), inner = 1 + random.below(3);
  auto lines = [&](index count) {
    return Lines(count, outer, inner, channels, random.coin(), random.pick<index>({0, 5}));
  };
  const Lines d_lines = lines(size), td_lines = lines(size), g_lines = lines(axis.kernel), tg_lines = lines(size);
  const Lines y_lines = lines(axis.tile);
  Guarded<T> d(d_lines.size(), random.edge()), td(td_lines.size(), random.edge());
  Guarded<T> g(g_lines.size(), random.edge()), tg(tg_lines.size(), random.edge());
  Guarded<T> y(y_lines.size(), random.edge()), last(y_lines.size(), random.edge()), bias(channels, random.edge());
  for (const Guarded<T>* array : {&d, &g, &bias}) fill(*array, random, Numbers::reals);
  for (const Guarded<T>* array : {&td, &tg, &y, &last}) array->poison();
  report.start("F(%d, %d), %zu bytes, channels %lld, lines %lld x %lld", axis.tile, axis.kernel, sizeof(T),
               static_cast<long long>(channels), static_cast<long long>(outer), static_cast<long long>(inner));
  axis.input(pass(d, d_lines, td, td_lines));
  axis.filter(pass(g, g_lines, tg, tg_lines));
  auto each = [&](const Lines& l, auto visit) {
    for (index r = 0; r < outer; ++r) {
      for (index c = 0; c < inner; ++c) {
        for (index i = 0; i < l.count; ++i) {
          for (index k = 0; k < channels; ++k) visit(r, c, i, k);
        }
      }
    }
  };
  each(td_lines,
       [&](index r, index c, index i, index k) { td[td_lines.at(r, c, i) + k] *= tg[tg_lines.at(r, c, i) + k]; });
  axis.output(pass(td, td_lines, y, y_lines));
  TransformPass<T> final_pass = pass(td, td_lines, last, y_lines);
  final_pass.bias = bias.data();
  final_pass.relu = true;
  report.expect(axis.last(final_pass), "finite sums are called not finite");
  each(y_lines, [&](index r, index c, index i, index k) {
    double sum = 0, extent = 0;
    for (index t = 0; t < axis.kernel; ++t) {
      const double product = static_cast<double>(d[d_lines.at(r, c, i + t) + k]) * g[g_lines.at(r, c, t) + k];
      sum += product;
      extent += std::fabs(product);
    }
    const index at = y_lines.at(r, c, i) + k;
    report.close(y[at], sum, extent + std::sqrt(axis.amplification) * static_cast<double>(size), 20, at);
    report.expect(last[at] == (y[at] + bias[k] > 0 ? y[at] + bias[k] : T(0)), "bias or ReLU of the last pass is wrong");
  });
  // One bad number in the last line, under a ReLU that would hide it.
  td[td_lines.at(outer - 1, inner - 1, random.below(size)) + channels - 1] =
      random.coin() ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::quiet_NaN();
  report.expect(!axis.last(final_pass), "a sum that is not finite was not told");
  for (const Guarded<T>* array : {&td, &tg, &y, &last}) report.intact(*array, "a result");
}

// The filter's transform in float64: as it is, which that in float32 is nearly, and rounded once.
void check_rounded_filter(Report& report, Random& random, const WinogradAxis<double>& axis,
                          const WinogradAxis<float>& single, index channels) {
  const index size = axis.size(), inner = 1 + random.below(3);
  const Lines g_lines(axis.kernel, 1, inner, channels, random.coin(), 0);
  const Lines t_lines(size, 1, inner, channels, random.coin(), 5);
  Guarded<double> g(g_lines.size(), random.edge()), exact(t_lines.size(), random.edge());
  Guarded<float> rounded(t_lines.size(), random.edge()), nearly(t_lines.size(), random.edge());
  Guarded<float> floats(g_lines.size(), random.edge());
  fill(floats, random, Numbers::reals);
  for (index i = 0; i < g.size(); ++i) g[i] = static_cast<double>(floats[i]);
  exact.poison();
  rounded.poison();
  nearly.poison();
  report.start("rounded filter of F(%d, %d), channels %lld", axis.tile, axis.kernel, static_cast<long long>(channels));
  const TransformPass<double> both = pass(g, g_lines, exact, t_lines);
  axis.filter(both);
  axis.filter_rounded(both, rounded.data());
  single.filter(pass(floats, g_lines, nearly, t_lines));
  for (index c = 0; c < inner; ++c) {
    for (index i = 0; i < size; ++i) {
      for (index k = 0; k < channels; ++k) {
        const index at = t_lines.at(0, c, i) + k;
        report.close(nearly[at], exact[at], 16, axis.kernel, at);  // no row sums more than 16 times the taps
      }
    }
  }
  for (index i = 0; i < exact.size(); ++i) {
    const bool same = rounded[i] == static_cast<float>(exact[i]) || (std::isnan(rounded[i]) && std::isnan(exact[i]));
    report.expect(same, "the rounded transform is not the exact one rounded");
  }
  report.intact(rounded, "the rounded transform");
}

// Rows in float64, with every number of columns.
void check_widened(Report& report, Random& random, index columns) {
  const Kernels<float>& k = kernels<float>();
  const index rows = 1 + random.below(4), width = k.whole_width(columns), stride = columns + random.below(9);
  Guarded<float> from((rows - 1) * stride + columns, random.edge());
  Guarded<double> to(rows * width, random.edge());
  fill(from, random, Numbers::reals);
  to.poison();
  report.start("widened rows, columns %lld", static_cast<long long>(columns));
  k.widen_rows({from.data(), to.data(), rows, columns, stride, width, random.below(1000)});
  for (index i = 0; i < to.size(); ++i) {
    const index column = i % width;
    const double wanted = column < columns ? static_cast<double>(from[i / width * stride + column]) : 0.0;
    report.expect(to[i] == wanted, "not the number, or no zero beside it");
  }
  report.intact(to, "the rows");
}

// Products of rows and a panel, for every number of rows that a register tile can have.
void check_product(Report& report, Random& random, index rows, index width, index columns) {
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index depth = random.pick<index>({1, 2, 3, 16, 37}), x_stride = depth + random.pick<index>({0, 1, 16});
  const index y_stride = width + random.pick<index>({0, 0, 5});
  Guarded<float> x((rows - 1) * x_stride + depth, random.edge()), w(depth * width, random.edge());
  Guarded<float> y((rows - 1) * y_stride + width, random.edge());
  fill(x, random, numbers);
  fill(w, random, numbers);
  const bool accumulate = random.coin();
  y.poison();
  for (index r = 0; r < rows; ++r) {
    for (index k = 0; k < width; ++k) {
      if (accumulate) y[r * y_stride + k] = static_cast<float>(k - r);
    }
  }
  report.start("product, rows %lld, width %lld, columns %lld, depth %lld, accumulate %d", static_cast<long long>(rows),
               static_cast<long long>(width), static_cast<long long>(columns), static_cast<long long>(depth),
               accumulate);
  tested<float>().panel_product(
      {x.data(), w.data(), y.data(), depth, rows, x_stride, y_stride, width, columns, accumulate, depth * width});
  for (index i = 0; i < y.size(); ++i) {
    const index r = i / y_stride, k = i % y_stride;
    if (k >= width) {
      report.expect(std::isnan(y[i]), "an element between two rows was written");
      continue;
    }
    if (k >= columns) continue;  // any number
    double sum = accumulate ? static_cast<double>(k - r) : 0.0, extent = std::fabs(sum);
    for (index d = 0; d < depth; ++d) {
      const double product = static_cast<double>(x[r * x_stride + d]) * static_cast<double>(w[d * width + k]);
      sum += product;
      extent += std::fabs(product);
    }
    report.close(y[i], sum, extent, numbers == Numbers::integers ? 0 : depth + 2, i);
  }
  report.intact(y, "y");
}

void check_products(Report& report) {
  Random random{10};
  const Kernels<float> k = tested<float>();
  for (index rows = 1; rows <= 31; ++rows) {  // register tiles have up to 14: two of them and a rest
    for (int repeat = 0; repeat < 12; ++repeat) {
      const index columns = 1 + random.below(k.panel);
      check_product(report, random, rows, k.whole_width(columns), columns);
    }
  }
}

void check_axes(Report& report) {
  Random random{11};
  const Kernels<float> k = tested<float>();
  for (const WinogradAxis<float>& axis : k.winograd) {
    for (index channels : sizes_around(k.lanes, k.panel)) {
      for (int repeat = 0; repeat < 6; ++repeat) check_axis(report, random, axis, channels);
    }
  }
  for (int i = 0; i < winograd_axes; ++i) {
    for (index vectors : {1, 2, 3})
      check_rounded_filter(report, random, tested<double>().winograd[i], k.winograd[i], vectors * k.lanes);
  }
}

}  // namespace

void check_winograd_kernels(Report& report) {
  check_matrices(report);
  check_axes(report);
  Random random{3};
  for (index columns = 1; columns <= kernels<float>().panel; ++columns) check_widened(report, random, columns);
  check_products(report);
}

}  // namespace pcx::check
