#include "ops/weight_grad_patch.h"

#include <algorithm>
#include <cstring>

#include "base/division.h"
#include "ops/parts.h"
#include "ops/weight_grad.h"

namespace pcx {

namespace {

constexpr index line = 64;  // bytes of a cache line

// Of `Bytes` up to twice as many: the second move lies over the first.
template <index Bytes, class T>
void copy_twice(const T* from, index count, T* to) {
  const index second = count - Bytes / static_cast<index>(sizeof(T));
  std::memcpy(to, from, Bytes);
  if (second > 0) std::memcpy(to + second, from + second, Bytes);
}

// Moves of a constant length are a few of vectors.
template <class T>
void copy_channels(const T* from, index count, T* to) {
  constexpr index whole = line / sizeof(T);
  for (; count > whole; count -= whole, from += whole, to += whole) std::memcpy(to, from, line);
  const index bytes = count * static_cast<index>(sizeof(T));
  if (bytes >= 32) return copy_twice<32>(from, count, to);
  if (bytes >= 16) return copy_twice<16>(from, count, to);
  if (bytes >= 8) return copy_twice<8>(from, count, to);
  if (count > 0) *to = *from;
}

template <index Bytes, class T>
void copy_short_pixels(const T* from, index from_step, index count, index channels, T* to, index to_step) {
  for (; count > 0; --count, from += from_step, to += to_step) copy_twice<Bytes>(from, channels, to);
}

// `count` pixels of `channels` channels that are no more than a line, mostly: of groups, or few in all.
template <class T>
void copy_pixels(const T* from, index from_step, index count, index channels, T* to, index to_step) {
  const index bytes = channels * static_cast<index>(sizeof(T));
  if (bytes == line) return copy_short_pixels<line>(from, from_step, count, channels, to, to_step);
  if (bytes > line) {
    for (; count > 0; --count, from += from_step, to += to_step) copy_channels(from, channels, to);
    return;
  }
  if (bytes >= 32) return copy_short_pixels<32>(from, from_step, count, channels, to, to_step);
  if (bytes >= 16) return copy_short_pixels<16>(from, from_step, count, channels, to, to_step);
  if (bytes >= 8) return copy_short_pixels<8>(from, from_step, count, channels, to, to_step);
  for (; count > 0; --count, from += from_step, to += to_step) *to = *from;
}

// Each run of `width` channels to the next of the places that are `step` apart.
template <class T>
void deal_channels(const T* from, index count, index width, index step, T* to) {
  for (; count > width; count -= width, from += width, to += step) copy_channels(from, width, to);
  copy_channels(from, count, to);
}

}  // namespace

template <class T>
WeightGradPatch<T>::WeightGradPatch(const ConvShape& shape, const PixelBlock& block, index strip, index strips,
                                    bool side_by_side)
    : x_(forward_parts(shape)[0].axis),
      axis_{PatchAxis(x_[0], block.extents[0]), PatchAxis(x_[1], block.extents[1]),
            PatchAxis(x_[2], block.extents[2], side_by_side)},
      x_pixel_(shape.in_channels),
      strips_(strips) {
  slot_[2] = strip;
  slot_[1] = slot_[2] * axis_[2].slots;
  slot_[0] = slot_[1] * axis_[1].slots;
  image_ = slot_[0] * axis_[0].slots;
  strip_step_ = spread<T>(block.images * image_);
}

template <class T>
void WeightGradPatch<T>::clear(index count, index step, index channels, T* to) const {
  for (; channels > 0; channels -= slot_[2], to += strip_step_) {
    if (step == slot_[2])
      std::fill_n(to, count * step, T(0));
    else
      for (index i = 0; i < count; ++i) std::fill_n(to + i * step, slot_[2], T(0));
  }
}

template <class T>
void WeightGradPatch<T>::fill_row(const T* x, index start, index channels, T* row) const {
  for (const PatchAxis::Piece& piece : axis_[2].pieces) {
    const index slot = piece.apart * slot_[2];
    const index first = piece.first + start * x_[2].step;
    const auto [begin, end] = Inside(first, piece.step, piece.count, x_[2].in);  // slots; the others are padding
    T* to = row + piece.slot * slot_[2];
    clear(begin, slot, channels, to);
    clear(piece.count - end, slot, channels, to + end * slot);
    const T* from = x + (first + begin * piece.step) * x_pixel_;
    to += begin * slot;
    if (piece.step == 1 && x_pixel_ == channels && slot == channels) {
      copy_channels(from, (end - begin) * channels, to);
      continue;
    }
    if (channels <= slot) {
      copy_pixels(from, piece.step * x_pixel_, end - begin, channels, to, slot);
      continue;
    }
    for (index i = begin; i < end; ++i, from += piece.step * x_pixel_, to += slot)
      deal_channels(from, channels, slot, strip_step_, to);
  }
}

template <class T>
void WeightGradPatch<T>::fill(const T* x, const PixelBlock& block, index channels, T* patch) const {
  const index row = x_[2].in * x_pixel_, plane = x_[1].in * row;
  x += block.image * x_[0].in * plane;
  for (index image = 0; image < block.images; ++image, x += x_[0].in * plane, patch += image_) {
    for (const PatchAxis::Piece& deep : axis_[0].pieces) {
      for (index i = 0; i < deep.count; ++i) {
        const index d = deep.first + block.start[0] * x_[0].step + i * deep.step;
        T* slice = patch + (deep.slot + i) * slot_[0];
        if (d < 0 || d >= x_[0].in) {
          clear(slot_[0] / slot_[2], slot_[2], channels, slice);
          continue;
        }
        for (const PatchAxis::Piece& high : axis_[1].pieces) {
          for (index j = 0; j < high.count; ++j) {
            const index h = high.first + block.start[1] * x_[1].step + j * high.step;
            T* to = slice + (high.slot + j) * slot_[1];
            if (h < 0 || h >= x_[1].in)
              clear(slot_[1] / slot_[2], slot_[2], channels, to);
            else
              fill_row(x + d * plane + h * row, block.start[2], channels, to);
          }
        }
      }
    }
  }
}

template <class T>
void pack_panels(const T* dy, const PixelBlock& block, index row, index pixel, index columns, index panel, index step,
                 T* to) {
  for (index r = 0; r < block.rows(); ++r) {
    const T* from = dy + r * row;
    if (columns <= panel) {
      copy_pixels(from, pixel, block.cols(), columns, to, panel);
      to += block.cols() * panel;
      continue;
    }
    for (index i = 0; i < block.cols(); ++i, from += pixel, to += panel) deal_channels(from, columns, panel, step, to);
  }
}

template class WeightGradPatch<float>;
template class WeightGradPatch<double>;
template void pack_panels(const float*, const PixelBlock&, index, index, index, index, index, float*);
template void pack_panels(const double*, const PixelBlock&, index, index, index, index, index, double*);

}  // namespace pcx
