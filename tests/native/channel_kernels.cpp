// Rows of channels: the map, the sums and the gradient of a normalisation, with small integers, whose sums are exact,
// and with real numbers.
#include <algorithm>

#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

template <class T>
struct Case {
  index rows, channels;
  Guarded<T> x, dy, mean, scale, shift, slope, constant;

  Case(index rows, index channels, Random& random, Numbers kind)
      : rows(rows),
        channels(channels),
        x(rows * channels, random.edge()),
        dy(rows * channels, random.edge()),
        mean(channels, random.edge()),
        scale(channels, random.edge()),
        shift(channels, random.edge()),
        slope(channels, random.edge()),
        constant(channels, random.edge()) {
    for (const Guarded<T>* array : {&x, &dy, &mean, &scale, &shift, &slope, &constant}) fill(*array, random, kind);
  }

  ChannelGrad<T> part(bool relu) const {
    return {x.data(), dy.data(), mean.data(), scale.data(), shift.data(), rows, channels, relu};
  }
  double y(index at) const {
    return std::fma(double(x[at]), double(scale[at % channels]), double(shift[at % channels]));
  }
  double away(index at) const { return double(x[at]) - double(mean[at % channels]); }
  double passed(index at, bool relu) const { return relu && y(at) <= 0 ? 0 : double(dy[at]); }
};

// Element by element.
template <class T>
void check_maps(Report& report, const Case<T>& the, Random& random, bool relu) {
  const T floor = relu ? T(0) : -std::numeric_limits<T>::infinity();
  Guarded<T> y(the.x.size(), random.edge()), dx(the.x.size(), random.edge());
  y.poison();
  dx.poison();
  tested<T>().channel_map(the.x.data(), the.scale.data(), the.shift.data(), floor, y.data(), the.rows, the.channels);
  tested<T>().channel_grad(the.part(relu), the.slope.data(), the.constant.data(), dx.data());
  for (index at = 0; at < the.x.size(); ++at) {
    const index c = at % the.channels;
    report.close(y[at], std::max(double(floor), the.y(at)), std::fabs(the.y(at)) + 2, 2, at);
    const double passed = the.passed(at, relu), rest = the.away(at) * double(the.slope[c]) + double(the.constant[c]);
    report.close(dx[at], passed * double(the.scale[c]) + rest, 40, 2, at);
  }
  report.intact(y, "y");
  report.intact(dx, "dx");
}

// Term returns what one element adds.
template <class T, class Term>
void check_sums(Report& report, const Case<T>& the, const Guarded<T>& sums, index terms, const Term& term) {
  for (index c = 0; c < the.channels; ++c) {
    double sum = 0, extent = 0;
    for (index at = c; at < the.x.size(); at += the.channels) {
      sum += term(at);
      extent += std::fabs(term(at));
    }
    report.close(sums[c], sum, extent, terms, c);
  }
  report.intact(sums, "sums");
}

template <class T>
void check_case(Report& report, Random& random, index rows, index channels, Numbers kind, bool relu) {
  const Case<T> the(rows, channels, random, kind);
  report.start("%zu bytes, rows %lld, channels %lld, relu %d, kind %d", sizeof(T), static_cast<long long>(rows),
               static_cast<long long>(channels), relu, static_cast<int>(kind));
  check_maps(report, the, random, relu);
  Guarded<T> sum(channels, random.edge()), squares(channels, random.edge());
  Guarded<T> total(channels, random.edge()), along(channels, random.edge());
  for (const Guarded<T>* array : {&sum, &squares, &total, &along}) array->poison();
  tested<T>().channel_sums(the.x.data(), sum.data(), rows, channels);
  tested<T>().channel_squares(the.x.data(), the.mean.data(), squares.data(), rows, channels);
  tested<T>().channel_grad_sums(the.part(relu), total.data(), along.data());
  const index terms = kind == Numbers::integers ? 0 : rows;
  check_sums(report, the, sum, terms, [&](index at) { return double(the.x[at]); });
  check_sums(report, the, squares, terms, [&](index at) { return the.away(at) * the.away(at); });
  check_sums(report, the, total, terms, [&](index at) { return the.passed(at, relu); });
  check_sums(report, the, along, terms, [&](index at) { return the.passed(at, relu) * the.away(at); });
}

// What is not a number, or not finite: a map keeps it, a gradient passes where y is NaN and ends where y is not above
// 0.
template <class T>
void check_special(Report& report) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  const T x[] = {nan, infinity, -infinity, T(0), T(1), T(-1)}, one = 1, none = 0;
  const T dy[] = {T(2), T(2), nan, nan, T(2), infinity};
  T y[6], total, along;
  report.start("%zu bytes, special values", sizeof(T));
  tested<T>().channel_map(x, &one, &none, T(0), y, 6, 1);
  report.expect(y[0] != y[0] && y[1] == infinity && y[2] == 0 && y[3] == 0 && y[4] == 1 && y[5] == 0, "a map is wrong");
  for (index at = 0; at < 6; ++at) {
    tested<T>().channel_grad_sums({x + at, dy + at, &none, &one, &none, 1, 1, true}, &total, &along);
    report.expect(total == (at == 0 || at == 1 || at == 4 ? 2 : 0),
                  "a gradient passed where it must not, or not where it must");
  }
}

template <class T>
void check_type(Report& report) {
  Random random{79};
  for (index channels : sizes_around(tested<T>().lanes, tested<T>().panel)) {
    for (index rows : {1, 2, 3, 4, 5, 8, 11}) {
      for (Numbers kind : {Numbers::integers, Numbers::reals}) {
        for (bool relu : {false, true}) check_case<T>(report, random, rows, channels, kind, relu);
      }
    }
  }
  check_special<T>(report);
}

}  // namespace

void check_channel_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
