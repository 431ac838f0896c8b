// Convolution in its three directions through ops.h, with one thread and with several, against loops over everything.
#include <algorithm>
#include <cstring>
#include <limits>

#include "check.h"
#include "ops/ops.h"
#include "ops/scatter.h"
#include "threads.h"

namespace pcx::check {

namespace {

constexpr Tiles direct = {1, 1, 1};

// Calls visit(x index, w index, y index) for every product of the convolution.
template <class Visit>
void each_product(const ConvShape& s, Visit visit) {
  auto inside = [&](int axis, index out, index tap) {
    return out * s.stride[axis] + tap * s.dilation[axis] - s.pad_before[axis];
  };
  const index taps = s.taps(), positions = s.out[0] * s.out[1] * s.out[2];
  for (index image = 0; image < s.batch; ++image) {
    for (index q = 0; q < positions; ++q) {
      for (index t = 0; t < taps; ++t) {
        const index d = inside(0, q / (s.out[1] * s.out[2]), t / (s.kernel[1] * s.kernel[2]));
        const index h = inside(1, q / s.out[2] % s.out[1], t / s.kernel[2] % s.kernel[1]);
        const index w = inside(2, q % s.out[2], t % s.kernel[2]);
        if (d < 0 || d >= s.in[0] || h < 0 || h >= s.in[1] || w < 0 || w >= s.in[2]) continue;
        const index x = (((image * s.in[0] + d) * s.in[1] + h) * s.in[2] + w) * s.in_channels;
        const index y = (image * positions + q) * s.out_channels;
        for (index k = 0; k < s.out_channels; ++k) {
          const index group = k / s.group_out();
          for (index c = 0; c < s.group_in(); ++c) {
            visit(x + group * s.group_in() + c, (t * s.group_in() + c) * s.out_channels + k, y + k);
          }
        }
      }
    }
  }
}

// A result in double, and the sum of magnitudes that its rounding errors grow with.
struct Reference {
  std::vector<double> sum, extent;
  std::vector<index> terms;
  explicit Reference(index size) : sum(size), extent(size), terms(size) {}
  void add(index i, double product) {
    sum[i] += product;
    extent[i] += std::fabs(product);
    ++terms[i];
  }
};

template <class T>
void compare(Report& report, const Guarded<T>& got, const Reference& wanted, Numbers numbers, bool relu) {
  for (index i = 0; i < got.size(); ++i) {
    const double expected = relu && wanted.sum[i] < 0 ? 0.0 : wanted.sum[i];
    report.close(got[i], expected, wanted.extent[i], numbers == Numbers::integers ? 0 : wanted.terms[i] + 2, i);
  }
  report.intact(got, "the result");
}

// By scattering, whatever the choice for such a shape is.
template <class T>
void scatter_all(Report& report, const ConvShape& s, Direction direction, const Guarded<T>& x, const Guarded<T>& w,
                 const T* bias, bool relu, const Guarded<T>& y) {
  const Scatter problem = scatter_of(s, direction);
  const index tap = s.in_channels * s.out_channels;
  WeightStrides strides{{s.kernel[1] * s.kernel[2] * tap, s.kernel[2] * tap, tap}, s.out_channels, 1, 0};
  if (direction == Direction::input_grad) std::swap(strides.in, strides.out);
  Guarded<T> packed(scatter_packed_size<T>(problem), Edge::end);
  packed.poison();
  scatter_pack(problem, w.data(), strides, packed.data());
  report.intact(packed, "the packed weight");
  with_and_without_threads(report, y, [&] { scatter(problem, x.data(), packed.data(), bias, relu, y.data()); });
}

template <class T>
void check_shape(Report& report, Random& random, const ConvShape& s, Numbers numbers) {
  const Edge edge = random.edge();
  Guarded<T> x(s.x_size(), edge), w(s.w_size(), edge), y(s.y_size(), edge), dx(s.x_size(), edge), dw(s.w_size(), edge);
  Guarded<T> b(s.out_channels, edge), db(s.out_channels, edge), dy(s.y_size(), edge);
  for (const Guarded<T>* array : {&x, &w, &b, &dy}) fill(*array, random, numbers);
  Reference y_wanted(s.y_size()), dx_wanted(s.x_size()), dw_wanted(s.w_size()), db_wanted(s.out_channels);
  for (index i = 0; i < s.y_size(); ++i) y_wanted.add(i, b[i % s.out_channels]);
  for (index i = 0; i < s.y_size(); ++i) db_wanted.add(i % s.out_channels, dy[i]);
  each_product(s, [&](index xi, index wi, index yi) {
    y_wanted.add(yi, static_cast<double>(x[xi]) * static_cast<double>(w[wi]));
    dx_wanted.add(xi, static_cast<double>(dy[yi]) * static_cast<double>(w[wi]));
    dw_wanted.add(wi, static_cast<double>(dy[yi]) * static_cast<double>(x[xi]));
  });
  const bool relu = random.coin();
  const PackedWeight<T> forward = pack_weight(s, Direction::forward, direct, w.data());
  with_and_without_threads(report, y, [&] { conv_forward(s, x.data(), forward, b.data(), relu, y.data()); });
  compare(report, y, y_wanted, numbers, relu);
  const PackedWeight<T> backward = pack_weight(s, Direction::input_grad, direct, w.data());
  with_and_without_threads(
      report, dx, [&] { conv_input_grad(s, dy.data(), backward, static_cast<const T*>(nullptr), false, dx.data()); });
  compare(report, dx, dx_wanted, numbers, false);
  if (scatter_can(s, Direction::forward)) {
    scatter_all(report, s, Direction::forward, x, w, b.data(), relu, y);
    compare(report, y, y_wanted, numbers, relu);
  }
  if (scatter_can(s, Direction::input_grad)) {
    scatter_all(report, s, Direction::input_grad, dy, w, static_cast<const T*>(nullptr), false, dx);
    compare(report, dx, dx_wanted, numbers, false);
  }
  with_and_without_threads(report, dw,
                           [&] { conv_weight_grad(s, Tiles{1, 1, 1}, x.data(), dy.data(), dw.data(), db.data()); });
  compare(report, dw, dw_wanted, numbers, false);
  compare(report, db, db_wanted, numbers, false);
}

// From the weight itself, with forms that are kept: each is made once, and a picture that is not finite comes out as
// the direct algorithm has it.
void check_convolve(Report& report, Random& random, const ConvShape& s) {
  Guarded<float> x(s.x_size(), random.edge()), w(s.w_size(), random.edge()), y(s.y_size(), random.edge());
  Guarded<float> wanted(s.y_size(), random.edge());
  for (const Guarded<float>* array : {&x, &w}) fill(*array, random, Numbers::reals);
  x[s.x_size() - 1] = std::numeric_limits<float>::infinity();
  const float* no_bias = nullptr;
  const index picture = s.y_size() / s.batch;
  const Tiles tiles = choose_tiles<float>(s, Direction::forward, Algorithm::winograd, true, false);
  conv_forward(s, x.data(), pack_weight(s, Direction::forward, tiles, w.data()), no_bias, false, wanted.data());
  Guarded<float> whole(s.y_size(), random.edge());
  conv_forward(s, x.data(), pack_weight(s, Direction::forward, direct, w.data()), no_bias, false, whole.data());
  for (index i = s.y_size() - picture; i < s.y_size(); ++i) wanted[i] = whole[i];  // the last one is not finite
  PackedForms<float> kept;
  for (PackedForms<float>* forms : {static_cast<PackedForms<float>*>(nullptr), &kept, &kept}) {
    convolve(s, Direction::forward, tiles, x.data(), w.data(), forms, no_bias, false, y.data());
    const std::size_t bytes = static_cast<std::size_t>(s.y_size()) * sizeof(float);
    report.expect(std::memcmp(y.data(), wanted.data(), bytes) == 0, "not the bits of both algorithms");
    report.intact(y, "the result");
  }
  report.expect(kept.made() == 2, "the transformed weight and the direct one are not packed once each");
  report.expect(kept.find(s, Direction::forward, tiles) != nullptr, "a form was not kept");
  report.expect(kept.find(s, Direction::input_grad, tiles) == nullptr, "a form serves another direction");
}

// All directions with Winograd's tiles. Its error is one of the whole sum of a tile, not of each element.
template <class T>
void check_winograd(Report& report, Random& random, const ConvShape& s) {
  Guarded<T> x(s.x_size(), random.edge()), w(s.w_size(), random.edge()), y(s.y_size(), random.edge());
  Guarded<T> dx(s.x_size(), random.edge()), dy(s.y_size(), random.edge()), dw(s.w_size(), random.edge());
  for (const Guarded<T>* array : {&x, &w, &dy}) fill(*array, random, Numbers::reals);
  Reference y_wanted(s.y_size()), dx_wanted(s.x_size()), dw_wanted(s.w_size());
  each_product(s, [&](index xi, index wi, index yi) {
    y_wanted.add(yi, static_cast<double>(x[xi]) * static_cast<double>(w[wi]));
    dx_wanted.add(xi, static_cast<double>(dy[yi]) * static_cast<double>(w[wi]));
    dw_wanted.add(wi, static_cast<double>(dy[yi]) * static_cast<double>(x[xi]));
  });
  auto compare_all = [&](const Guarded<T>& got, const Reference& wanted) {
    const double extent = *std::max_element(wanted.extent.begin(), wanted.extent.end());
    for (index i = 0; i < got.size(); ++i) report.close(got[i], wanted.sum[i], extent, 60, i);
    report.intact(got, "the result");
  };
  const T* no_bias = nullptr;
  const PackedWeight<T> forward = pack_weight(
      s, Direction::forward, choose_tiles<T>(s, Direction::forward, Algorithm::winograd, true, false), w.data());
  with_and_without_threads(report, y, [&] { conv_forward(s, x.data(), forward, no_bias, false, y.data()); });
  compare_all(y, y_wanted);
  const PackedWeight<T> backward = pack_weight(
      s, Direction::input_grad, choose_tiles<T>(s, Direction::input_grad, Algorithm::winograd, true, false), w.data());
  with_and_without_threads(report, dx, [&] { conv_input_grad(s, dy.data(), backward, no_bias, false, dx.data()); });
  compare_all(dx, dx_wanted);
  if (*std::max_element(s.kernel.begin(), s.kernel.end()) > 3 || std::count(s.kernel.begin(), s.kernel.end(), 2))
    return;
  const Tiles tiles = choose_tiles<T>(s, Direction::weight_grad, Algorithm::winograd, false, false);
  T* no_sums = nullptr;
  with_and_without_threads(report, dw, [&] { conv_weight_grad(s, tiles, x.data(), dy.data(), dw.data(), no_sums); });
  compare_all(dw, dw_wanted);
}

void start(Report& report, const ConvShape& s, std::size_t bytes) {
  std::string text = std::to_string(bytes) + " bytes, batch " + std::to_string(s.batch) + ", channels " +
                     std::to_string(s.in_channels) + " to " + std::to_string(s.out_channels) + " in " +
                     std::to_string(s.groups);
  auto axes = [&](const char* name, const Axes& a) {
    text += std::string(", ") + name;
    for (index n : a) text += " " + std::to_string(n);
  };
  axes("in", s.in);
  axes("kernel", s.kernel);
  axes("stride", s.stride);
  axes("dilation", s.dilation);
  axes("before", s.pad_before);
  axes("after", s.pad_after);
  report.start("%s", text.c_str());
}

ConvShape random_shape(Random& random) {
  ConvShape s;
  s.batch = 1 + random.below(2);
  s.groups = random.pick<index>({1, 1, 1, 2, 3});
  s.in_channels = s.groups * random.pick<index>({1, 2, 3, 7, 17});
  s.out_channels = s.groups * random.pick<index>({1, 3, 7, 16, 33});
  for (int a = 0; a < 3; ++a) {
    const bool used = a == 2 || random.below(3) > 0;
    s.kernel[a] = used ? 1 + random.below(a == 0 ? 2 : 4) : 1;
    s.stride[a] = used ? random.pick<index>({1, 1, 2, 3}) : 1;
    s.dilation[a] = used ? random.pick<index>({1, 1, 2, 3}) : 1;
    s.pad_before[a] = used ? random.below(3) : 0;
    s.pad_after[a] = used ? random.below(3) : 0;
    const index reach = s.dilation[a] * (s.kernel[a] - 1) + 1 - s.pad_before[a] - s.pad_after[a];
    s.in[a] = (reach > 1 ? reach : 1) + (used ? random.below(a == 2 ? 24 : 5) : 0);
  }
  s.finish();
  return s;
}

// Enough work that it is shared between threads.
ConvShape large_shape(index size, index channels, index kernel, index stride) {
  ConvShape s;
  s.batch = 2;
  s.in_channels = channels;
  s.out_channels = channels + 5;
  s.in = {1, size, size + 1};
  s.kernel = {1, kernel, kernel};
  s.stride = {1, stride, stride};
  s.dilation = {1, 1, 1};
  s.pad_before = s.pad_after = {0, kernel / 2, kernel / 2};
  s.finish();
  return s;
}

// So much work along one axis that it is cut into strips.
ConvShape long_shape(int axis, index length, index kernel, index stride, index dilation) {
  ConvShape s;
  s.batch = 2;
  s.in_channels = 9;
  s.out_channels = 33;
  s.in = {1, 1, 1};
  s.kernel = s.stride = s.dilation = {1, 1, 1};
  s.in[axis] = length;
  s.kernel[axis] = kernel;
  s.stride[axis] = stride;
  s.dilation[axis] = dilation;
  s.pad_before[axis] = kernel - 1;
  s.finish();
  return s;
}

template <class T>
void check_type(Report& report, int shapes) {
  Random random{4};
  for (int i = 0; i < shapes; ++i) {
    const ConvShape s = random_shape(random);
    start(report, s, sizeof(T));
    check_shape<T>(report, random, s, random.coin() ? Numbers::integers : Numbers::reals);
  }
  for (const ConvShape& s :
       {large_shape(23, 40, 3, 1), large_shape(47, 37, 3, 2), large_shape(53, 61, 1, 1), long_shape(0, 4001, 9, 1, 1),
        long_shape(1, 9001, 7, 3, 2), long_shape(2, 9001, 7, 3, 2)}) {
    start(report, s, sizeof(T));
    check_shape<T>(report, random, s, Numbers::integers);
  }
}

ConvShape dense_shape(Random& random, bool threes) {
  ConvShape s;
  s.batch = 1 + random.below(2);
  s.groups = random.pick<index>({1, 1, 2});
  s.in_channels = s.groups * random.pick<index>({1, 3, 17, 40});
  s.out_channels = s.groups * random.pick<index>({1, 5, 16, 33});
  for (int a = 0; a < 3; ++a) {
    s.kernel[a] = threes ? random.pick<index>({1, 3}) : random.pick<index>({1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9});
    if (a == 2 && s.kernel[a] == 1) s.kernel[a] = 3;
    s.stride[a] = s.dilation[a] = 1;
    s.pad_before[a] = random.below(s.kernel[a]);
    s.pad_after[a] = random.below(s.kernel[a]);
    s.in[a] = s.kernel[a] + random.below(a == 0 ? 3 : 12);
  }
  s.finish();
  return s;
}

template <class T>
void check_winograd_shapes(Report& report, int shapes) {
  Random random{11};
  for (int i = 0; i < shapes; ++i) {
    const ConvShape s = dense_shape(random, i % 2 == 0);
    start(report, s, sizeof(T));
    check_winograd<T>(report, random, s);
  }
  const ConvShape large = large_shape(27, 40, 3, 1);
  start(report, large, sizeof(T));
  check_winograd<T>(report, random, large);
}

}  // namespace

void check_winograd_ops(Report& report) {
  check_winograd_shapes<float>(report, 120);
  Random random{8};
  for (int i = 0; i < 20; ++i) {
    const ConvShape s = dense_shape(random, false);
    start(report, s, sizeof(float));
    check_convolve(report, random, s);
  }
}

void check_conv_ops(Report& report) {
  check_type<float>(report, 150);
  check_type<double>(report, 50);
}

}  // namespace pcx::check
