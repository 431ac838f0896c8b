// The filter's transform: in float64, rounded once.
#include <algorithm>
#include <utility>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/winograd.h"
#include "ops/winograd_pass.h"

namespace pcx {

namespace {

constexpr index channels_at_once = 8;  // whose transforms stay in the L2 cache; written in runs of 8 rows
constexpr index longest_piece = 32;    // of these, one after the other along rows of the weight

}  // namespace

index winograd_packed_size(const Correlation& problem, const Tiles& tiles) {
  const Kernels<float>& k = kernels<float>();
  const index full = problem.out_channels / k.panel * k.panel, left = problem.out_channels - full;
  index elements = 1;
  for (int a = 0; a < 3; ++a) {
    const WinogradScheme scheme = winograd_scheme(tiles[a], problem.axis[a]);
    elements *= scheme.size() * scheme.parts;
  }
  return problem.groups * elements * problem.in_channels * (full + (left ? k.whole_width(left) : 0));
}

namespace {

// One part of the filters of a few input channels and one panel of output channels, element by element. The channels
// are transformed side by side, as they lie in the packed form.
class FilterTransform {
 public:
  FilterTransform(const Correlation& problem, const Tiles& tiles, const WeightStrides& strides)
      : p_(problem), strides_(strides) {
    for (int a = 0; a < 3; ++a) {
      scheme_[a] = winograd_scheme(tiles[a], p_.axis[a]);
      transform_[a] = winograd_axis_for<double>(scheme_[a].tile, scheme_[a].kernel);
      kernel_[a] = scheme_[a].kernel;
      size_[a] = scheme_[a].size();
      transformed_ += transform_[a] != nullptr;
    }
  }

  index elements() const { return size_[0] * size_[1] * size_[2]; }
  index parts() const { return index{1} * scheme_[0].parts * scheme_[1].parts * scheme_[2].parts; }

  index scratch(index channels) const { return 2 * elements() * channels * kernels<float>().panel; }

  // Element e of the result goes to to + e * stride; columns past `columns` are zero. `a` has scratch(channels)
  // doubles.
  void run(const float* w, index part, index channels, index columns, index width, float* to, index stride,
           double* a) const {
    double* b = a + scratch(channels) / 2;
    read(w, part, channels, columns, width, a, reinterpret_cast<float*>(b));
    width *= channels;
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

 private:
  // A kernel that is read backwards (by the input gradient) is turned here.
  index tap_source(int a, index t) const {
    const CorrelationAxis& axis = p_.axis[a];
    const index tap = axis.tap_step < 0 ? axis.taps - 1 - t : t;
    return (axis.kernel_first + tap * axis.kernel_step) * strides_.kernel[a];
  }

  // The taps of a part, for each of them channels x width; taps beyond the kernel are zero.
  void read(const float* w, index part, index channels, index columns, index width, double* to, float* turned) const {
    const Axes at{part / scheme_[2].parts / scheme_[1].parts, part / scheme_[2].parts % scheme_[1].parts,
                  part % scheme_[2].parts};
    auto tap = [&](int a, index i) { return scheme_[a].first_tap(at[a]) + i * scheme_[a].residues; };
    auto inside = [&](int a, index i) { return tap(a, i) < scheme_[a].taps; };
    for (index d = 0; d < kernel_[0]; ++d) {
      for (index h = 0; h < kernel_[1]; ++h) {
        for (index i = 0; i < kernel_[2]; ++i, to += channels * width) {
          if (inside(0, d) && inside(1, h) && inside(2, i))
            read_tap(w + tap_source(0, tap(0, d)) + tap_source(1, tap(1, h)) + tap_source(2, tap(2, i)), channels,
                     columns, width, to, turned);
          else
            std::fill_n(to, channels * width, 0.0);
        }
      }
    }
  }

  void read_tap(const float* w, index channels, index columns, index width, double* to, float* turned) const {
    index row = strides_.in;
    if (strides_.out != 1) {  // the input gradient reads the weight the other way round
      kernels<float>().transpose(w, strides_.out, turned, width, columns, channels);
      w = turned;
      row = width;
    }
    for (index c = 0; c < channels; ++c, w += row, to += width) {
      __builtin_prefetch(w + width);  // the next panel's: rows are far apart, which no processor foresees
      std::copy_n(w, columns, to);
      std::fill(to + columns, to + width, 0.0);
    }
  }

  const Correlation& p_;
  const WeightStrides& strides_;
  std::array<const WinogradAxis<double>*, 3> transform_{};
  std::array<WinogradScheme, 3> scheme_{};
  Axes kernel_{}, size_{};
  int transformed_ = 0;
};

}  // namespace

void winograd_pack(const Correlation& problem, const Tiles& tiles, const float* w, const WeightStrides& strides,
                   float* packed) {
  const Kernels<float>& k = kernels<float>();
  const FilterTransform transform(problem, tiles, strides);
  const index panels = divide_up(problem.out_channels, k.panel), channels = problem.in_channels;
  const index group_size = winograd_packed_size(problem, tiles) / problem.groups;
  const index depth = transform.parts() * channels, at_once = std::min(channels, channels_at_once);
  const index strips = divide_up(channels, at_once);
  // Rows of the weight run over the panels, or over the channels where it is read the other way round.
  const bool forward = strides.out == 1;
  const index lines = forward ? strips : panels, length = forward ? panels : strips;
  const index pieces = divide_up(length, longest_piece);
  const index tasks = problem.groups * lines * pieces, scratch = transform.scratch(at_once);
  const int workers = problem.groups * group_size < (1 << 18) ? 1 : workers_for(tasks);
  Buffer<double> buffer(scratch * workers);
  parallel_for(tasks, workers, [&](index task, int worker) {
    const index begin = task % pieces * longest_piece, line = task / pieces % lines, group = task / pieces / lines;
    for (index part = 0; part < transform.parts(); ++part) {
      for (index i = begin; i < std::min(begin + longest_piece, length); ++i) {
        const index c = (forward ? line : i) * at_once, first = (forward ? i : line) * k.panel;
        const index columns = std::min<index>(k.panel, problem.out_channels - first), width = k.whole_width(columns);
        const float* const from = w + group * strides.group + c * strides.in + first * strides.out;
        float* const to = packed + group * group_size + first * transform.elements() * depth;
        transform.run(from, part, std::min(at_once, channels - c), columns, width, to + (part * channels + c) * width,
                      depth * width, buffer.data() + worker * scratch);
      }
    }
  });
}

}  // namespace pcx
