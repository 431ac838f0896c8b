// The last step of scattering: cells of sums become y, with bias and ReLU.
#pragma once
#include "isa/dispatch.h"
#include "ops/scatter.h"

namespace pcx {

template <class T>
class CellStore {
 public:
  // bias: of all channels of y, or null. Problem and plan outlive this.
  CellStore(const Scatter& problem, const ScatterPlan& plan, const T* bias, bool relu, T* y)
      : p_(problem), plan_(plan), bias_(bias), y_(y), relu_(relu) {}

  // Elements of the list of biases, which is made once, before any line.
  index biases() const { return p_.groups * bias_cell() + kernels<T>().lanes; }
  void list_bias(T* list);

  // Writes all of y where some pixel of it is reached by no tap; those have the bias alone.
  void fill_unreached() const;

  // Cells that have the same pixels inside a row of y: where they stand in their line, and where their pixels belong.
  struct Piece {
    index from, to, bias, cells, pixels;
  };
  struct Line {
    Piece pieces[3];  // a cell that begins before the row, those inside it, one that ends behind it
    int count = 0;
    index stride;  // from cell to cell
  };
  // What lines of `cells` cells of a phase have in common, of which the first belongs at `pixel` of a row.
  Line line(const ScatterPhase& phase, index group, index pixel, index cells, index stride) const;

  // Such lines of sums, `apart` elements from one to the next, into every step-th row of y from `row` on; rows are
  // counted through all pictures.
  void store(const Line& line, index row, index rows, const T* sums, index apart) const;

 private:
  index bias_cell() const { return p_.planar ? p_.out_channels : plan_.cell; }
  bool reaches_all() const;
  T finished(T sum, T bias) const {
    const T s = sum + bias;
    return relu_ && s < 0 ? T(0) : s;
  }

  const Scatter& p_;
  const ScatterPlan& plan_;
  const T* bias_;
  const T* cell_bias_ = nullptr;
  T* y_;
  const bool relu_;
};

}  // namespace pcx
