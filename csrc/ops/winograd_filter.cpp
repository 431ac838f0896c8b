#include "ops/winograd_filter.h"

#include <algorithm>
#include <utility>

#include "ops/winograd_pass.h"

namespace pcx {

namespace {

constexpr index beyond = -1;  // instead of where a tap's weights are

}  // namespace

FilterTransform::FilterTransform(const Correlation& problem, const Tiles& tiles, const WeightStrides& strides)
    : p_(problem), strides_(strides) {
  for (int a = 0; a < 3; ++a) {
    scheme_[a] = winograd_scheme(tiles[a], p_.axis[a]);
    transform_[a] = winograd_axis_for<double>(scheme_[a].tile, scheme_[a].kernel);
    kernel_[a] = scheme_[a].kernel;
    size_[a] = scheme_[a].size();
    transformed_ += transform_[a] != nullptr;
  }
  list_taps();
}

index FilterTransform::scratch(index channels) const { return 2 * elements() * channels * kernels<float>().panel; }

void FilterTransform::run(const Piece& piece, float* to, index stride, double* a) const {
  double* b = a + scratch(piece.channels) / 2;
  read(piece, a, reinterpret_cast<float*>(b));
  const index width = piece.width * piece.channels;
  Axes extents = kernel_;
  int left = transformed_;
  for (int axis : {2, 1, 0}) {
    if (!transform_[axis]) continue;
    const Axes before = extents;
    extents[axis] = size_[axis];
    const Axes goal = dense(extents, --left ? width : stride);
    const TransformPass<double> pass = winograd_pass(axis, a, dense(before, width), b, goal, before, width);
    if (left)
      transform_[axis]->filter(pass);
    else
      transform_[axis]->filter_rounded(pass, to);
    std::swap(a, b);
  }
}

// A kernel that is read backwards (by the input gradient) is turned here.
index FilterTransform::tap_source(int a, index t) const {
  const CorrelationAxis& axis = p_.axis[a];
  const index tap = axis.tap_step < 0 ? axis.taps - 1 - t : t;
  return (axis.kernel_first + tap * axis.kernel_step) * strides_.kernel[a];
}

void FilterTransform::list_taps() {
  for (index part = 0; part < parts(); ++part) {
    const Axes at{part / scheme_[2].parts / scheme_[1].parts, part / scheme_[2].parts % scheme_[1].parts,
                  part % scheme_[2].parts};
    for (index d = 0; d < kernel_[0]; ++d) {
      for (index h = 0; h < kernel_[1]; ++h) {
        for (index w = 0; w < kernel_[2]; ++w) {
          const Axes in_part{d, h, w};
          bool inside = true;
          index source = 0;
          for (int a = 0; a < 3; ++a) {
            const index tap = scheme_[a].first_tap(at[a]) + in_part[a] * scheme_[a].residues;
            inside = inside && tap < scheme_[a].taps;
            source += tap_source(a, tap);
          }
          taps_.push_back(inside ? source : beyond);
        }
      }
    }
  }
}

// The taps of a part, for each of them channels x width; taps beyond the kernel are zero.
void FilterTransform::read(const Piece& piece, double* to, float* turned) const {
  const index count = kernel_[0] * kernel_[1] * kernel_[2];
  for (index i = piece.part * count; i < (piece.part + 1) * count; ++i, to += piece.channels * piece.width) {
    const index tap = taps_[static_cast<std::size_t>(i)];
    if (tap == beyond)
      std::fill_n(to, piece.channels * piece.width, 0.0);
    else
      read_tap(piece, piece.w + tap, to, turned);
  }
}

// The input gradient reads the weight the other way round. Rows are far apart, which no processor foresees: those that
// are next are fetched.
void FilterTransform::read_tap(const Piece& piece, const float* w, double* to, float* turned) const {
  const Kernels<float>& k = kernels<float>();
  WidenedRows rows{w, to, piece.channels, piece.columns, strides_.in, piece.width, piece.ahead};
  if (strides_.out != 1) {
    for (index column = 0; column < piece.columns; ++column)
      __builtin_prefetch(w + column * strides_.out + piece.ahead);
    k.transpose(w, strides_.out, turned, piece.width, piece.columns, piece.channels);
    rows.from = turned;
    rows.stride = piece.width;
    rows.ahead = 0;
  }
  k.widen_rows(rows);
}

}  // namespace pcx
