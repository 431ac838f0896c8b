#include "ops/column_rows.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "base/division.h"
#include "base/touch.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index page_bytes = 4096, line_bytes = 64;
constexpr index signal_ahead = 20;  // positions of a signal: two tiles of the kernel

// A place in `buffer`, which has a page to spare, for columns `step` apart. Processors compare the last 12 bits of a
// load's address with the stores before it, and wait where they agree. A line beyond `y`, as far as the columns allow
// it, what resembles an output is loaded before that is stored. Elsewhere a row took up to twice as long.
template <class T>
T* beside(T* buffer, const T* y, index step) {
  const index size = sizeof(T), apart = std::gcd(step * size, page_bytes);
  const auto place = [&](const T* p) { return static_cast<index>(reinterpret_cast<std::uintptr_t>(p)) & (apart - 1); };
  return buffer + ((place(y) + line_bytes - place(buffer)) & (apart - 1)) / size;
}

index residue(index i, index n) {
  const index r = i % n;
  return r < 0 ? r + n : r;
}

index elements_of_x(const Correlation& p) {
  return p.batch * p.axis[0].in * p.axis[1].in * p.axis[2].in * p.groups * p.in_channels;
}

// The last place of x that a position sees.
index last_seen(const CorrelationAxis& axis, index position) {
  return axis.first + position * axis.step + std::max<index>(0, (axis.taps - 1) * axis.tap_step);
}

// The taps that see x at a position, whichever way they go.
Inside taps_inside(const CorrelationAxis& a, index position) {
  const index first = a.first + position * a.step;
  if (a.tap_step >= 0) return {first, a.tap_step, a.taps, a.in};
  const Inside turned(first + (a.taps - 1) * a.tap_step, -a.tap_step, a.taps, a.in);
  Inside inside = turned;
  inside.begin = a.taps - turned.end;
  inside.end = a.taps - turned.begin;
  return inside;
}

}  // namespace

template <class T>
ColumnRows<T>::ColumnRows(const Correlation& problem, const DepthwiseCut& cut, bool padding)
    : p_(problem),
      taps_(p_.axis[2], cut.block[2]),
      step_(cut.vectors_apart ? kernels<T>().lanes : cut.channels),
      vector_(cut.vectors_apart ? taps_.columns * step_ : kernels<T>().lanes),
      rows_(p_.axis[0].taps * p_.axis[1].taps * p_.in_channels),
      deep_(ring_of(p_.axis[0], 1)),
      ring_(ring_of(p_.axis[1], cut.held)),
      tap_place_(residue(p_.axis[1].tap_step, ring_)),
      plane_(taps_.columns * cut.channels),
      row_(plane_ * p_.in_channels),
      padding_(padding),
      may_stay_(!padding && !cut.vectors_apart && p_.in_channels == 1 && p_.out_channels == 1 &&
                (!seen_again(p_) || spreads<T>(p_, cut.channels))),
      far_(p_.in_channels == 1 && p_.out_channels == 1 && elements_of_x(p_) * index(sizeof(T)) > far_bytes),
      home_step_(p_.axis[2].step * p_.groups * p_.in_channels),
      held_(static_cast<std::size_t>(deep_ * ring_)),
      seen_(static_cast<std::size_t>(cut.high * rows_)) {
  size_ = (deep_ * ring_ + (padding ? 1 : 0)) * row_ + page_bytes / static_cast<index>(sizeof(T));
  buffer_ = Buffer<T>(size_);
  for (const TapColumns::Run& run : taps_.runs) {
    runs_.push_back({run.column * step_, run.taps, 0, taps_.columns});
    home_runs_.push_back({run.first * p_.groups * p_.in_channels, run.taps, 0, 0});
  }
  if (p_.in_channels != 1 || p_.out_channels != 1) from_.resize(static_cast<std::size_t>(cut.channels));
}

template <class T>
bool ColumnRows<T>::stays_home(const DepthwiseBlock& b, index first) {
  if (!may_stay_) return false;
  for (std::size_t i = 0; i < home_runs_.size(); ++i) {
    TapRun& run = home_runs_[i];
    const CorrelationAxis& width = p_.axis[2];
    const index columns = b.size[2] + run.taps - 1;
    const Inside inside(taps_.runs[i].first + column_ * width.step, width.step, columns, width.in);
    if (inside.begin > run.taps / 2 || columns - inside.end > run.taps / 2) return false;
    run.begin = inside.begin;
    run.end = inside.end;
  }
  index last = b.image;  // the last pixel that is read; whole vectors of its channels must be there
  for (std::size_t i = 0; i < 3; ++i) {
    const CorrelationAxis& a = p_.axis[i];
    last = last * a.in + std::min(last_seen(a, b.start[i] + b.size[i] - 1), a.in - 1);
  }
  return last * p_.groups + first + round_up(channels_, kernels<T>().lanes) <= elements_of_x(p_);
}

template <class T>
void ColumnRows<T>::begin(const T* x, const DepthwiseBlock& block, index first, index channels, const T* y) {
  const index pixel = p_.groups * p_.in_channels;
  x_ = x + block.image * p_.axis[0].in * p_.axis[1].in * p_.axis[2].in * pixel;
  const index x_first = first / p_.out_channels * p_.in_channels;
  x_ += x_first;
  for (index i = 0; i < static_cast<index>(from_.size()) && i < channels; ++i) {
    from_[static_cast<std::size_t>(i)] =
        static_cast<std::int32_t>((first + i) / p_.out_channels * p_.in_channels - x_first);
  }
  std::fill(held_.begin(), held_.end(), index{-1});
  column_ = block.start[2];
  end_ = block.start[1] + block.size[1];
  channels_ = channels;
  home_ = stays_home(block, first);
  T* const data = beside(buffer_.data(), y, step_);
  const Padded now{data, column_, channels};
  if (home_ || now == padded_) return;  // the padding is where it was
  data_ = data;
  padded_ = now;
  const index places = static_cast<index>(held_.size());
  for (index place = 0; place < places; ++place) pad(data_ + place * row_);
  std::fill_n(data_ + places * row_, padding_ ? row_ : 0, T(0));
}

template <class T>
index ColumnRows<T>::look(index d, index h, index most) {
  const auto left_out = [](const T* row) { return row == nullptr; };
  const T** seen = seen_.data();
  index high = 0;
  for (; high < most && high * rows_ < static_cast<index>(seen_.size()); ++high, seen += rows_) {
    look_at(d, h + high, seen);
    const bool same = std::equal(seen, seen + rows_, seen_.data(),
                                 [&](const T* a, const T* b) { return left_out(a) == left_out(b); });
    if (!same) break;
  }
  return high;
}

template <class T>
const std::vector<const T*>& ColumnRows<T>::following(index d, index h) {
  following_.clear();
  const auto& [ad, ah, aw] = p_.axis;
  const index xd = last_seen(ad, d), pixels = std::min({aw.taps, aw.step, aw.in});
  if (p_.positions() == aw.positions && p_.taps() == aw.taps) {  // a signal: its only row goes on
    const index row = xd * ah.in + last_seen(ah, h), first = last_seen(aw, column_ + signal_ahead) - pixels + 1;
    for (index i = 0; i < pixels; ++i) following_.push_back(x_ + (row * aw.in + first + i) * p_.groups);
    return following_;
  }
  if (h + 1 == end_ || xd < 0 || xd >= ad.in) return following_;
  const index first = std::clamp<index>(last_seen(aw, column_) - pixels + 1, 0, aw.in - pixels);
  for (index th = 0; th < ah.taps; ++th) {
    const index xh = ah.first + (h + 1) * ah.step + th * ah.tap_step;
    if (xh <= last_seen(ah, h) || xh < 0 || xh >= ah.in) continue;
    for (index i = 0; i < pixels; ++i) following_.push_back(x_ + ((xd * ah.in + xh) * aw.in + first + i) * p_.groups);
  }
  return following_;
}

template <class T>
void ColumnRows<T>::look_at(index d, index h, const T** seen) {
  const auto& [ad, ah, aw] = p_.axis;
  const T* padding = padding_ ? data_ + static_cast<index>(held_.size()) * row_ : nullptr;
  // Places in the ring are counted on: a division for every row of taps would take longer than its products.
  const Inside deep = taps_inside(ad, d), high = taps_inside(ah, h);
  const index first_high = ah.first + h * ah.step + high.begin * ah.tap_step;
  there_ = {0, rows_};
  if (!padding_) {
    there_.begin = std::min(rows_, (deep.begin * ah.taps + high.begin) * p_.in_channels);
    there_.end = std::max(there_.begin, ((deep.end - 1) * ah.taps + high.end) * p_.in_channels);
  }
  const index first_place = residue(first_high, ring_);
  for (index td = 0; td < ad.taps; ++td) {
    if (td < deep.begin || td >= deep.end) {
      seen = std::fill_n(seen, ah.taps * p_.in_channels, padding);
      continue;
    }
    const index xd = ad.first + d * ad.step + td * ad.tap_step, slice = deep_ == 1 ? 0 : residue(xd, deep_) * ring_;
    index xh = first_high, ring_place = first_place;
    seen = std::fill_n(seen, high.begin * p_.in_channels, padding);
    for (index th = high.begin; th < high.end; ++th, xh += ah.tap_step, ring_place += tap_place_) {
      if (ring_place >= ring_) ring_place -= ring_;
      const index place = slice + ring_place, row = xd * ah.in + xh;
      if (home_) {
        *seen++ = x_ + (row * aw.in + column_ * aw.step) * p_.groups;
        continue;
      }
      T* const to = data_ + place * row_;
      if (held_[static_cast<std::size_t>(place)] != row) {
        held_[static_cast<std::size_t>(place)] = row;
        fill(x_ + row * aw.in * p_.groups * p_.in_channels, to);
      }
      for (index j = 0; j < p_.in_channels; ++j) *seen++ = to + j * plane_;
    }
    seen = std::fill_n(seen, (ah.taps - high.end) * p_.in_channels, padding);
  }
}

// body(columns of the part, its first position in x, [begin, end) of its columns that lie inside x, their number).
template <class T>
template <class Body>
void ColumnRows<T>::each_part(Body&& body) const {
  const CorrelationAxis& axis = p_.axis[2];
  for (const TapColumns::Part& part : taps_.parts) {
    const index first = part.first + column_ * axis.step;
    const Inside inside(first, axis.step, part.count, axis.in);
    body(part.column * step_, first, inside.begin, inside.end, part.count);
  }
}

template <class T>
void ColumnRows<T>::fill(const T* x, T* to) const {
  const index step = p_.axis[2].step, pixel = p_.groups * p_.in_channels;
  PixelColumns<T> part{};
  part.from = from_.empty() ? nullptr : from_.data();
  part.channels = channels_;
  part.x_step = step * pixel;
  part.to_step = step_;
  part.to_vector = vector_;
  each_part([&](index at, index first, index begin, index end, index) {
    part.pixels = end - begin;
    for (index j = 0; j < p_.in_channels; ++j) {
      part.x = x + (first + begin * step) * pixel + j;
      part.to = to + j * plane_ + at + begin * step_;
      kernels<T>().fill_columns(part);
    }
  });
}

template <class T>
void ColumnRows<T>::pad(T* to) const {
  const index run = taps_.columns * step_;  // all columns of a plane, or of one of its vectors
  each_part([&](index at, index, index begin, index end, index count) {
    for (T* columns = to + at; columns < to + row_; columns += run) {
      std::fill_n(columns, begin * step_, T(0));
      std::fill_n(columns + end * step_, (count - end) * step_, T(0));
    }
  });
}

template class ColumnRows<float>;
template class ColumnRows<double>;

}  // namespace pcx
