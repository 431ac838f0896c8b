// Fourier transforms of a block on three axes, two real blocks as one complex: a filter is real, so their results stay
// apart. Real parts in one plane, imaginary ones in another, numbers row by row; frequencies in an order of their own.
#pragma once
#include <memory>

#include "ops/fourier_tables.h"

namespace pcx {

template <class T>
class FourierTransform {
 public:
  explicit FourierTransform(const Axes& size);  // powers of two; the product is at least lanes * lanes

  index elements() const { return elements_; }

  void forward(T* re, T* im) const;
  void inverse(T* re, T* im) const;                    // up to a factor of elements()
  void filter(T* re, T* im, const T* spectrum) const;  // both, and a product in between: [vector][re, im][lane]

 private:
  enum Way { there = 1, back = 2 };
  void outer_axis(int axis, T* re, T* im, bool inverse) const;
  void rows(T* re, T* im, const T* spectrum, int ways) const;
  void part_of_rows(T* re, T* im, const T* spectrum, int ways, index first, index vectors, std::size_t stage) const;
  void step(const FourierTable<T>& table, const FourierStage& stage, T* re, T* im, index transforms, index apart,
            index inner, bool inverse) const;

  Axes size_;
  index lanes_, elements_;
  std::array<std::shared_ptr<const FourierTable<T>>, 3> table_;
};

}  // namespace pcx
