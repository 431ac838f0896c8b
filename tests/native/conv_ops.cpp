// Direct convolution in its three directions through ops.h, with one thread and with several, against loops over
// everything.
#include <algorithm>

#include "conv_reference.h"
#include "ops/scatter.h"
#include "threads.h"

namespace pcx::check {

namespace {

template <class T>
void compare(Report& report, const Guarded<T>& got, const Reference& wanted, Numbers numbers, bool relu) {
  for (index i = 0; i < got.size(); ++i) {
    const double expected = relu && wanted.sum[i] < 0 ? 0.0 : wanted.sum[i];
    report.close(got[i], expected, wanted.extent[i], numbers == Numbers::integers ? 0 : wanted.terms[i] + 2, i);
  }
  report.intact(got, "the result");
}

// By scattering, in planes or not, whatever the choice for such a shape is.
template <class T>
void scatter_all(Report& report, const ConvShape& s, Direction direction, bool planar, const Guarded<T>& x,
                 const Guarded<T>& w, const T* bias, bool relu, const Guarded<T>& y) {
  Scatter problem = scatter_of(s, direction);
  problem.planar = planar;
  const index tap = s.group_in() * s.out_channels;
  WeightStrides strides{{s.kernel[1] * s.kernel[2] * tap, s.kernel[2] * tap, tap}, s.out_channels, 1, s.group_out()};
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
  Wanted wanted(s, x.data(), w.data(), dy.data());
  Reference db_wanted(s.out_channels);
  for (index i = 0; i < s.y_size(); ++i) {
    wanted.y.add(i, b[i % s.out_channels]);
    db_wanted.add(i % s.out_channels, dy[i]);
  }
  const bool relu = random.coin();
  const PackedWeight<T> forward = pack_weight(s, Direction::forward, direct, w.data());
  with_and_without_threads(report, y, [&] { conv_forward(s, x.data(), forward, b.data(), relu, y.data()); });
  compare(report, y, wanted.y, numbers, relu);
  const PackedWeight<T> backward = pack_weight(s, Direction::input_grad, direct, w.data());
  with_and_without_threads(
      report, dx, [&] { conv_input_grad(s, dy.data(), backward, static_cast<const T*>(nullptr), false, dx.data()); });
  compare(report, dx, wanted.dx, numbers, false);
  for (bool planar : {false, true}) {
    if (scatter_can(s, Direction::forward)) {
      scatter_all(report, s, Direction::forward, planar, x, w, b.data(), relu, y);
      compare(report, y, wanted.y, numbers, relu);
    }
    if (scatter_can(s, Direction::input_grad)) {
      scatter_all(report, s, Direction::input_grad, planar, dy, w, static_cast<const T*>(nullptr), false, dx);
      compare(report, dx, wanted.dx, numbers, false);
    }
  }
  with_and_without_threads(report, dw,
                           [&] { conv_weight_grad(s, Tiles{1, 1, 1}, x.data(), dy.data(), dw.data(), db.data()); });
  compare(report, dw, wanted.dw, numbers, false);
  compare(report, db, db_wanted, numbers, false);
}

ConvShape random_shape(Random& random) {
  ConvShape s;
  s.batch = 1 + random.below(2);
  s.groups = random.pick<index>({1, 1, 1, 2, 3});
  s.in_channels = s.groups * random.pick<index>({1, 2, 3, 7, 17});
  s.out_channels = s.groups * random.pick<index>({1, 3, 5, 7, 16, 33});
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

// Small pictures of many channels, of which several make a block: taps take turns at the pixels that read them.
ConvShape small_shape(Random& random) {
  ConvShape s;
  s.batch = random.pick<index>({1, 2, 5, 40});
  s.groups = random.pick<index>({1, 1, 2});
  s.in_channels = s.groups * random.pick<index>({16, 33, 64, 90});
  s.out_channels = s.groups * random.pick<index>({16, 40, 70});
  const int axes = 1 + static_cast<int>(random.below(3));
  for (int a = 0; a < 3; ++a) {
    const bool used = a >= 3 - axes;
    s.kernel[a] = used ? 2 + random.below(axes == 3 ? 2 : 3) : 1;
    s.stride[a] = used ? random.pick<index>({1, 1, 2, 3}) : 1;
    s.dilation[a] = used ? random.pick<index>({1, 1, 1, 2}) : 1;
    s.in[a] = used ? 1 + random.below(axes == 3 ? 3 : 6) : 1;
    const index reach = s.dilation[a] * (s.kernel[a] - 1) + 1;
    s.pad_before[a] = used ? std::max<index>(0, (reach - s.in[a] + 1) / 2) + random.below(2) : 0;
    s.pad_after[a] = used ? std::max<index>(0, reach - s.in[a] - s.pad_before[a]) + random.below(2) : 0;
  }
  s.finish();
  return s;
}

// Depthwise with fewer channels than lanes, whose pixels fill them together: more and fewer pixels than that takes.
ConvShape coloured_shape(Random& random) {
  ConvShape s;
  s.batch = 1 + random.below(3);
  s.groups = s.in_channels = s.out_channels = 2 + random.below(8);
  for (int a = 0; a < 3; ++a) {
    const bool used = a == 2 || random.coin();
    s.kernel[a] = used ? 1 + random.below(a == 2 ? 7 : 3) : 1;
    s.stride[a] = used && a < 2 ? random.pick<index>({1, 1, 2}) : 1;
    s.dilation[a] = used ? random.pick<index>({1, 1, 2, 5}) : 1;
    const index reach = s.dilation[a] * (s.kernel[a] - 1) + 1;
    s.in[a] = used ? 1 + random.below(a == 2 ? 90 : 9) : 1;
    s.pad_before[a] = random.below(reach + 1);
    s.pad_after[a] = std::max<index>(0, reach - s.in[a] - s.pad_before[a]) + random.below(reach);
  }
  if (random.below(8) == 0) s.in[2] = 3000;  // rows are cut
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

// A picture that leaves the near caches while groups take turns at a block; their channels are summed in two chunks.
ConvShape far_shape() {
  ConvShape s = large_shape(43, 520, 1, 1);
  s.batch = 1;
  s.groups = 2;
  s.out_channels = 16;
  s.finish();
  return s;
}

// Neighbouring positions 4096 bytes apart in x, or a multiple: one set of the first-level cache has them all.
ConvShape crowded_shape(Random& random) {
  ConvShape s;
  s.batch = random.pick<index>({1, 3, 13, 14});
  s.groups = random.pick<index>({1, 1, 2});
  s.out_channels = s.groups * random.pick<index>({9, 20, 52});
  const index stride = random.pick<index>({1, 2});
  s.in_channels = 1024 / stride;
  s.dilation = {1, 1, 1};
  for (int a = 0; a < 3; ++a) {
    const bool used = a > 0 && random.below(4) > 0;
    s.kernel[a] = used ? 1 + random.below(3) : 1;
    s.stride[a] = used || a == 2 ? stride : 1;
    s.pad_before[a] = used ? random.below(s.kernel[a]) : 0;
    s.pad_after[a] = used ? random.below(s.kernel[a]) : 0;
    s.in[a] = used ? s.kernel[a] + random.below(8) : 1;
  }
  s.finish();
  return s;
}

// The same where taps take turns.
ConvShape crowded_padded_shape(index channels, index size, index stride) {
  ConvShape s = padded_shape(size, size, channels, 20, stride);
  s.finish();
  return s;
}

// The same of depthwise convolution, over rows that are short and longer.
ConvShape crowded_depthwise_shape(index channels, index row, index stride) {
  ConvShape s = padded_shape(6, row, channels, channels, stride);
  s.batch = 2;
  s.groups = channels;
  s.finish();
  return s;
}

// A kernel that is large beside the picture: positions need few of its taps. Of many channels, sums have several
// passes.
ConvShape edge_shape(index in_channels, index out_channels, index groups, index dilation) {
  ConvShape s;
  s.batch = 3;
  s.groups = groups;
  s.in_channels = groups * in_channels;
  s.out_channels = groups * out_channels;
  s.in = {3, 5, 9};
  s.kernel = {3, 5, 4};
  s.stride = {1, 1, 1};
  s.dilation = {1, dilation, 1};
  s.pad_before = {1, 2 * dilation, 3};
  s.pad_after = {1, 2 * dilation, 1};
  s.finish();
  return s;
}

// Columns longer than rows: they lie in lanes.
ConvShape tall_shape(index depth, index in_channels, index out_channels, index groups) {
  ConvShape s;
  s.batch = 2;
  s.groups = groups;
  s.in_channels = groups * in_channels;
  s.out_channels = groups * out_channels;
  s.in = {depth, 61, 7};
  s.kernel = {depth > 1 ? 2 : 1, 5, 3};
  s.stride = s.dilation = {1, 1, 1};
  s.pad_before = {0, 2, 1};
  s.pad_after = {1, 3, 1};
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
  for (int i = 0; i < shapes / 4; ++i) {
    for (const ConvShape& s : {small_shape(random), coloured_shape(random)}) {
      start(report, s, sizeof(T));
      check_shape<T>(report, random, s, random.coin() ? Numbers::integers : Numbers::reals);
    }
  }
  for (int i = 0; i < shapes / 15; ++i) {
    const ConvShape s = draw_within(2e7, [&] { return crowded_shape(random); });
    start(report, s, sizeof(T));
    check_shape<T>(report, random, s, random.coin() ? Numbers::integers : Numbers::reals);
  }
  for (const ConvShape& s : {large_shape(19, 23, 3, 1),
                             large_shape(41, 21, 3, 2),
                             large_shape(33, 37, 1, 1),
                             long_shape(0, 1201, 9, 1, 1),
                             long_shape(1, 4001, 7, 3, 2),
                             long_shape(2, 4001, 7, 3, 2),
                             far_shape(),
                             edge_shape(7, 35, 1, 1),
                             edge_shape(7, 3, 1, 2),
                             edge_shape(23, 20, 2, 1),
                             edge_shape(70, 33, 1, 2),
                             tall_shape(1, 20, 1, 1),
                             tall_shape(3, 5, 2, 2),
                             tall_shape(1, 3, 7, 1),
                             crowded_padded_shape(512, 14, 2),
                             crowded_padded_shape(1024, 7, 1),
                             crowded_depthwise_shape(256, 12, 1),
                             crowded_depthwise_shape(512, 7, 1),
                             crowded_depthwise_shape(512, 12, 2),
                             crowded_depthwise_shape(1024, 7, 1)}) {
    start(report, s, sizeof(T));
    check_shape<T>(report, random, s, Numbers::integers);
  }
}

}  // namespace

void check_conv_ops(Report& report) {
  check_type<float>(report, 150);
  check_type<double>(report, 50);
}

}  // namespace pcx::check
