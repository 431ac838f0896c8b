// The partial results of a block of pixels: rows of pixels, each a row of columns or every column a plane, with zeros
// before, between and behind the rows.
#pragma once
#include <vector>

#include "isa/dispatch.h"
#include "ops/scatter_cut.h"

namespace pcx {

template <class T>
class ScatterProducts {
 public:
  // Problem, plan and cut outlive this.
  ScatterProducts(const Scatter& problem, const ScatterPlan& plan, const ScatterCut& cut, const T* packed);

  // Elements of the list of pixels, which is made once, before anything else; of a worker's window.
  index pixels() const { return p_.planar ? 0 : 2 * cut_.rows * cut_.segment; }
  void list_pixels(index* list);
  index window() const { return p_.planar ? plan_.chunk * pitch() : 0; }

  // The zeros around the rows of a block; those behind a row of `count` pixels, where there may be results of a longer
  // one.
  void clear(T* results) const;
  void clear_behind(index count, T* results) const;

  // A pass over `rows` rows of `count` pixels, which stand in x one after the other.
  void multiply(const ScatterPass& pass, index group, const T* x, index rows, index count, T* window, T* results) const;

 private:
  index planes() const { return p_.planar ? plan_.stride : 1; }
  index window_pixels() const;
  index pitch() const { return window_pixels() + k_.lanes; }
  void multiply_pixels(const ScatterPass& pass, const T* x, const T* w, index pixels, T* results) const;
  void multiply_row(const ScatterPass& pass, const T* x, const T* w, index pixels, T* window, T* results) const;

  const Scatter& p_;
  const ScatterPlan& plan_;
  const ScatterCut& cut_;
  const Kernels<T>& k_;
  const T* packed_;
  std::vector<std::int32_t> channels_;  // of a window: where each begins
  const index *x_at_ = nullptr, *y_at_ = nullptr;
};

}  // namespace pcx
