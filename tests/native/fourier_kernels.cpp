// The steps of Fourier transforms against sums over all terms: both radices, transforms that follow one another or lie
// side by side, in place and not; across lanes, there, back, and filtered; sums of products; rows with every tail.
#include <complex>

#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

using Number = std::complex<double>;
constexpr double turn = 6.283185307179586476925;

template <class T>
Number at(const Guarded<T>& re, const Guarded<T>& im, index i) {
  return {static_cast<double>(re[i]), static_cast<double>(im[i])};
}

template <class T>
void close(Report& report, const Guarded<T>& re, const Guarded<T>& im, index i, Number expected, double extent) {
  report.close(re[i], expected.real(), extent, 24, i);
  report.close(im[i], expected.imag(), extent, 24, i);
}

template <class T>
void check_step(Report& report, Random& random, bool back) {
  const index lanes = kernels<T>().lanes, radix = random.coin() ? 4 : 2, part = random.pick<index>({1, 1, 2, 4, 8});
  const index inner = 1 + random.below(3), step = (inner + random.below(2)) * lanes, length = part * radix;
  const index transforms = 1 + random.below(3), size = (transforms * length - 1) * step + inner * lanes;
  const bool in_place = random.coin();
  report.start("step%s, %zu bytes, radix %lld, part %lld, inner %lld, step %lld, transforms %lld, in place %d",
               back ? " back" : "", sizeof(T), static_cast<long long>(radix), static_cast<long long>(part),
               static_cast<long long>(inner), static_cast<long long>(step), static_cast<long long>(transforms),
               in_place);
  Guarded<T> re(size, random.edge()), im(size, random.edge()), to_re(size, random.edge()), to_im(size, random.edge());
  Guarded<T> twiddles(2 * part * (radix - 1), random.edge());
  for (const Guarded<T>* array : {&re, &im, &twiddles}) fill(*array, random, Numbers::reals);
  for (index i = 0; part == 1 && i < twiddles.size(); ++i) twiddles[i] = i % 2 ? T(0) : T(1);
  to_re.poison();
  to_im.poison();
  for (index i = 0; in_place && i < size; ++i) {
    to_re[i] = re[i];
    to_im[i] = im[i];
  }
  const FourierStep<T> s{in_place ? to_re.data() : re.data(),
                         in_place ? to_im.data() : im.data(),
                         to_re.data(),
                         to_im.data(),
                         twiddles.data(),
                         radix,
                         length,
                         transforms,
                         step,
                         inner};
  (back ? tested<T>().fourier_step_back : tested<T>().fourier_step)(s);
  for (index i = 0; i < size; ++i) {
    const index place = i / step, j = place % length % part, own = place % length / part;
    if (i % step >= inner * lanes) {
      if (!in_place) report.expect(std::isnan(to_re[i]) && std::isnan(to_im[i]), "an element between was written");
      continue;
    }
    const auto twiddle = [&](index k) -> Number {
      return k ? Number(twiddles[2 * (j * (radix - 1) + k - 1)], twiddles[2 * (j * (radix - 1) + k - 1) + 1])
               : Number(1);
    };
    Number sum = 0;
    double extent = 0;
    for (index other = 0; other < radix; ++other) {
      const Number x = at(re, im, i + (other - own) * part * step);
      const double angle = turn * static_cast<double>(own * other) / static_cast<double>(radix);
      const Number term = back ? x * std::conj(twiddle(other)) * std::polar(1.0, angle) : x * std::polar(1.0, -angle);
      sum += term;
      extent += 2 * std::abs(x);
    }
    close(report, to_re, to_im, i, back ? sum : sum * twiddle(own), 2 * extent);
  }
  for (const Guarded<T>* array : {&to_re, &to_im}) report.intact(*array, "the result");
}

template <class T>
struct Lanes {
  index lanes = kernels<T>().lanes, count, period, first;
  Guarded<T> re, im, twiddles, spectrum;

  Lanes(Random& random, index groups)
      : count(groups * lanes),
        period(index{1} << random.below(6)),
        first(random.below(4) * lanes),
        re(count * lanes, random.edge()),
        im(count * lanes, random.edge()),
        twiddles(period * 2 * lanes, random.edge()),
        spectrum(count * 2 * lanes, random.edge()) {
    for (const Guarded<T>* array : {&re, &im, &twiddles, &spectrum}) fill(*array, random, Numbers::reals);
  }
  FourierLanes<T> step() const {
    return {re.data(), im.data(), twiddles.data(), spectrum.data(), count, period, first};
  }
  Number twiddle(index v, index lane) const {
    const index i = (first + v) % period * 2 * lanes + lane;
    return {static_cast<double>(twiddles[i]), static_cast<double>(twiddles[i + lanes])};
  }
  std::vector<Number> numbers() const {
    std::vector<Number> all;
    for (index i = 0; i < count * lanes; ++i) all.push_back(at(re, im, i));
    return all;
  }
};

// The frequency of each vector of results: what a single 1 in lane 1 becomes tells it.
template <class T>
std::vector<index> order(Random& random, Report& report) {
  const Lanes<T> probe(random, 1);
  const index n = probe.lanes;
  for (index i = 0; i < n * n; ++i) {
    probe.re[i] = i % n == (n > 1) ? T(1) : T(0);
    probe.im[i] = 0;
  }
  for (index i = 0; i < probe.twiddles.size(); ++i) probe.twiddles[i] = i / n % 2 ? T(0) : T(1);
  tested<T>().fourier_lanes(probe.step());
  std::vector<index> frequency, seen(static_cast<std::size_t>(n), 0);
  for (index v = 0; v < n; ++v) {
    const double turns = -std::arg(at(probe.re, probe.im, v * n)) / turn * static_cast<double>(n);
    frequency.push_back((static_cast<index>(std::lround(turns)) + n) % n);
    ++seen[static_cast<std::size_t>(frequency.back())];
  }
  for (index times : seen) report.expect(times == 1, "a frequency is missing");
  return frequency;
}

template <class T>
void check_lanes(Report& report, Random& random) {
  report.start("across lanes, %zu bytes", sizeof(T));
  const Lanes<T> there(random, 1 + random.below(3));
  const index n = there.lanes;
  const std::vector<index> frequency = order<T>(random, report);
  std::vector<Number> x = there.numbers();
  tested<T>().fourier_lanes(there.step());
  std::vector<Number> expected;
  for (index i = 0; i < there.count * n; ++i) {  // vector v of a group has frequency[v] of all vectors of the group
    const index from = i / n / n * n + i % n, k = frequency[static_cast<std::size_t>(i / n % n)];
    Number sum = 0;
    for (index lane = 0; lane < n; ++lane) {
      const double angle = -turn * static_cast<double>(lane * k) / static_cast<double>(n);
      sum += x[static_cast<std::size_t>(from * n + lane)] * there.twiddle(from, lane) * std::polar(1.0, angle);
    }
    close(report, there.re, there.im, i, sum, 4.0 * static_cast<double>(n));
    expected.push_back(sum);
  }
  report.intact(there.re, "re");
  report.intact(there.im, "im");
  // Back: with twiddles as they are, each lane times the square of its twiddle's size.
  const Lanes<T> filtered(random, there.count / n);
  const Lanes<T> back(random, there.count / n);
  x = filtered.numbers();
  for (index i = 0; i < back.count * n; ++i) {
    back.re[i] = filtered.re[i];
    back.im[i] = filtered.im[i];
  }
  FourierLanes<T> step = filtered.step();
  step.re = back.re.data();
  step.im = back.im.data();
  kernels<T>().fourier_lanes(step);
  for (index v = 0; v < back.count; ++v) {
    for (index lane = 0; lane < n; ++lane) {
      const index i = v * n + lane, w = v * 2 * n + lane;
      const Number product = at(back.re, back.im, i) * Number(filtered.spectrum[w], filtered.spectrum[w + n]);
      back.re[i] = static_cast<T>(product.real());
      back.im[i] = static_cast<T>(product.imag());
    }
  }
  kernels<T>().fourier_lanes_back(step);
  tested<T>().fourier_lanes_filter(filtered.step());
  for (index i = 0; i < back.count * n; ++i) {
    close(report, filtered.re, filtered.im, i, at(back.re, back.im, i), 16.0 * static_cast<double>(n));
  }
  for (index i = 0; i < back.count * n; ++i) {
    back.re[i] = static_cast<T>(x[static_cast<std::size_t>(i)].real());
    back.im[i] = static_cast<T>(x[static_cast<std::size_t>(i)].imag());
  }
  kernels<T>().fourier_lanes(step);
  tested<T>().fourier_lanes_back(step);
  for (index i = 0; i < back.count * n; ++i) {
    const Number same = x[static_cast<std::size_t>(i)] * std::norm(filtered.twiddle(i / n, i % n)) * double(n);
    close(report, back.re, back.im, i, same, 8.0 * static_cast<double>(n));
  }
  for (const Guarded<T>* array : {&filtered.re, &filtered.im, &back.re, &back.im}) report.intact(*array, "re or im");
}

template <class T>
void check_product(Report& report, Random& random) {
  const index lanes = kernels<T>().lanes, count = 1 + random.below(5), terms = 1 + random.below(5);
  const index step = count * lanes + random.below(2) * 3, size = (terms - 1) * step + count * lanes;
  report.start("products, %zu bytes, terms %lld", sizeof(T), static_cast<long long>(terms));
  Guarded<T> re(size, random.edge()), im(size, random.edge()), spectrum(count * terms * 2 * lanes, random.edge());
  Guarded<T> to_re(count * lanes, random.edge()), to_im(count * lanes, random.edge());
  for (const Guarded<T>* array : {&re, &im, &spectrum}) fill(*array, random, Numbers::integers);
  to_re.poison();
  to_im.poison();
  tested<T>().spectrum_product({re.data(), im.data(), spectrum.data(), to_re.data(), to_im.data(), terms, count, step});
  for (index i = 0; i < count * lanes; ++i) {
    Number sum = 0;
    for (index term = 0; term < terms; ++term) {
      const index w = (i / lanes * terms + term) * 2 * lanes + i % lanes;
      sum += at(re, im, term * step + i) * Number(spectrum[w], spectrum[w + lanes]);
    }
    report.close(to_re[i], sum.real(), 0, 0, i);
    report.close(to_im[i], sum.imag(), 0, 0, i);
  }
  report.intact(to_re, "re");
  report.intact(to_im, "im");
}

template <class T>
void check_row(Report& report, Random& random, index count) {
  const bool relu = random.coin(), in_place = random.coin();
  report.start("row, %zu bytes, count %lld", sizeof(T), static_cast<long long>(count));
  Guarded<T> x(count, random.edge()), y(count, random.edge());
  fill(x, random, Numbers::integers);
  y.poison();
  for (index i = 0; in_place && i < count; ++i) y[i] = x[i];
  const T* const from = in_place ? y.data() : x.data();
  report.expect(tested<T>().finish_row(from, y.data(), count, T(2), relu), "a finite row was called something else");
  for (index i = 0; i < count; ++i) {
    report.close(y[i], relu && x[i] + 2 < 0 ? 0.0 : static_cast<double>(x[i]) + 2, 0, 0, i);
  }
  report.intact(y, "y");
  x[random.below(count)] = random.coin() ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::quiet_NaN();
  report.expect(!tested<T>().finish_row(x.data(), y.data(), count, T(2), relu), "a row that is not finite was missed");
}

template <class T>
void check_type(Report& report) {
  Random random{17};
  for (int i = 0; i < 60; ++i) {
    check_step<T>(report, random, false);
    check_step<T>(report, random, true);
    check_product<T>(report, random);
  }
  for (int i = 0; i < 20; ++i) check_lanes<T>(report, random);
  for (index count : sizes_around(kernels<T>().lanes, kernels<T>().panel)) check_row<T>(report, random, count);
}

}  // namespace

void check_fourier_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
