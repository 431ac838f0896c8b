// mixed_row: periods around every tile, outputs around every vector, whose inputs begin wherever one to four vectors
// reach.
#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

// Where so many outputs read the first of `terms` inputs.
template <class T>
std::vector<std::int32_t> places(Random& random, index outputs, index terms) {
  const index lanes = kernels<T>().lanes, reach = lanes << random.below(3), steps = 1 + random.below(6);
  std::vector<std::int32_t> from;
  index at = random.below(3), first = at;
  for (index i = 0; i < outputs; ++i) {
    if (i % lanes == 0) first = at;
    from.push_back(static_cast<std::int32_t>(at));
    const index most = i % lanes == lanes - 1 ? at + steps : std::max(at, first + std::max(reach, terms) - terms);
    at = std::min(most, at + random.below(steps));
  }
  return from;
}

template <class T>
void check_row(Report& report, Random& random, index periods, index outputs) {
  const index lanes = kernels<T>().lanes, terms = 1 + random.below(std::min<index>(4 * lanes, 9));
  const std::vector<std::int32_t> from = places<T>(random, outputs, terms);
  const index reach = from.back() + terms, step = reach - random.below(std::min<index>(reach, 3));
  const index whole = (outputs + lanes - 1) / lanes * lanes;
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  Guarded<T> x((periods - 1) * step + reach, random.edge()), w(whole * terms, random.edge());
  Guarded<T> bias(outputs, random.edge()), y(periods * outputs, random.edge());
  for (const Guarded<T>* array : {&x, &w, &bias}) fill(*array, random, numbers);
  MixedRow<T> row{};
  row.x = x.data();
  row.from = from.data();
  row.w = w.data();
  row.y = y.data();
  row.bias = random.coin() ? bias.data() : nullptr;
  row.periods = periods;
  row.outputs = outputs;
  row.terms = terms;
  row.x_step = step;
  row.relu = random.coin();
  report.start("mixed_row, %zu bytes, periods %lld of %lld outputs, terms %lld, step %lld", sizeof(T),
               static_cast<long long>(periods), static_cast<long long>(outputs), static_cast<long long>(terms),
               static_cast<long long>(step));
  y.poison();
  tested<T>().mixed_row(row);
  for (index at = 0; at < y.size(); ++at) {
    const index i = at % outputs;
    const T* const seen = x.data() + at / outputs * step + from[static_cast<std::size_t>(i)];
    double sum = row.bias ? bias[i] : T(0), extent = std::fabs(sum);
    for (index j = 0; j < terms; ++j) {
      const double term =
          static_cast<double>(seen[j]) * static_cast<double>(w[(i / lanes * terms + j) * lanes + i % lanes]);
      sum += term;
      extent += std::fabs(term);
    }
    report.close(y[at], row.relu && sum < 0 ? 0.0 : sum, extent, numbers == Numbers::integers ? 0 : terms + 2, at);
  }
  report.intact(y, "y");
}

template <class T>
void check_type(Report& report) {
  Random random{31};
  const index lanes = kernels<T>().lanes;
  for (index periods = 1; periods <= 10; ++periods) {
    for (index outputs : sizes_around(lanes, 3 * lanes)) {
      for (int repeat = 0; repeat < 8; ++repeat) check_row<T>(report, random, periods, outputs);
    }
  }
}

}  // namespace

void check_mixed_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
