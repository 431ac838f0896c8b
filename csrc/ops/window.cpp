#include "ops/window.h"

#include <algorithm>
#include <cstring>

#include "base/division.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

index reach_of(const CorrelationAxis& axis) { return (axis.taps - 1) * std::abs(axis.tap_step); }

// Of the hull of all taps: how many phases there are, and the slots of one, at most.
index phases_of(const CorrelationAxis& axis) { return std::min(axis.step, reach_of(axis) + 1); }
index phase_of(const CorrelationAxis& axis, index positions) { return positions + reach_of(axis) / axis.step; }

// Elements from a channel to the next. An odd number of whole vectors: the same slot of many channels then lies in many
// cache sets.
index channel_stride(index slots, index channels, index lanes) {
  if (slots <= lanes / 2 || channels <= 1) return slots;
  const index whole = divide_up(slots, lanes);
  return (whole % 2 ? whole : whole + 1) * lanes;
}

}  // namespace

index WindowAxis::slots_for(const CorrelationAxis& axis, index positions) {
  if (axis.taps <= 0) return positions;
  return std::min(phases_of(axis) * phase_of(axis, positions), axis.taps * positions);
}

WindowAxis::WindowAxis(const CorrelationAxis& axis, index positions) : slots(slots_for(axis, positions)) {
  if (axis.taps <= 0) return;
  const index reach = reach_of(axis), phases = phases_of(axis), phase = phase_of(axis, positions);
  const index low = axis.first + (axis.tap_step < 0 ? (axis.taps - 1) * axis.tap_step : 0);  // the first x read
  if (phases * phase == slots) {
    for (index p = 0; p < phases; ++p) runs.push_back({p * phase, low + p, axis.step, phase});
    for (index t = 0; t < axis.taps; ++t) {
      const index from_low = axis.tap_step < 0 ? reach + t * axis.tap_step : t * axis.tap_step;
      tap_slot.push_back(from_low % axis.step * phase + from_low / axis.step);
    }
  } else {
    for (index t = 0; t < axis.taps; ++t) {
      runs.push_back({t * positions, axis.first + t * axis.tap_step, axis.step, positions});
      tap_slot.push_back(t * positions);
    }
  }
}

Window::Window(const Correlation& problem, const Axes& apart, const Axes& block, index channels, index lanes)
    : problem_(problem), apart_(apart) {
  for (int a = 0; a < 3; ++a) axis_[a] = WindowAxis(problem.axis[a], block[a]);
  channel_ = channel_stride(axis_[2].slots, channels, lanes);
  row_ = channel_ * channels;
}

index Window::size_for(const Correlation& problem, const Axes& block, index channels, index lanes) {
  index slots[3];
  for (int a = 0; a < 3; ++a)
    slots[a] = WindowAxis::slots_for(problem.axis[static_cast<std::size_t>(a)], block[static_cast<std::size_t>(a)]);
  return slots[0] * slots[1] * channel_stride(slots[2], channels, lanes) * channels;
}

std::vector<std::int32_t> Window::offsets(index channels, bool turned) const {
  std::vector<std::int32_t> list;
  list.reserve(static_cast<std::size_t>(problem_.taps() * channels));
  const WindowAxis &outer = axis_[turned ? 2 : 1], &inner = axis_[turned ? 1 : 2];
  for (index d : axis_[0].tap_slot) {
    for (index i : outer.tap_slot) {
      for (index c = 0; c < channels; ++c) {
        for (index j : inner.tap_slot) {
          const index h = turned ? j : i, w = turned ? i : j;
          list.push_back(static_cast<std::int32_t>(at(d, h) + c * channel_ + w));
        }
      }
    }
  }
  return list;
}

template <class T>
void Window::fill_row(const T* x, index start, index channels, T* row) const {
  const index extent = problem_.axis[2].in, pixel = apart_[2];
  for (const WindowAxis::Run& run : axis_[2].runs) {
    const index first = run.first + start * problem_.axis[2].step;
    const auto [begin, end] = Inside(first, run.step, run.count, extent);  // slots; the others are padding
    T* to = row + run.slot;
    if (begin > 0 || end < run.count) {
      for (index c = 0; c < channels; ++c) {
        std::fill_n(to + c * channel_, begin, T(0));
        std::fill_n(to + c * channel_ + end, run.count - end, T(0));
      }
    }
    const T* from = x + (first + begin * run.step) * pixel;
    if (end == begin) continue;
    if (channels == 1 && pixel * run.step == 1) {
      std::copy_n(from, end - begin, to + begin);
    } else {
      kernels<T>().transpose(from, run.step * pixel, to + begin, channel_, end - begin, channels);
    }
  }
}

template <class T>
void Window::fill(const T* x, index image, index group, const Axes& start, index c0, index channels, T* window) const {
  const CorrelationAxis &ad = problem_.axis[0], &ah = problem_.axis[1];
  x += image * ad.in * apart_[0] + group * problem_.in_channels + c0;
  auto zero_rows = [&](index first, index count) {
    std::memset(window + first * row_, 0, static_cast<std::size_t>(count * row_) * sizeof(T));
  };
  for (const WindowAxis::Run& deep : axis_[0].runs) {
    for (index i = 0; i < deep.count; ++i) {
      const index d = deep.first + start[0] * ad.step + i * deep.step, slice = (deep.slot + i) * axis_[1].slots;
      if (d < 0 || d >= ad.in) {
        zero_rows(slice, axis_[1].slots);
        continue;
      }
      for (const WindowAxis::Run& high : axis_[1].runs) {
        for (index j = 0; j < high.count; ++j) {
          const index h = high.first + start[1] * ah.step + j * high.step, slot = slice + high.slot + j;
          if (h < 0 || h >= ah.in)
            zero_rows(slot, 1);
          else
            fill_row(x + d * apart_[0] + h * apart_[1], start[2], channels, window + slot * row_);
        }
      }
    }
  }
}

template void Window::fill(const float*, index, index, const Axes&, index, index, float*) const;
template void Window::fill(const double*, index, index, const Axes&, index, index, double*) const;

}  // namespace pcx
