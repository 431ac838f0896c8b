#include "ops/scatter_cut.h"

#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"

namespace pcx {

namespace {

constexpr index results_bytes = 128 << 10;            // partial results of a block of pixels
constexpr index field_bytes = 192 << 10;              // sums of a strip: both stay in the L2 cache
constexpr index turn_bytes = 512 << 10;               // of x: it stays there while the groups take turns
constexpr index least_block = 48, most_block = 1024;  // pixels
constexpr index few_pixels = 256;                     // pictures with fewer share a strip
constexpr index seam_bytes = 16 << 20;                // of the pictures that are computed at the same time
constexpr index few_tasks = 4;                        // at least, where small pictures share strips
constexpr index least_tasks = 16;                     // enough to share out, if the work is worth it

double picture_flops(const Scatter& p) {
  return 2.0 * static_cast<double>(p.pixels() * p.in_channels) * static_cast<double>(p.tap_rows() * p.row_columns());
}

}  // namespace

ScatterCut::ScatterCut(const Scatter& problem, const ScatterPlan& plan, index lanes, index element_bytes)
    : problem_(problem), line_(static_cast<index>(plan.phases.size()) * plan.cell), gap_(plan.gap) {
  axis = problem.axis[0].in > 1 ? 0 : problem.axis[1].in > 1 ? 1 : 2;
  const ScatterAxis& a = problem.axis[axis];
  const index pixels = problem.pixels() / a.in;  // for each step along the axis
  const index meets = axis == 2 ? gap_ : divide_up(a.reach(), a.step);
  length = a.in;
  if (picture_flops(problem) >= parallel_flops) {
    const index affordable = a.in * field_bytes / element_bytes / std::max<index>(1, size(strip(0, 1)));
    const index turn = problem.groups > 1 ? turn_bytes / (pixels * problem.in_pixel() * element_bytes) : a.in;
    const index least = std::max(2 * meets, divide_up(least_block, pixels));  // no more than neighbours meet
    length = even_part(a.in, std::clamp(std::min({affordable, turn, a.in / least_tasks}), std::min(least, a.in), a.in));
  }
  strips = divide_up(a.in, length);
  const index most = std::clamp(results_bytes / element_bytes / plan.stride, least_block, most_block);
  if (strips == 1 && problem.pixels() <= most) {
    const index most_images = shares_work() ? divide_up(problem.batch, few_tasks) : problem.batch;
    images = std::clamp<index>(few_pixels / problem.pixels(), 1, most_images);
  }
  for (index s = 0; s < strips; ++s) {
    sums = std::max(sums, size(strip(s, images)));
    if (s + 1 < strips) seam = std::max(seam, size(shared(s)));
  }
  if (strips > 1) at_once = std::clamp<index>(seam_bytes / (2 * seam * element_bytes * strips + 1), 1, problem.batch);
  // A block never has a part of a picture together with another one: sums run in the same order for a picture alone.
  segment = even_part(wide(0), most);
  const index picture_rows = axis == 2 ? 1 : length * rows_each();
  rows = std::min(most / segment, picture_rows);
  if (images > 1) rows *= std::clamp<index>(most / problem.pixels(), 1, images);
  const index places = rows * segment + (rows + 1) * gap_;
  pixel = problem.planar ? 1 : plan.stride;
  column = problem.planar ? round_up(places, lanes) + lanes : 1;
  line = (segment + gap_) * pixel;
  results = (problem.planar ? plan.stride * column : places * plan.stride) + plan.cell + lanes;
  sums += lanes;  // pixels of a group are stored one by one, by whole vectors
}

ScatterField ScatterCut::strip(index s, index pictures) const {
  const auto& [ad, ah, aw] = problem_.axis;
  ScatterField f{pictures, {0, 0, 0}, {ad.out, ah.out, aw.in + gap_}, ah.step};
  const ScatterAxis& a = problem_.axis[axis];
  if (axis == 2) {
    f.first[2] = begin(s);
    f.count[2] = end(s) - begin(s) + gap_;
  } else {
    const index last = a.first + (end(s) - 1) * a.step + a.reach();
    f.first[axis] = std::clamp<index>(a.first + begin(s) * a.step, 0, a.out);
    f.count[axis] = std::clamp<index>(last + 1, 0, a.out) - f.first[axis];
  }
  return f;
}

ScatterField ScatterCut::shared(index s) const {
  const ScatterField here = strip(s, 1);
  ScatterField f = strip(s + 1, 1);
  f.count[axis] = std::max<index>(0, here.first[axis] + here.count[axis] - f.first[axis]);
  return f;
}

bool ScatterCut::shares_work() const {
  return static_cast<double>(problem_.batch * problem_.groups) * picture_flops(problem_) >= parallel_flops;
}

}  // namespace pcx
