// What the algorithms of the weight gradient have in common. Each cuts the channels into parts and the pixels into
// slices that have a dw of their own; slices are added in order, so the sum does not depend on threads.
#pragma once
#include <algorithm>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "ops/ops.h"

namespace pcx {

// The tiles for a request, as choose_tiles.
template <class T>
Tiles weight_grad_tiles(const ConvShape& shape, Algorithm algorithm);

// dw by sums over all pixels, for any stride, dilation and type, and db where it is not null.
template <class T>
void direct_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dw, T* db);

template <class T>
Work direct_weight_grad_work(const ConvShape& shape);

// db = the sum of dy over all pixels.
template <class T>
void bias_grad(const ConvShape& shape, const T* dy, T* db);

// Of whichever algorithm has these tiles.
template <class T>
Work weight_grad_work(const ConvShape& shape, const Tiles& tiles);

// An odd number of cache lines: arrays so far apart, that are written side by side, lie in different cache sets.
template <class T>
index spread(index elements) {
  constexpr index line = 64 / sizeof(T);
  return (divide_up(elements, line) | 1) * line;
}

// Channels of x and of dy that one task takes, of one group: whole strips of channels and panels of columns.
struct ChannelParts {
  index channels, columns;  // of a part; the last may have less
  index c_parts, k_parts;

  ChannelParts(const ConvShape& s, index most_channels, index strip, index most_columns, index panel)
      : channels(part(s.group_in(), most_channels, strip)),
        columns(part(s.group_out(), most_columns, panel)),
        c_parts(divide_up(s.group_in(), channels)),
        k_parts(divide_up(s.group_out(), columns)) {}

 private:
  static index part(index whole, index most, index unit) {
    return whole <= most ? whole : round_up(even_part(whole, most), unit);
  }
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

// A gradient of the whole weight, and of the bias or null.
template <class T>
struct WeightSums {
  T* dw;
  T* db;
};

// The gradients of slices, which are added in order; one slice is the total itself.
template <class T>
class SliceSums {
 public:
  SliceSums(const ConvShape& s, index slices, const WeightSums<T>& total)
      : total_(total),
        slices_(slices),
        dw_size_(s.w_size()),
        size_(dw_size_ + (total.db ? s.out_channels : 0)),
        own_(slices > 1 ? slices * size_ : 0) {}

  WeightSums<T> of(index slice) const {
    if (slices_ == 1) return total_;
    T* const sums = own_.data() + slice * size_;
    return {sums, total_.db ? sums + dw_size_ : nullptr};
  }

  void add_up(int workers) const {
    if (slices_ == 1) return;
    constexpr index stretch = 1 << 12;
    parallel_for(divide_up(dw_size_, stretch), workers, [&](index task, int) {
      const index begin = task * stretch;
      add_up(begin, std::min(begin + stretch, dw_size_), total_.dw + begin);
    });
    if (total_.db) add_up(dw_size_, size_, total_.db);
  }

 private:
  void add_up(index begin, index end, T* to) const {
    const T* from = own_.data() + begin;
    std::copy_n(from, end - begin, to);
    for (index slice = 1; slice < slices_; ++slice) {
      from += size_;
      for (index i = 0; i < end - begin; ++i) to[i] += from[i];
    }
  }

  const WeightSums<T> total_;
  const index slices_, dw_size_, size_;
  const Buffer<T> own_;
};

}  // namespace pcx
