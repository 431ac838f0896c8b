// What the algorithms of the weight gradient have in common. Each cuts the channels into parts and the pixels into
// slices that have a dw of their own; slices are added in order, so the sum does not depend on threads.
#pragma once
#include <algorithm>

#include "base/buffer.h"
#include "base/parallel.h"
#include "ops/ops.h"

namespace pcx {

// The tiles for a request, as choose_tiles.
template <class T>
Tiles weight_grad_tiles(const ConvShape& shape, Algorithm algorithm);

// dw by sums over all pixels, for any stride, dilation and type.
template <class T>
void direct_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dw);

template <class T>
Work direct_weight_grad_work(const ConvShape& shape);

// Of whichever algorithm has these tiles.
template <class T>
Work weight_grad_work(const ConvShape& shape, const Tiles& tiles);

inline index divide_up(index a, index b) { return (a + b - 1) / b; }
inline index even_part(index whole, index most) { return divide_up(whole, divide_up(whole, most)); }

// Channels of x and of dy that one task takes, of one group.
struct ChannelParts {
  index channels, columns;  // of a part; the last may have less
  index c_parts, k_parts;

  ChannelParts(const ConvShape& s, index most, index panel)
      : channels(even_part(s.group_in(), most)),
        columns(s.group_out() <= most ? s.group_out() : divide_up(even_part(s.group_out(), most), panel) * panel),
        c_parts(divide_up(s.group_in(), channels)),
        k_parts(divide_up(s.group_out(), columns)) {}
};

struct ChannelPart {
  index group, c0, channels, k0, columns;

  ChannelPart(const ConvShape& s, const ChannelParts& parts, index number) {
    const index k_part = number % parts.k_parts, c_part = number / parts.k_parts % parts.c_parts;
    group = number / parts.k_parts / parts.c_parts;
    c0 = c_part * parts.channels;
    k0 = k_part * parts.columns;
    channels = std::min(parts.channels, s.group_in() - c0);
    columns = std::min(parts.columns, s.group_out() - k0);
  }
};

// dw = the sum over slices of what compute(part, slice, dw of the slice, worker) adds to a dw of zeros.
template <class T, class Compute>
void sum_slices(const ConvShape& s, const ChannelParts& parts, index slices, int workers, T* dw, Compute compute) {
  const index size = s.w_size();
  Buffer<T> own(slices > 1 ? slices * size : 0);
  T* const sums = slices > 1 ? own.data() : dw;
  parallel_for(slices, workers, [&](index slice, int) { std::fill_n(sums + slice * size, size, T(0)); });
  parallel_for(slices * s.groups * parts.c_parts * parts.k_parts, workers, [&](index task, int worker) {
    const index slice = task % slices;
    compute(ChannelPart(s, parts, task / slices), slice, sums + slice * size, worker);
  });
  if (slices == 1) return;
  constexpr index stretch = 1 << 14;
  parallel_for(divide_up(size, stretch), workers, [&](index task, int) {
    const index begin = task * stretch, count = std::min(stretch, size - begin);
    std::copy_n(sums + begin, count, dw + begin);
    for (index slice = 1; slice < slices; ++slice) {
      const T* from = sums + slice * size + begin;
      for (index i = 0; i < count; ++i) dw[begin + i] += from[i];
    }
  });
}

}  // namespace pcx
