// Gram matrices, distances and nearest neighbours through ops.h, with one thread and with several.
#include <algorithm>
#include <numeric>

#include "check.h"
#include "ops/ops.h"
#include "threads.h"

namespace pcx::check {

namespace {

template <class T>
void check_gram(Report& report, Random& random, const GramShape& s, bool normalize) {
  const Numbers numbers = normalize ? Numbers::reals : Numbers::integers;
  const index n = s.channels, size = s.batch * s.positions * n;
  const double scale = normalize ? 1.0 / static_cast<double>(s.positions * n) : 1.0;
  Guarded<T> x(size, random.edge()), g(s.batch * n * n, random.edge()), dg(s.batch * n * n, random.edge());
  Guarded<T> dx(size, random.edge());
  fill(x, random, numbers);
  fill(dg, random, numbers);
  report.start("gram, %zu bytes, batch %lld, positions %lld, channels %lld, normalize %d", sizeof(T),
               static_cast<long long>(s.batch), static_cast<long long>(s.positions), static_cast<long long>(n),
               normalize);
  with_and_without_threads(report, g, [&] { gram(s, x.data(), normalize, g.data()); });
  with_and_without_threads(report, dx, [&] { gram_grad(s, x.data(), dg.data(), normalize, dx.data()); });
  Guarded<T> replaced(size, random.edge());
  std::copy_n(x.data(), size, replaced.data());
  gram_grad(s, replaced.data(), dg.data(), normalize, replaced.data());
  report.expect(std::equal(dx.data(), dx.data() + size, replaced.data()), "a gradient in place of x is another");
  for (index i = 0; i < g.size(); ++i) {
    const index image = i / (n * n), a = i / n % n, b = i % n;
    double sum = 0, extent = 0;
    for (index p = 0; p < s.positions; ++p) {
      const T* pixel = &x[(image * s.positions + p) * n];
      sum += static_cast<double>(pixel[a]) * pixel[b];
      extent += std::fabs(static_cast<double>(pixel[a]) * pixel[b]);
    }
    report.close(g[i], sum * scale, extent * scale, normalize ? s.positions + 2 : 0, i);
    report.expect(g[i] == g[image * n * n + b * n + a], "the Gram matrix is not symmetric");
  }
  for (index i = 0; i < dx.size(); ++i) {
    const index image = i / (s.positions * n), pixel = i / n * n, c = i % n;
    double sum = 0, extent = 0;
    for (index k = 0; k < n; ++k) {
      const T* d = &dg[image * n * n];
      const double both = static_cast<double>(d[k * n + c]) + d[c * n + k];
      sum += x[pixel + k] * both;
      extent += std::fabs(x[pixel + k]) * (std::fabs(d[k * n + c]) + std::fabs(d[c * n + k]));
    }
    report.close(dx[i], sum * scale, extent * scale, normalize ? n + 4 : 0, i);
  }
  report.intact(g, "g");
  report.intact(dx, "dx");
}

// Exact for small integers, so that the order among equals can be asked for.
double distance(Metric metric, index depth, const float* a, const float* b) {
  double sum = 0;
  for (index i = 0; i < depth; ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += metric == Metric::sqeuclidean ? d * d : std::fabs(d);
  }
  return sum;
}

void check_distances(Report& report, Random& random, index rows, index columns, index depth, index k) {
  const Metric metric = random.coin() ? Metric::sqeuclidean : Metric::manhattan;
  Guarded<float> a(rows * depth, random.edge()), b(columns * depth, random.edge());
  Guarded<float> d(rows * columns, random.edge()), near(rows * k, random.edge());
  Guarded<index> numbers(rows * k, random.edge());
  fill(a, random, Numbers::integers);
  fill(b, random, Numbers::integers);
  report.start("distances, rows %lld, columns %lld, depth %lld, k %lld, metric %d", static_cast<long long>(rows),
               static_cast<long long>(columns), static_cast<long long>(depth), static_cast<long long>(k),
               static_cast<int>(metric));
  with_and_without_threads(report, d,
                           [&] { pairwise_distances(metric, rows, columns, depth, a.data(), b.data(), d.data()); });
  with_and_without_threads(
      report, near, [&] { nearest(metric, rows, columns, depth, k, a.data(), b.data(), near.data(), numbers.data()); });
  std::vector<index> order(static_cast<std::size_t>(columns));
  std::vector<double> row(static_cast<std::size_t>(columns));
  for (index r = 0; r < rows; ++r) {
    for (index c = 0; c < columns; ++c) {
      row[static_cast<std::size_t>(c)] = distance(metric, depth, &a[r * depth], &b[c * depth]);
      report.close(d[r * columns + c], row[static_cast<std::size_t>(c)], 0, 0, r * columns + c);
    }
    std::iota(order.begin(), order.end(), index{0});
    std::stable_sort(order.begin(), order.end(), [&](index i, index j) {
      return row[static_cast<std::size_t>(i)] < row[static_cast<std::size_t>(j)];
    });
    for (index i = 0; i < k; ++i) {
      const index wanted = order[static_cast<std::size_t>(i)];
      report.expect(numbers[r * k + i] == wanted, "another neighbour, or equals in another order");
      report.close(near[r * k + i], row[static_cast<std::size_t>(wanted)], 0, 0, r * k + i);
    }
  }
  report.intact(d, "d");
  report.intact(near, "the distances of nearest");
  report.intact(numbers, "the numbers of nearest");
}

}  // namespace

void check_matrix_ops(Report& report) {
  Random random{6};
  for (index channels : {1, 3, 8, 15, 17, 33}) {
    for (index positions : {1, 2, 31}) {
      check_gram<float>(report, random, {2, positions, channels}, random.coin());
      check_gram<double>(report, random, {1, positions, channels}, random.coin());
    }
  }
  check_gram<float>(report, random, {1, 700, 150}, false);  // enough work for several threads
  for (index depth : {1, 7, 16, 31}) {
    for (index columns : {1, 5, 40}) check_distances(report, random, 7, columns, depth, (columns + 1) / 2);
  }
  check_distances(report, random, 60, 900, 130, 11);
}

}  // namespace pcx::check
