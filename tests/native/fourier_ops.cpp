// Convolution by Fourier transforms, both directions, with the transforms of every instruction set, against the direct
// algorithm in float64.
#include "conv_reference.h"
#include "spoil.h"

namespace pcx::check {

namespace {

ConvShape drawn_shape(Random& random) {
  ConvShape s;
  s.batch = 1 + random.below(2);
  s.groups = random.pick<index>({1, 1, 2, 5});
  s.in_channels = s.groups * random.pick<index>({1, 1, 3, 17});
  s.out_channels = s.groups * random.pick<index>({1, 1, 2, 19});
  for (int a = 0; a < 3; ++a) {
    const bool used = a == 2 || random.coin();
    s.kernel[a] = used ? 1 + random.below(a == 2 ? 40 : 6) : 1;
    s.stride[a] = 1;
    s.dilation[a] = used ? 1 + random.below(3) : 1;
    s.pad_before[a] = random.below(s.kernel[a]);
    s.pad_after[a] = random.below(s.kernel[a]);
    s.in[a] = (s.kernel[a] - 1) * s.dilation[a] + 1 + random.below(a == 2 ? 300 : 9);
  }
  s.finish();
  return s;
}

template <class T>
void check_shape(Report& report, Random& random, const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::forward;
  report.start("%s, %zu bytes, groups %lld, channels %lld to %lld, kernel %lld %lld %lld, in %lld %lld %lld",
               forward ? "forward" : "input_grad", sizeof(T), static_cast<long long>(s.groups),
               static_cast<long long>(s.in_channels), static_cast<long long>(s.out_channels),
               static_cast<long long>(s.kernel[0]), static_cast<long long>(s.kernel[1]),
               static_cast<long long>(s.kernel[2]), static_cast<long long>(s.in[0]), static_cast<long long>(s.in[1]),
               static_cast<long long>(s.in[2]));
  const index from = forward ? s.x_size() : s.y_size(), to = forward ? s.y_size() : s.x_size();
  const Guarded<T> x(from, random.edge()), w(s.w_size(), random.edge()), y(to, random.edge());
  const Guarded<double> wide_x(from, Edge::begin), wide_w(s.w_size(), Edge::begin), wide_y(to, Edge::begin);
  fill(x, random, Numbers::reals);
  fill(w, random, Numbers::reals);
  for (index i = 0; i < from; ++i) wide_x[i] = x[i];
  for (index i = 0; i < s.w_size(); ++i) wide_w[i] = w[i];
  y.poison();
  const Tiles lengths = choose_tiles<T>(s, direction, Algorithm::fft, random.coin(), false);
  convolve<T>(s, direction, lengths, x.data(), w.data(), nullptr, nullptr, false, y.data());
  convolve<double>(s, direction, {1, 1, 1}, wide_x.data(), wide_w.data(), nullptr, nullptr, false, wide_y.data());
  const double terms = static_cast<double>(s.taps() * (forward ? s.group_in() : s.out_channels / s.groups));
  for (index i = 0; i < to; ++i)
    report.close(y[i], wide_y[i], std::sqrt(terms), 80,
                 i);  // a rounding in each of some 20 steps, and the largest of 1e5
  report.intact(y, "y");
}

template <class T>
void check_type(Report& report) {
  Random random{23};
  for (int i = 0; i < 40; ++i) {
    const ConvShape s = draw_within(2e7, [&] { return drawn_shape(random); });
    check_shape<T>(report, random, s, Direction::forward);
    check_shape<T>(report, random, s, Direction::input_grad);
  }
}

}  // namespace

void check_fourier_ops(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
