// What both directions of pooling know about windows on one axis, and how they share out work.
#pragma once
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "base/shape.h"
#include "isa/kernel_table.h"

namespace pcx {

struct Span {
  index begin, end;
  index size() const { return std::max<index>(0, end - begin); }
};

// Taps of a window that lie inside x.
inline Span taps_of(const PoolShape& s, int a, index window) {
  const index start = window * s.stride[a] - s.pad_before[a];
  const index begin = start < 0 ? divide_up(-start, s.dilation[a]) : 0;
  return {begin, std::min(s.kernel[a], (s.in[a] - 1 - start) / s.dilation[a] + 1)};
}

// Windows whose taps all lie inside x.
inline Span inner_windows(const PoolShape& s, int a) {
  const index begin = std::min(s.out[a], divide_up(s.pad_before[a], s.stride[a]));
  const index last = s.in[a] - 1 - (s.kernel[a] - 1) * s.dilation[a] + s.pad_before[a];
  return {begin, last < 0 ? begin : std::clamp(last / s.stride[a] + 1, begin, s.out[a])};
}

// By how much a window divides its sum, as far as this axis is concerned; what lies past the padding never counts.
inline index divisor_of(const PoolShape& s, int a, index window, bool count_include_pad) {
  const index start = window * s.stride[a] - s.pad_before[a], end = start + s.kernel[a];
  if (count_include_pad) return std::min(end, s.in[a] + s.pad_after[a]) - start;
  return std::min(end, s.in[a]) - std::max<index>(start, 0);
}

// Rows of an output cut into tasks of enough work each; where there are few rows, the channels are cut as well.
struct RowCut {
  static constexpr index least_tasks = 16;
  static constexpr double task_work = 1 << 16, parallel_work = 1 << 17;  // elements; 2^17 take about 25 us on one core

  index rows, rows_each, channels, channels_each;
  double work;  // elements

  // reads: for an element of a row.
  RowCut(index all_rows, index row_size, index reads, index all_channels)
      : rows(all_rows), rows_each(1), channels(all_channels), channels_each(all_channels) {
    const double row_work = static_cast<double>(row_size) * static_cast<double>(reads);
    work = static_cast<double>(rows) * row_work;
    if (row_work < task_work) rows_each = static_cast<index>(task_work / row_work);
    rows_each = std::clamp<index>(rows_each, 1, std::max<index>(1, rows / least_tasks));
    while (work >= parallel_work && tasks() < least_tasks && channels_each > 64)
      channels_each = divide_up(channels_each, 128) * 64;
  }
  int workers() const { return work < parallel_work ? 1 : workers_for(tasks(), element_operations * work); }
  index tasks() const { return divide_up(rows, rows_each) * divide_up(channels, channels_each); }

  template <class Body>  // body(row, first channel, channels)
  void each_row(index task, Body&& body) const {
    const index parts = divide_up(channels, channels_each);
    const index first = task / parts * rows_each, c = task % parts * channels_each;
    for (index row = first; row < std::min(rows, first + rows_each); ++row) {
      body(row, c, std::min(channels_each, channels - c));
    }
  }
};

// What a gradient of pooling is made from.
template <class T>
struct PoolGradient {
  const T* dy;
  const char* indices;  // of maxima, or null
  bool mean, count_include_pad;
};

// Whether no two windows share a pixel, and the gradient for that case.
bool windows_lie_apart(const PoolShape& shape);
template <class T>
void spread_pool_grad(const PoolShape& shape, const PoolGradient<T>& gradient, T* dx);

}  // namespace pcx
