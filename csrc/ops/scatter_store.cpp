#include "ops/scatter_store.h"

#include <algorithm>

#include "base/division.h"

namespace pcx {

// Of all elements of a cell, group by group; zeros where there is no bias.
template <class T>
void CellStore<T>::list_bias(T* list) {
  cell_bias_ = list;
  for (index i = 0; i < p_.groups * plan_.cell; ++i) {
    list[i] = bias_ ? bias_[i / plan_.cell * p_.out_channels + i % plan_.cell % p_.out_channels] : T(0);
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
void CellStore<T>::line(const ScatterPhase& phase, index group, index row, index pixel, index cells,
                        const T* sums) const {
  const index c = p_.out_channels, step = p_.axis[2].step, out = p_.axis[2].out, pixels = phase.length / c;
  const T* bias = cell_bias_ + group * plan_.cell;
  T* y = y_ + row * out * p_.out_pixel() + group * c;
  // Cells [begin, end) lie inside the row, those beside them with some pixels.
  const index begin = std::clamp<index>(divide_up(std::max<index>(0, -pixel), step), 0, cells);
  const index fit = out - pixels - pixel;
  const index end = fit < 0 ? begin : std::clamp<index>(fit / step + 1, begin, cells);
  auto finish_some = [&](index from, index to) {
    for (index m = from; m < to; ++m) {
      const index first = pixel + m * step;
      for (index q = std::max<index>(0, -first); q < std::min(pixels, out - first); ++q) {
        for (index k = q * c; k < (q + 1) * c; ++k) {
          y[(first + q) * p_.out_pixel() + k - q * c] = finished(sums[m * plan_.cell + k], bias[k]);
        }
      }
    }
  };
  finish_some(0, begin);
  finish_some(end, cells);
  if (begin == end) return;
  StoreCells<T> store{};
  store.p = sums + begin * plan_.cell;
  store.y = y + (pixel + begin * step) * p_.out_pixel();
  store.bias = bias;
  store.cells = end - begin;
  store.length = p_.groups == 1 ? phase.length : c;  // pixels of a group are apart
  store.p_stride = plan_.cell;
  store.y_stride = step * p_.out_pixel();
  store.relu = relu_;
  for (index k = 0; k < phase.length; k += store.length) {
    kernels<T>().store_cells(store);
    store.p += c;
    store.bias += c;
    store.y += p_.out_pixel();
  }
}

template class CellStore<float>;
template class CellStore<double>;

}  // namespace pcx
