#include "ops/parts.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "isa/dispatch.h"
#include "ops/depthwise.h"
#include "ops/fourier.h"
#include "ops/joined.h"
#include "ops/scatter.h"
#include "ops/weight_grad.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

void trim_axes(Correlation& part) {
  for (CorrelationAxis& axis : part.axis) trim(axis, axis.positions, axis.in);
}

}  // namespace

std::vector<Correlation> parts_of(const ConvShape& shape, Direction direction) {
  std::vector<Correlation> parts = direction == Direction::forward ? forward_parts(shape) : input_grad_parts(shape);
  for (Correlation& part : parts) trim_axes(part);
  if (parts.size() == 1) return parts;
  index all = 0;
  for (const Correlation& part : parts) all += static_cast<index>(part.products());
  for (Correlation& part : parts) part.all_products = all;
  return parts;
}

std::vector<Correlation> parts_of(const ConvShape& shape, Direction direction, const Tiles& tiles) {
  const bool joined = direction == Direction::input_grad && can_join(shape) && joins(shape, tiles);
  return joined ? joined_parts(shape) : parts_of(shape, direction);
}

double relative_terms(const std::vector<Correlation>& parts, const Correlation& part) {
  double all = 0, results = 1;
  for (const Correlation& p : parts) all += static_cast<double>(p.positions()) * static_cast<double>(p.taps());
  if (part.is_joined())  // whose taps are zero for some results
    all = static_cast<double>(part.all_products) /
          static_cast<double>(part.batch * part.groups * part.in_channels * part.pixel_channels());
  for (const CorrelationAxis& axis : part.axis) results *= static_cast<double>(axis.out);
  return all > 0 ? static_cast<double>(part.taps()) * results / all : 1;
}

// w is (kernel, in_channels / groups, out_channels); the input gradient exchanges the roles of the channels.
WeightStrides strides_of(const ConvShape& s, Direction direction) {
  const index tap = s.group_in() * s.out_channels;
  WeightStrides strides{{s.kernel[1] * s.kernel[2] * tap, s.kernel[2] * tap, tap}, s.out_channels, 1, s.group_out()};
  if (direction == Direction::input_grad) std::swap(strides.in, strides.out);
  return strides;
}

namespace {

constexpr index least_by_turns = 1 << 14;  // elements: smaller ones are packed in no time

bool same_weight(const ConvShape& a, const ConvShape& b) {
  return a.in_channels == b.in_channels && a.out_channels == b.out_channels && a.groups == b.groups &&
         a.kernel == b.kernel && a.stride == b.stride && a.dilation == b.dilation && a.pad_before == b.pad_before;
}

template <class Axis>
bool same_taps(const std::array<Axis, 3>& a, const std::array<Axis, 3>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](const Axis& own, const Axis& other) {
    return own.taps == other.taps && own.kernel_first == other.kernel_first;
  });
}

// Whether pictures of both shapes meet the same taps, and their weights are packed alike.
bool same_taps(const ConvShape& a, const ConvShape& b, Direction direction, const Tiles& tiles, bool scattered) {
  if (scattered) {
    const Scatter own = scatter_of(a, direction), other = scatter_of(b, direction);
    return own.planar == other.planar && same_taps(own.axis, other.axis);
  }
  const std::vector<Correlation> own = parts_of(a, direction, tiles), other = parts_of(b, direction, tiles);
  return std::equal(own.begin(), own.end(), other.begin(), other.end(), [](const Correlation& x, const Correlation& y) {
    return same_taps(x.axis, y.axis) && x.joined == y.joined;
  });
}

// Lengths of Fourier transforms, or tiles of Winograd's algorithm, and the cycles that they take for a picture.
struct Candidate {
  Tiles tiles;
  double cycles;
};

// The best that there are, if they can be; asked for in vain, an error.
template <class T>
Candidate fourier_candidate(const std::vector<Correlation>& parts, bool wanted, bool kept, const Candidate& none) {
  if (!wanted && (parts.size() != 1 || !fourier_can_pay<T>(parts[0]))) return none;
  const char* obstacle = parts.size() != 1 ? "Fourier transforms need stride 1" : fourier_obstacle<T>(parts[0]);
  if (wanted && obstacle) throw std::invalid_argument(obstacle);
  if (obstacle) return none;
  const Tiles lengths = fourier_tiles<T>(parts[0], kept);
  if (!wanted && !fourier_may_pay<T>(parts[0], lengths, kept)) return none;
  return {lengths, fourier_cycles<T>(parts[0], lengths, kept)};
}

template <class T>
Candidate winograd_candidate(const std::vector<Correlation>& parts, bool wanted, bool kept, bool fast,
                             const Candidate& none) {
  const char* obstacle = sizeof(T) != 4 ? "Winograd's algorithm is for float32" : winograd_obstacle(parts);
  if (wanted && obstacle) throw std::invalid_argument(obstacle);
  if (obstacle) return none;
  const Tiles tiles = winograd_tiles(parts, fast, kept);
  return {tiles, winograd_cycles(parts, tiles, kept)};
}

}  // namespace

template <class T>
Tiles choose_tiles(const ConvShape& shape, Direction direction, Algorithm algorithm, bool kept, bool fast) {
  constexpr Candidate none{{1, 1, 1}, std::numeric_limits<double>::infinity()};
  if (algorithm == Algorithm::direct) return none.tiles;
  if (direction == Direction::weight_grad) return weight_grad_tiles<T>(shape, algorithm);
  const std::vector<Correlation> parts = parts_of(shape, direction);
  if (algorithm == Algorithm::fft) return fourier_candidate<T>(parts, true, kept, none).tiles;
  Candidate winograd = winograd_candidate<T>(parts, algorithm == Algorithm::winograd, kept, fast, none);
  if (direction == Direction::input_grad && can_join(shape)) {
    const Candidate joined = winograd_candidate<T>(joined_parts(shape), false, kept, fast, none);
    if (joined.cycles < winograd.cycles) winograd = joined;
  }
  if (algorithm == Algorithm::winograd) return winograd.tiles;
  const Candidate fourier = fourier_candidate<T>(parts, false, kept, none);
  const Candidate& best = fourier.cycles < winograd.cycles ? fourier : winograd;
  constexpr double wider = sizeof(T) / sizeof(float);  // the model is of float32
  return best.cycles < wider * direct_cycles(shape, direction, kept) ? best.tiles : none.tiles;
}

Tiles part_tiles(const Correlation& part, const Tiles& tiles) {
  return is_fourier(tiles) ? tiles : winograd_part_tiles(part, tiles);
}

namespace {

template <class T>
void pack_part(const Correlation& part, const Tiles& tiles, const T* w, const WeightStrides& strides, T* packed) {
  if (is_fourier(tiles)) return fourier_pack(part, tiles, w, strides, packed);
  if constexpr (sizeof(T) == 4) {
    if (tiles != Tiles{1, 1, 1}) return winograd_pack(part, tiles, w, strides, packed);
  }
  depthwise_suits<T>(part) ? depthwise_pack(part, w, strides, packed) : pack(part, w, strides, packed);
}

}  // namespace

template <class T>
index part_packed_size(const Correlation& part, const Tiles& tiles) {
  if (is_fourier(tiles)) return fourier_packed_size<T>(part, tiles);
  if (tiles != Tiles{1, 1, 1}) return winograd_packed_size(part, tiles);
  return depthwise_suits<T>(part) ? depthwise_packed_size<T>(part) : packed_size<T>(part);
}

template <class T>
bool packs_by_turns(const Correlation& part, const Tiles& tiles) {
  if (is_fourier(tiles) || part.is_joined() || part_packed_size<T>(part, tiles) < least_by_turns) return false;
  if constexpr (sizeof(T) == 4) {
    if (tiles != Tiles{1, 1, 1}) return winograd_reads_once(part, tiles);
  }
  return !depthwise_suits<T>(part) && reads_once<T>(part);
}

template <class T>
PackedWeight<T> pack_weight(const ConvShape& shape, Direction direction, const Tiles& tiles, const T* w, bool lent) {
  PackedWeight<T> packed{direction, shape, &active_table(), tiles, {}, 0, {}, lent ? w : nullptr};
  const WeightStrides strides = strides_of(shape, direction);
  if (tiles == Tiles{1, 1, 1} && scatter_suits<T>(shape, direction)) {
    const Scatter problem = scatter_of(shape, direction);
    packed.size = scatter_packed_size<T>(problem);
    packed.data = Buffer<T>(packed.size, Stay::lasting);
    scatter_pack(problem, w, strides, packed.data.data());
    return packed;
  }
  const std::vector<Correlation> parts = parts_of(shape, direction, tiles);
  for (const Correlation& part : parts) {
    const Tiles own = part_tiles(part, tiles);
    const bool by_turns = lent && packs_by_turns<T>(part, own);
    packed.parts.push_back(by_turns ? not_packed : packed.size);
    if (!by_turns) packed.size += part_packed_size<T>(part, own);
  }
  packed.data = Buffer<T>(packed.size, lent ? Stay::brief : Stay::lasting);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (packed.parts[i] == not_packed) continue;
    T* const to = packed.data.data() + packed.parts[i];
    if (parts[i].is_joined()) {
      const JoinedWeight<T> joined(shape, w, strides);
      pack_part(parts[i], tiles, joined.w.data(), joined.strides, to);
    } else {
      pack_part(parts[i], part_tiles(parts[i], tiles), w, strides, to);
    }
  }
  return packed;
}

namespace {

// Parts that are computed directly are packed for the way that they take.
template <class T>
bool same_ways(const PackedWeight<T>& w, const ConvShape& shape, Direction direction) {
  const std::vector<Correlation> packed = parts_of(w.shape, direction, w.tiles),
                                 now = parts_of(shape, direction, w.tiles);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const bool direct = part_tiles(packed[i], w.tiles) == Tiles{1, 1, 1};
    if (direct && way_of<T>(packed[i]) != way_of<T>(now[i])) return false;
  }
  return true;
}

}  // namespace

// Whether a direct convolution scatters depends on the size of the picture, and so do the way of others and the taps
// that meet it.
template <class T>
bool serves(const PackedWeight<T>& w, const ConvShape& shape, Direction direction) {
  if (w.table != &active_table() || w.direction != direction || !same_weight(w.shape, shape)) return false;
  if (w.shape.in == shape.in && w.shape.out == shape.out) return true;
  return same_taps(w.shape, shape, direction, w.tiles, scattered(w)) &&
         (w.tiles != Tiles{1, 1, 1} || scattered(w) == scatter_suits<T>(shape, direction)) &&
         (scattered(w) || same_ways(w, shape, direction));
}

template Tiles choose_tiles<float>(const ConvShape&, Direction, Algorithm, bool, bool);
template Tiles choose_tiles<double>(const ConvShape&, Direction, Algorithm, bool, bool);
template index part_packed_size<float>(const Correlation&, const Tiles&);
template index part_packed_size<double>(const Correlation&, const Tiles&);
template bool packs_by_turns<float>(const Correlation&, const Tiles&);
template bool packs_by_turns<double>(const Correlation&, const Tiles&);
template PackedWeight<float> pack_weight(const ConvShape&, Direction, const Tiles&, const float*, bool);
template PackedWeight<double> pack_weight(const ConvShape&, Direction, const Tiles&, const double*, bool);
template bool serves(const PackedWeight<float>&, const ConvShape&, Direction);
template bool serves(const PackedWeight<double>&, const ConvShape&, Direction);

}  // namespace pcx
