// distances: rows and columns around every tile, depths around every vector, all differences.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

double difference(Difference kind, double a, double b) {
  const double d = a - b, size = std::fabs(a) + std::fabs(b);
  if (kind == Difference::squared) return d * d;
  if (kind == Difference::absolute) return std::fabs(d);
  return size == 0 ? 0 : d * d / size;
}

template <class T>
void check_block(Report& report, Random& random, index rows, index columns, index depth) {
  Distances<T> p{};
  p.rows = rows;
  p.columns = columns;
  p.depth = depth;
  p.a_stride = depth + random.pick<index>({0, 3});
  p.b_stride = depth + random.pick<index>({0, 3});
  p.d_stride = columns + random.pick<index>({0, 3});
  p.difference = random.pick<Difference>({Difference::squared, Difference::absolute, Difference::chi2});
  p.scale = random.coin() ? T(1) : T(0.5);
  p.root = random.below(4) == 0;
  p.far = random.coin();
  const bool exact = p.difference != Difference::chi2 && !p.root && random.coin();
  const Edge edge = random.edge();
  Guarded<T> a((rows - 1) * p.a_stride + depth, edge), b((columns - 1) * p.b_stride + depth, random.edge());
  Guarded<T> d((rows - 1) * p.d_stride + columns, edge);
  fill(a, random, exact ? Numbers::integers : Numbers::reals);
  fill(b, random, exact ? Numbers::integers : Numbers::reals);
  a[0] = b[0] = 0;  // 0 / 0
  d.poison();
  p.a = a.data();
  p.b = b.data();
  p.d = d.data();
  report.start("%zu bytes, rows %lld, columns %lld, depth %lld, difference %d, scale %g, root %d, far %d", sizeof(T),
               static_cast<long long>(rows), static_cast<long long>(columns), static_cast<long long>(depth),
               static_cast<int>(p.difference), static_cast<double>(p.scale), p.root, p.far);
  tested<T>().distances(p);
  for (index i = 0; i < d.size(); ++i) {
    const index r = i / p.d_stride, c = i % p.d_stride;
    if (c >= columns) {
      report.expect(std::isnan(d[i]), "an element between two rows was written");
      continue;
    }
    double sum = 0;
    for (index k = 0; k < depth; ++k) sum += difference(p.difference, a[r * p.a_stride + k], b[c * p.b_stride + k]);
    sum *= p.scale;
    const double expected = p.root ? std::sqrt(sum) : sum;
    report.close(d[i], expected, expected, exact ? 0 : depth + 4, i);
  }
  // A pair's bits are those it has alone, whichever tiles it is in.
  for (index i : {index{0}, d.size() - 1, random.below(static_cast<int>(rows)) * p.d_stride}) {
    const T among = d[i];
    Distances<T> alone = p;
    alone.a += i / p.d_stride * p.a_stride;
    alone.b += i % p.d_stride * p.b_stride;
    alone.d = &d[i];
    alone.rows = alone.columns = 1;
    alone.far = random.coin();
    tested<T>().distances(alone);
    report.expect(d[i] == among, "a pair has other bits alone than in a block");
  }
  report.intact(d, "d");
}

template <class T>
void check_type(Report& report) {
  Random random{5};
  // Whole tiles and tails of 4, 6 and 14 rows, with panels and without.
  for (index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 17, 23, 43}) {
    for (index columns : {1, 3, 4, 5, 7, 8, 9, 17, 47}) {
      for (index depth : sizes_around(tested<T>().lanes, tested<T>().panel)) {
        check_block<T>(report, random, rows, columns, depth);
      }
      if (rows > 13) {  // around the deepest panel
        for (index depth : {2047, 2048, 2049}) {
          check_block<T>(report, random, rows, columns, depth / static_cast<index>(sizeof(T)));
        }
      }
    }
  }
}

}  // namespace

void check_distance_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
