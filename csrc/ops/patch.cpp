#include "ops/patch.h"

#include <algorithm>
#include <cstring>

#include "base/division.h"
namespace pcx {

namespace {

index hull_of(const CorrelationAxis& axis, index positions) {
  return (positions - 1) * axis.step + (axis.taps - 1) * axis.tap_step + 1;
}

// Whatever the number of positions, neighbouring taps that overlap are together (Chunks::run_taps relies on it).
bool together(const CorrelationAxis& axis, index positions) {
  return axis.tap_step == 1 ? axis.step <= axis.taps : hull_of(axis, positions) <= axis.taps * positions;
}

// A few elements: vectors, of which the last one lies over the one before it.
template <std::size_t bytes>
void copy_overlapping(const char* from, std::size_t size, char* to) {
  for (std::size_t i = 0; i + bytes < size; i += bytes) std::memcpy(to + i, from + i, bytes);
  std::memcpy(to + size - bytes, from + size - bytes, bytes);
}

template <class T>
void copy_few(const T* from, index count, T* to) {
  const std::size_t size = static_cast<std::size_t>(count) * sizeof(T);
  const char* source = reinterpret_cast<const char*>(from);
  char* target = reinterpret_cast<char*>(to);
  if (size >= 16) return copy_overlapping<16>(source, size, target);
  if (size >= 8) return copy_overlapping<8>(source, size, target);
  if (size >= 4) return copy_overlapping<4>(source, size, target);
}

constexpr index few = 32;  // elements

// Pixels of so many channels, four at a time: jumps would take longer than what they jump over.
template <index channels, class T>
void copy_pixels(const T* from, index step, T* to, index slot, index count) {
  constexpr std::size_t size = channels * sizeof(T);
  for (; count >= 4; count -= 4, from += 4 * step, to += 4 * slot) {
    for (index i = 0; i < 4; ++i) std::memcpy(to + i * slot, from + i * step, size);
  }
  for (; count > 0; --count, from += step, to += slot) std::memcpy(to, from, size);
}

// Zeros in `count` slots of `size` elements, `step` apart.
template <class T>
void fill_slots(T* to, index count, index step, index size) {
  if (step == size) return static_cast<void>(std::fill_n(to, count * size, T(0)));
  for (index i = 0; i < count; ++i) std::fill_n(to + i * step, size, T(0));
}

}  // namespace

index PatchAxis::slots_for(const CorrelationAxis& axis, index positions, bool side_by_side) {
  return !side_by_side && together(axis, positions) ? hull_of(axis, positions) : axis.taps * positions;
}

PatchAxis::PatchAxis(const CorrelationAxis& axis, index positions, bool side_by_side)
    : slots(slots_for(axis, positions, side_by_side)) {
  if (side_by_side) {
    step = axis.taps;
    for (index t = 0; t < axis.taps; ++t) {
      pieces.push_back({t, axis.first + t * axis.tap_step, axis.step, positions, axis.taps});
      tap_slot.push_back(t);
    }
  } else if (together(axis, positions)) {
    step = axis.step;
    pieces.push_back({0, axis.first, 1, slots});
    for (index t = 0; t < axis.taps; ++t) tap_slot.push_back(t * axis.tap_step);
  } else {
    step = 1;
    for (index t = 0; t < axis.taps; ++t) {
      pieces.push_back({t * positions, axis.first + t * axis.tap_step, axis.step, positions});
      tap_slot.push_back(t * positions);
    }
  }
}

Patch::Patch(const Correlation& problem, const Axes& block, const Chunks& chunks)
    : problem_(problem),
      axis_{PatchAxis(problem.axis[0], block[0]), PatchAxis(problem.axis[1], block[1]),
            PatchAxis(problem.axis[2], block[2], side_by_side(problem, chunks))} {
  slot_[2] = chunks.channels;
  slot_[1] = slot_[2] * axis_[2].slots;
  slot_[0] = slot_[1] * axis_[1].slots;
  image_ = slot_[0] * axis_[0].slots;
}

template <class T>
void Patch::fill_row(const T* x, index start, index channels, T* row) const {
  const CorrelationAxis& axis = problem_.axis[2];
  const index pixel = problem_.groups * problem_.in_channels;
  for (const PatchAxis::Piece& piece : axis_[2].pieces) {
    const index slot = piece.apart * slot_[2];
    const index first = piece.first + start * axis.step;
    const auto [begin, end] = Inside(first, piece.step, piece.count, axis.in);  // slots; the others are padding
    T* to = row + piece.slot * slot_[2];
    fill_slots(to, begin, slot, slot_[2]);
    fill_slots(to + end * slot, piece.count - end, slot, slot_[2]);
    const T* from = x + (first + begin * piece.step) * pixel;
    to += begin * slot;
    if (piece.step == 1 && pixel == channels && slot == channels) {
      std::copy_n(from, (end - begin) * channels, to);
      continue;
    }
    const index step = piece.step * pixel;
    if (channels == 1) {
      copy_pixels<1>(from, step, to, slot, end - begin);
    } else if (channels == 2) {
      copy_pixels<2>(from, step, to, slot, end - begin);
    } else if (channels == 3) {
      copy_pixels<3>(from, step, to, slot, end - begin);
    } else if (channels == 4) {
      copy_pixels<4>(from, step, to, slot, end - begin);
    } else if (channels <= few) {
      for (index i = begin; i < end; ++i, from += step, to += slot) copy_few(from, channels, to);
    } else {
      for (index i = begin; i < end; ++i, from += step, to += slot) std::copy_n(from, channels, to);
    }
  }
}

template <class T>
void Patch::fill(const T* x, index image, index group, const Axes& start, index c0, index channels, T* patch) const {
  const auto& [ad, ah, aw] = problem_.axis;
  const index pixel = problem_.groups * problem_.in_channels;
  x += image * ad.in * ah.in * aw.in * pixel + group * problem_.in_channels + c0;
  for (const PatchAxis::Piece& deep : axis_[0].pieces) {
    for (index i = 0; i < deep.count; ++i) {
      const index d = deep.first + start[0] * ad.step + i * deep.step;
      T* slice = patch + (deep.slot + i) * slot_[0];
      if (d < 0 || d >= ad.in) {
        std::fill_n(slice, slot_[0], T(0));
        continue;
      }
      for (const PatchAxis::Piece& high : axis_[1].pieces) {
        for (index j = 0; j < high.count; ++j) {
          const index h = high.first + start[1] * ah.step + j * high.step;
          T* row = slice + (high.slot + j) * slot_[1];
          if (h < 0 || h >= ah.in)
            std::fill_n(row, slot_[1], T(0));
          else
            fill_row(x + (d * ah.in + h) * aw.in * pixel, start[2], channels, row);
        }
      }
    }
  }
}

template void Patch::fill(const float*, index, index, const Axes&, index, index, float*) const;
template void Patch::fill(const double*, index, index, const Axes&, index, index, double*) const;

}  // namespace pcx
