#include "ops/scatter_store.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

// Of all elements of a cell, group by group; zeros where there is no bias.
template <class T>
void CellStore<T>::list_bias(T* list) {
  cell_bias_ = list;
  const index cell = bias_cell();
  for (index i = 0; i < p_.groups * cell; ++i) {
    list[i] = bias_ ? bias_[i / cell * p_.out_channels + i % cell % p_.out_channels] : T(0);
  }
}

template <class T>
bool CellStore<T>::reaches_all() const {
  for (const ScatterAxis& a : p_.axis) {
    if (a.first > 0 || a.first + (a.in - 1) * a.step + a.reach() < a.out - 1) return false;
    if (a.step > 1 && (a.tap_step > 1 || a.taps < a.step)) return false;
  }
  return true;
}

template <class T>
void CellStore<T>::fill_unreached() const {
  if (reaches_all()) return;
  const index c = p_.out_pixel(), size = p_.batch * p_.axis[0].out * p_.axis[1].out * p_.axis[2].out * c;
  if (!bias_) return static_cast<void>(std::fill_n(y_, size, T(0)));
  for (index i = 0; i < size; ++i) y_[i] = finished(0, bias_[i % c]);
}

template <class T>
typename CellStore<T>::Line CellStore<T>::line(const ScatterPhase& phase, index group, index pixel, index cells,
                                               index stride) const {
  const index c = p_.planar ? 1 : p_.out_channels, step = p_.axis[2].step, out = p_.axis[2].out;
  const index pixels = phase.length / c;
  Line line{{}, 0, stride};
  auto add = [&](index cell, index count) {  // of which the first tells what is inside
    const index first = pixel + cell * step, begin = std::max<index>(0, -first), end = std::min(pixels, out - first);
    if (count <= 0 || begin >= end) return;
    line.pieces[line.count++] = {cell * stride + begin * c,
                                 (first + begin) * p_.out_pixel() + group * p_.out_channels + phase.channel,
                                 group * bias_cell() + phase.channel + begin * c, count, end - begin};
  };
  const index begin = std::clamp<index>(divide_up(std::max<index>(0, -pixel), step), 0, cells);
  const index fit = out - pixels - pixel;
  const index end = fit < 0 ? begin : std::clamp<index>(fit / step + 1, begin, cells);
  add(begin - 1, std::min<index>(begin, 1));
  add(begin, end - begin);
  add(end, std::min<index>(cells - end, 1));
  return line;
}

template <class T>
void CellStore<T>::store(const Line& line, index row, index rows, const T* sums, index apart) const {
  const index c = p_.planar ? 1 : p_.out_channels;
  const bool together = p_.groups == 1 && !p_.planar;  // pixels of a group are apart
  const index y_row = p_.axis[2].out * p_.out_pixel();
  T* const y = y_ + row * y_row;
  StoreCells<T> cells{};
  cells.rows = rows;
  cells.p_row = apart;
  cells.y_row = p_.axis[1].step * y_row;
  cells.p_stride = line.stride;
  cells.y_stride = p_.axis[2].step * p_.out_pixel();
  cells.relu = relu_;
  for (int i = 0; i < line.count; ++i) {
    const Piece& piece = line.pieces[i];
    cells.cells = piece.cells;
    cells.length = together ? piece.pixels * c : c;
    for (index q = 0; q < (together ? 1 : piece.pixels); ++q) {
      cells.p = sums + piece.from + q * c;
      cells.y = y + piece.to + q * p_.out_pixel();
      cells.bias = cell_bias_ + piece.bias + q * c;
      plan_.cell_kernels<T>(p_).store_cells(cells);
    }
  }
}

template class CellStore<float>;
template class CellStore<double>;

}  // namespace pcx
