#include "ops/scatter_products.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

namespace {

constexpr index window_bytes = 24 << 10;  // of pixels of x, channel by channel: they stay in the first cache
constexpr index longest_window = 8;       // vectors of pixels

}  // namespace

template <class T>
ScatterProducts<T>::ScatterProducts(const Scatter& problem, const ScatterPlan& plan, const ScatterCut& cut,
                                    const T* packed)
    : p_(problem), plan_(plan), cut_(cut), k_(kernels<T>()), packed_(packed) {
  for (index c = 0; p_.planar && c < plan_.chunk; ++c) channels_.push_back(static_cast<std::int32_t>(c * pitch()));
}

template <class T>
void ScatterProducts<T>::list_pixels(index* list) {
  x_at_ = list;
  y_at_ = list + pixels() / 2;
  if (p_.planar) return;
  for (index r = 0, i = 0; r < cut_.rows; ++r) {
    for (index q = 0; q < cut_.segment; ++q, ++i) {
      list[i] = i * p_.in_pixel();
      list[pixels() / 2 + i] = ((r + 1) * plan_.gap + i) * cut_.pixel;
    }
  }
}

template <class T>
void ScatterProducts<T>::clear(T* results) const {
  for (index plane = 0; plane < planes(); ++plane, results += cut_.column) {
    for (index r = 0; r <= cut_.rows; ++r) std::fill_n(results + r * cut_.line, plan_.gap * cut_.pixel, T(0));
  }
}

template <class T>
void ScatterProducts<T>::clear_behind(index count, T* results) const {
  results += (plan_.gap + count) * cut_.pixel;
  for (index plane = 0; plane < planes(); ++plane, results += cut_.column) {
    std::fill_n(results, plan_.gap * cut_.pixel, T(0));
  }
}

template <class T>
void ScatterProducts<T>::multiply(const ScatterPass& pass, index group, const T* x, index rows, index count, T* window,
                                  T* results) const {
  const T* const w = packed_ + group * plan_.packed + pass.packed;
  x += group * p_.in_channels;
  if (!p_.planar) return multiply_pixels(pass, x, w, rows * count, results);
  results += plan_.gap;
  for (index r = 0; r < rows; ++r, x += count * p_.in_pixel(), results += cut_.line) {
    multiply_row(pass, x, w, count, window, results);
  }
}

template <class T>
void ScatterProducts<T>::multiply_pixels(const ScatterPass& pass, const T* x, const T* w, index pixels,
                                         T* results) const {
  ConvPixels<T> tile{};
  Run run{0, 0};
  tile.x_at = x_at_;
  tile.y_at = y_at_;
  tile.runs = &run;
  tile.run_count = 1;
  tile.pixels = pixels;
  tile.over_lanes = pass.over_lanes;
  tile.w = w;
  for (index first = 0; first < pass.width; first += tile.columns) {
    tile.columns = static_cast<int>(std::min<index>(k_.panel, pass.width - first));
    tile.y = results + first;
    for (index c = 0; c < p_.in_channels; c += plan_.chunk) {
      run.length = std::min(plan_.chunk, p_.in_channels - c);
      tile.x = x + c;
      tile.accumulate = c > 0;
      k_.conv_pixels(tile);
      tile.w += (tile.over_lanes ? round_up(run.length, k_.lanes) : run.length) * tile.columns;
    }
  }
}

// Pixels of a window lie in lanes.
template <class T>
index ScatterProducts<T>::window_pixels() const {
  const index most = window_bytes / (plan_.chunk * static_cast<index>(sizeof(T)));
  return std::clamp(most / k_.lanes, index{1}, longest_window) * k_.lanes;
}

template <class T>
void ScatterProducts<T>::multiply_row(const ScatterPass& pass, const T* x, const T* w, index pixels, T* window,
                                      T* results) const {
  ConvRow<T> row{};
  row.x = window;
  row.offsets = channels_.data();
  row.w_stride = pass.columns;
  row.y_stride = cut_.column;
  row.planes = true;
  const index width = even_part(pass.columns, k_.narrow);
  for (index first = 0; first < pixels; first += row.pixels) {
    row.pixels = std::min(window_pixels(), pixels - first);
    for (index c = 0; c < p_.in_channels; c += row.depth) {
      row.depth = std::min(plan_.chunk, p_.in_channels - c);
      row.accumulate = c > 0;
      k_.transpose(x + first * p_.in_pixel() + c, p_.in_pixel(), window, pitch(), row.pixels, row.depth);
      for (index column = 0; column < pass.columns; column += row.columns) {
        row.columns = static_cast<int>(std::min(width, pass.columns - column));
        row.w = w + c * pass.columns + column;
        row.y = results + first + column * cut_.column;
        k_.conv_row(row);
      }
    }
  }
}

template class ScatterProducts<float>;
template class ScatterProducts<double>;

}  // namespace pcx
