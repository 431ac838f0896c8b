// Pooling and its gradients through ops.h, with one thread and with several, against loops over every window.
#include "check.h"
#include "ops/ops.h"
#include "threads.h"

namespace pcx::check {

namespace {

// Calls visit(x pixel, y pixel, position in the window) for every tap that lies inside x, in row-major order.
template <class Visit>
void each_tap(const PoolShape& s, Visit visit) {
  const index positions = s.out[0] * s.out[1] * s.out[2];
  for (index image = 0; image < s.batch; ++image) {
    for (index q = 0; q < positions; ++q) {
      const Axes out = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
      for (index t = 0; t < s.taps(); ++t) {
        const Axes tap = {t / (s.kernel[1] * s.kernel[2]), t / s.kernel[2] % s.kernel[1], t % s.kernel[2]};
        Axes in;
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          in[a] = out[a] * s.stride[a] + tap[a] * s.dilation[a] - s.pad_before[a];
          inside = inside && in[a] >= 0 && in[a] < s.in[a];
        }
        if (inside) visit(((image * s.in[0] + in[0]) * s.in[1] + in[1]) * s.in[2] + in[2], image * positions + q, t);
      }
    }
  }
}

index index_at(const PoolShape& s, const std::uint8_t* indices, index i) {
  return s.index_bytes() == 1 ? indices[i] : reinterpret_cast<const std::uint16_t*>(indices)[i];
}

template <class T>
void check_max(Report& report, const PoolShape& s, const Guarded<T>& x, const Guarded<T>& dy) {
  Guarded<T> y(s.y_size(), Edge::end), dx(s.x_size(), Edge::begin);
  Guarded<std::uint8_t> indices(s.y_size() * s.index_bytes(), Edge::end);
  with_and_without_threads(report, y, [&] { max_pool(s, x.data(), y.data(), indices.data()); });
  with_and_without_threads(report, dx, [&] { max_pool_grad(s, dy.data(), indices.data(), dx.data()); });
  std::vector<index> best(static_cast<std::size_t>(s.y_size()), -1), from(best);
  std::vector<double> dx_wanted(static_cast<std::size_t>(s.x_size()));
  each_tap(s, [&](index in, index out, index tap) {
    for (index c = 0; c < s.channels; ++c) {
      const std::size_t i = static_cast<std::size_t>(out * s.channels + c);
      if (best[i] >= 0 && x[in * s.channels + c] <= x[from[i]]) continue;
      best[i] = tap;
      from[i] = in * s.channels + c;
    }
  });
  for (index i = 0; i < s.y_size(); ++i) {
    const index source = from[static_cast<std::size_t>(i)];
    report.close(y[i], x[source], 0, 0, i);
    report.expect(index_at(s, indices.data(), i) == best[static_cast<std::size_t>(i)], "another tap won");
    dx_wanted[static_cast<std::size_t>(source)] += dy[i];
  }
  for (index i = 0; i < s.x_size(); ++i) report.close(dx[i], dx_wanted[static_cast<std::size_t>(i)], 0, 0, i);
  report.intact(y, "y");
  report.intact(dx, "dx");
  report.intact(indices, "indices");
}

template <class T>
void check_average(Report& report, const PoolShape& s, bool count_pad, const Guarded<T>& x, const Guarded<T>& dy) {
  Guarded<T> y(s.y_size(), Edge::begin), dx(s.x_size(), Edge::end);
  with_and_without_threads(report, y, [&] { avg_pool(s, x.data(), count_pad, y.data()); });
  with_and_without_threads(report, dx, [&] { avg_pool_grad(s, dy.data(), count_pad, dx.data()); });
  std::vector<index> divisor(static_cast<std::size_t>(s.y_size() / s.channels), count_pad ? s.taps() : 0);
  std::vector<double> sum(static_cast<std::size_t>(s.y_size())), dx_sum(static_cast<std::size_t>(s.x_size()));
  if (!count_pad) each_tap(s, [&](index, index out, index) { ++divisor[static_cast<std::size_t>(out)]; });
  each_tap(s, [&](index in, index out, index) {
    for (index c = 0; c < s.channels; ++c) {
      sum[static_cast<std::size_t>(out * s.channels + c)] += x[in * s.channels + c];
      dx_sum[static_cast<std::size_t>(in * s.channels + c)] +=
          dy[out * s.channels + c] / static_cast<double>(divisor[static_cast<std::size_t>(out)]);
    }
  });
  const index terms = s.taps() + 3;  // numbers are at most 4
  for (index i = 0; i < s.y_size(); ++i) {
    report.close(
        y[i], sum[static_cast<std::size_t>(i)] / static_cast<double>(divisor[static_cast<std::size_t>(i / s.channels)]),
        4, terms, i);
  }
  for (index i = 0; i < s.x_size(); ++i) {
    report.close(dx[i], dx_sum[static_cast<std::size_t>(i)], 4 * static_cast<double>(s.taps()), terms, i);
  }
  report.intact(y, "y");
  report.intact(dx, "dx");
}

template <class T>
void check_shape(Report& report, Random& random, const PoolShape& s, bool average) {
  const bool count_pad = !s.ceil_mode && random.coin();  // what a window past the padding counts is tested in Python
  report.start("%zu bytes, channels %lld, in %lld %lld %lld, kernel %lld %lld %lld, stride %lld %lld %lld, pad %lld",
               sizeof(T), static_cast<long long>(s.channels), static_cast<long long>(s.in[0]),
               static_cast<long long>(s.in[1]), static_cast<long long>(s.in[2]), static_cast<long long>(s.kernel[0]),
               static_cast<long long>(s.kernel[1]), static_cast<long long>(s.kernel[2]),
               static_cast<long long>(s.stride[0]), static_cast<long long>(s.stride[1]),
               static_cast<long long>(s.stride[2]), static_cast<long long>(s.pad_before[2]));
  Guarded<T> x(s.x_size(), random.edge()), dy(s.y_size(), random.edge());
  fill(x, random, Numbers::integers);
  fill(dy, random, Numbers::integers);
  check_max(report, s, x, dy);
  if (average) check_average(report, s, count_pad, x, dy);
}

PoolShape shape_of(index channels, Axes in, Axes kernel, Axes stride, Axes pad) {
  PoolShape s;
  s.batch = 2;
  s.channels = channels;
  s.in = in;
  s.kernel = kernel;
  s.stride = stride;
  s.dilation = {1, 1, 1};
  s.pad_before = s.pad_after = pad;
  return s;
}

template <class T>
void check_type(Report& report) {
  Random random{9};
  for (int i = 0; i < 80; ++i) {
    Axes in, kernel, stride, pad;
    for (int a = 0; a < 3; ++a) {
      kernel[a] = a == 0 && random.coin() ? 1 : 1 + random.below(3);
      stride[a] = 1 + random.below(3);
      pad[a] = random.below(kernel[a] / 2 + 1);
      in[a] = kernel[a] + random.below(a == 2 ? 13 : 5);
    }
    PoolShape s = shape_of(random.pick<index>({1, 3, 8, 15, 17, 33}), in, kernel, stride, pad);
    s.ceil_mode = random.coin();
    const bool dilated = random.below(4) == 0;
    if (dilated) {
      s.dilation[2] = 2;
      s.in[2] += kernel[2] - 1;
    }
    s.finish();
    check_shape<T>(report, random, s, !dilated);
  }
  PoolShape wide = shape_of(3, {1, 19, 21}, {1, 17, 17}, {1, 2, 2}, {0, 0, 0});  // positions beyond a byte
  wide.finish();
  check_shape<T>(report, random, wide, true);
  PoolShape large = shape_of(64, {1, 130, 130}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0});  // enough for several threads
  large.finish();
  check_shape<T>(report, random, large, true);
}

}  // namespace

void check_pool_ops(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
}

}  // namespace pcx::check
