#include "ops/fourier_transform.h"

#include <algorithm>

#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index near_bytes = 16 << 10;  // of both planes: they and the twiddles stay in the first-level cache
constexpr index line_bytes = 64;

}  // namespace

template <class T>
FourierTransform<T>::FourierTransform(const Axes& size)
    : size_(size), lanes_(kernels<T>().lanes), elements_(size[0] * size[1] * size[2]) {
  for (int a = 0; a < 3; ++a) table_[a] = fourier_table<T>(size[a], a == 2);
}

template <class T>
void FourierTransform<T>::forward(T* re, T* im) const {
  outer_axis(0, re, im, false);
  outer_axis(1, re, im, false);
  rows(re, im, nullptr, there);
}

template <class T>
void FourierTransform<T>::inverse(T* re, T* im) const {
  rows(re, im, nullptr, back);
  outer_axis(1, re, im, true);
  outer_axis(0, re, im, true);
}

template <class T>
void FourierTransform<T>::filter(T* re, T* im, const T* spectrum) const {
  outer_axis(0, re, im, false);
  outer_axis(1, re, im, false);
  rows(re, im, spectrum, there | back);
  outer_axis(1, re, im, true);
  outer_axis(0, re, im, true);
}

template <class T>
void FourierTransform<T>::step(const FourierTable<T>& table, const FourierStage& stage, T* re, T* im, index transforms,
                               index apart, index inner, bool inverse) const {
  const FourierStep<T> step{re,          im,           re,         im,    table.begin() + stage.twiddles,
                            stage.radix, stage.length, transforms, apart, inner};
  inverse ? kernels<T>().fourier_step_back(step) : kernels<T>().fourier_step(step);
}

// A few columns at a time, which stay in the cache from step to step.
template <class T>
void FourierTransform<T>::outer_axis(int axis, T* re, T* im, bool inverse) const {
  const FourierTable<T>& table = *table_[axis];
  if (table.stages.empty()) return;
  index apart = size_[2];
  for (int a = axis + 1; a < 2; ++a) apart *= size_[a];
  const index column = 2 * table.places * static_cast<index>(sizeof(T));
  const index columns = std::max(near_bytes / column, line_bytes / static_cast<index>(sizeof(T)));
  const index inner = std::max<index>(1, columns / lanes_), all = apart / lanes_, size = table.places * apart;
  const std::size_t count = table.stages.size();
  for (index block = 0; block < elements_; block += size) {
    for (index v = 0; v < all; v += inner) {
      const index at = block + v * lanes_;
      for (std::size_t i = 0; i < count; ++i) {
        const FourierStage& stage = table.stages[inverse ? count - 1 - i : i];
        step(table, stage, re + at, im + at, table.places / stage.length, apart, std::min(inner, all - v), inverse);
      }
    }
  }
}

template <class T>
void FourierTransform<T>::rows(T* re, T* im, const T* spectrum, int ways) const {
  part_of_rows(re, im, spectrum, ways, 0, elements_ / lanes_, 0);
}

// `vectors` vectors from `first` on: whole transforms of those that `stage` takes apart. What is larger than the cache
// is cut first, and each part then goes all its way.
template <class T>
void FourierTransform<T>::part_of_rows(T* re, T* im, const T* spectrum, int ways, index first, index vectors,
                                       std::size_t stage) const {
  const FourierTable<T>& table = *table_[2];
  const index near = near_bytes / (2 * lanes_ * static_cast<index>(sizeof(T)));
  const std::size_t count = table.stages.size();
  const index length = stage < count ? table.stages[stage].length : 1;
  T* const re_at = re + first * lanes_;
  T* const im_at = im + first * lanes_;
  const auto do_stage = [&](std::size_t i, bool inverse) {
    step(table, table.stages[i], re_at, im_at, vectors / table.stages[i].length, lanes_, 1, inverse);
  };
  if (vectors > near) {
    const bool cut = length == vectors;
    const index parts = cut ? table.stages[stage].radix : vectors / std::max(near, length);
    if (cut && (ways & there)) do_stage(stage, false);
    for (index i = 0; i < parts; ++i) {
      const index part = vectors / parts;
      part_of_rows(re, im, spectrum, ways, first + i * part, part, cut ? stage + 1 : stage);
    }
    if (cut && (ways & back)) do_stage(stage, true);
    return;
  }
  for (std::size_t i = stage; (ways & there) && i < count; ++i) do_stage(i, false);
  const FourierLanes<T> across{
      re_at,        im_at, table.begin() + table.across, spectrum ? spectrum + 2 * first * lanes_ : nullptr, vectors,
      table.places, first};
  const Kernels<T>& k = kernels<T>();
  (ways == there ? k.fourier_lanes : ways == back ? k.fourier_lanes_back : k.fourier_lanes_filter)(across);
  for (std::size_t i = count; (ways & back) && i-- > stage;) do_stage(i, true);
}

template class FourierTransform<float>;
template class FourierTransform<double>;

}  // namespace pcx
