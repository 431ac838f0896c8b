// A weight that is lent for one call, and packed by turns, against the same weight packed before: the same bits.
#include <algorithm>
#include <cstring>

#include "conv_reference.h"
#include "threads.h"

namespace pcx::check {

namespace {

template <class T>
void run(const ConvShape& s, const PackedWeight<T>& w, const T* from, const T* bias, T* to) {
  if (w.direction == Direction::forward)
    conv_forward(s, from, w, bias, true, to);
  else
    conv_input_grad(s, from, w, bias, true, to);
}

// Returns whether some of the weight was packed by turns.
template <class T>
bool check_lent(Report& report, Random& random, const ConvShape& s, Direction direction, const Tiles& tiles) {
  const bool forward = direction == Direction::forward;
  const Edge edge = random.edge();
  Guarded<T> from(forward ? s.x_size() : s.y_size(), edge), to(forward ? s.y_size() : s.x_size(), edge);
  Guarded<T> w(s.w_size(), edge), bias(forward ? s.out_channels : s.in_channels, edge);
  for (const Guarded<T>* array : {&from, &w, &bias}) fill(*array, random, Numbers::reals);
  const PackedWeight<T> packed = pack_weight(s, direction, tiles, w.data());
  with_and_without_threads(report, to, [&] { run(s, packed, from.data(), bias.data(), to.data()); });
  const std::vector<T> wanted(to.data(), to.data() + to.size());
  const PackedWeight<T> lent = pack_weight(s, direction, tiles, w.data(), true);
  with_and_without_threads(report, to, [&] { run(s, lent, from.data(), bias.data(), to.data()); });
  const std::size_t bytes = wanted.size() * sizeof(T);
  report.expect(std::memcmp(to.data(), wanted.data(), bytes) == 0, "a lent weight gives other bits");
  report.intact(to, "the result");
  return std::count(lent.parts.begin(), lent.parts.end(), -1) > 0;
}

// Few positions for a large weight.
ConvShape drawn_shape(Random& random) {
  ConvShape s;
  s.batch = 1 + random.below(3);
  s.groups = random.pick<index>({1, 1, 1, 2});
  s.in_channels = s.groups * (20 + random.below(90));
  s.out_channels = s.groups * (20 + random.below(90));
  for (int a = 0; a < 3; ++a) {
    s.kernel[a] = a == 0 ? random.pick<index>({1, 1, 1, 3}) : random.pick<index>({1, 2, 3, 3, 5});
    s.stride[a] = random.pick<index>({1, 1, 2});
    s.dilation[a] = random.pick<index>({1, 1, 1, 2});
    s.pad_before[a] = random.below(s.kernel[a]);
    s.pad_after[a] = random.below(s.kernel[a]);
    s.in[a] = s.dilation[a] * (s.kernel[a] - 1) + 1 + random.below(a == 0 ? 2 : 6);
  }
  s.finish();
  return s;
}

ConvShape small_shape(Random& random) {
  return draw_within(5e6, [&] { return drawn_shape(random); });
}

// Pixels that are copied, since they are crowded in x, by taps that take turns, as there is much padding.
ConvShape crowded_shape(index stride) {
  ConvShape s = padded_shape(7 * stride, 7 * stride, 1024 / stride, 52, stride);
  s.finish();
  return s;
}

template <class T>
int by_turns(Report& report, int shapes, Algorithm algorithm) {
  Random random{5};
  int count = 0;
  for (int i = 0; i < shapes; ++i) {
    const ConvShape s = small_shape(random);
    start(report, s, sizeof(T));
    for (Direction direction : {Direction::forward, Direction::input_grad}) {
      Tiles tiles = direct;
      try {
        tiles = choose_tiles<T>(s, direction, algorithm, true, false);
      } catch (const std::invalid_argument&) {  // not every shape has tiles
        continue;
      }
      count += check_lent<T>(report, random, s, direction, tiles);
    }
  }
  return count;
}

}  // namespace

void check_lent_ops(Report& report) {
  for (Algorithm algorithm : {Algorithm::direct, Algorithm::winograd}) {
    const int count = by_turns<float>(report, 40, algorithm);
    report.expect(count > 20, "few weights were packed by turns");
  }
  report.expect(by_turns<double>(report, 15, Algorithm::direct) > 5, "few weights were packed by turns");
  for (index stride : {1, 2}) {
    Random random{6};
    const ConvShape s = crowded_shape(stride);
    start(report, s, sizeof(float));
    check_lent<float>(report, random, s, Direction::forward, direct);
  }
}

}  // namespace pcx::check
