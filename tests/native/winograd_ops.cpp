// Winograd's algorithm in all directions through ops.h, with one thread and with several, against loops over
// everything.
#include <algorithm>
#include <cstring>
#include <limits>

#include "conv_reference.h"
#include "threads.h"

namespace pcx::check {

namespace {

// From the weight itself, with forms that are kept: each is made once, and a picture that is not finite comes out as
// the direct algorithm has it.
void check_convolve(Report& report, Random& random, const ConvShape& s) {
  start(report, s, sizeof(float));
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
void check_winograd(Report& report, Random& random, const ConvShape& s) {
  start(report, s, sizeof(float));
  Guarded<float> x(s.x_size(), random.edge()), w(s.w_size(), random.edge()), y(s.y_size(), random.edge());
  Guarded<float> dx(s.x_size(), random.edge()), dy(s.y_size(), random.edge()), dw(s.w_size(), random.edge());
  for (const Guarded<float>* array : {&x, &w, &dy}) fill(*array, random, Numbers::reals);
  const Wanted wanted(s, x.data(), w.data(), dy.data());
  auto compare_all = [&](const Guarded<float>& got, const Reference& reference) {
    const double extent = *std::max_element(reference.extent.begin(), reference.extent.end());
    for (index i = 0; i < got.size(); ++i) report.close(got[i], reference.sum[i], extent, 60, i);
    report.intact(got, "the result");
  };
  auto tiles = [&](Direction direction) {
    return choose_tiles<float>(s, direction, Algorithm::winograd, direction != Direction::weight_grad, false);
  };
  const float* no_bias = nullptr;
  float* no_sums = nullptr;
  const PackedWeight<float> forward = pack_weight(s, Direction::forward, tiles(Direction::forward), w.data());
  with_and_without_threads(report, y, [&] { conv_forward(s, x.data(), forward, no_bias, false, y.data()); });
  compare_all(y, wanted.y);
  const PackedWeight<float> backward = pack_weight(s, Direction::input_grad, tiles(Direction::input_grad), w.data());
  with_and_without_threads(report, dx, [&] { conv_input_grad(s, dy.data(), backward, no_bias, false, dx.data()); });
  compare_all(dx, wanted.dx);
  const Tiles whole = tiles(Direction::weight_grad);
  with_and_without_threads(report, dw, [&] { conv_weight_grad(s, whole, x.data(), dy.data(), dw.data(), no_sums); });
  compare_all(dw, wanted.dw);
}

ConvShape drawn_shape(Random& random, bool threes) {
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

ConvShape dense_shape(Random& random, bool threes) {
  return draw_within(1e7, [&] { return drawn_shape(random, threes); });
}

// With a stride that is shorter than the kernel on each axis where that is possible.
ConvShape strided_shape(Random& random, bool threes) {
  ConvShape s = dense_shape(random, threes);
  for (int a = 0; a < 3; ++a) s.stride[a] = 1 + random.below(std::max<index>(1, std::min<index>(s.kernel[a] - 1, 3)));
  s.finish();
  return s;
}

}  // namespace

void check_winograd_ops(Report& report) {
  Random random{11};
  for (int i = 0; i < 120; ++i) check_winograd(report, random, dense_shape(random, i % 2 == 0));
  check_winograd(report, random, large_shape(27, 33, 3, 1));
  for (int i = 0; i < 20; ++i) check_convolve(report, random, dense_shape(random, false));
  for (int i = 0; i < 120; ++i) check_winograd(report, random, strided_shape(random, i % 3 == 0));
}

}  // namespace pcx::check
