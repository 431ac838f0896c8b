// The driver of convolution by scattering. A picture is cut along its outermost axis into strips of pixels of x. A
// strip sums what its pixels lead to in a field of its own, which stays in the L2 cache; where the fields of two strips
// meet, their sums are kept, and added when both are there.
#include "ops/scatter.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "isa/dispatch.h"
#include "ops/scatter_cut.h"
#include "ops/scatter_products.h"
#include "ops/scatter_store.h"

namespace pcx {

namespace {

constexpr index near_bytes = 16 << 10;  // of partial results whose rows of taps are added one after the other: L1
// Of x, from where on it is brought near a block at a time: less of it is found in the last cache.
constexpr index touched_bytes = 12 << 20;

template <class T>
class Scatterer {
 public:
  Scatterer(const Scatter& problem, const T* x, const T* packed, const T* bias, bool relu, T* y)
      : p_(problem),
        k_(kernels<T>()),
        plan_(ScatterPlan::of<T>(p_)),
        cells_(plan_.cell_kernels<T>(p_)),
        cut_(p_, plan_, k_.lanes, sizeof(T)),
        phases_(static_cast<index>(plan_.phases.size())),
        apart_(plan_.apart(p_)),
        touches_(p_.batch * p_.pixels() * p_.in_pixel() * index(sizeof(T)) > touched_bytes),
        x_(x),
        products_(p_, plan_, cut_, packed),
        store_(p_, plan_, bias, relu, y) {
    list_offsets();
  }

  Work work() const {
    const double products = static_cast<double>(p_.batch * p_.groups * p_.pixels() * p_.in_channels) *
                            static_cast<double>(p_.tap_rows() * p_.row_columns());
    const index lanes = plan_.passes[0].over_lanes ? k_.lanes : 1;
    index taps = 1;  // that reach one pixel of y
    for (const ScatterAxis& axis : p_.axis)
      taps *= divide_up(axis.taps, axis.step / std::gcd(axis.step, axis.tap_step));
    const index chain = divide_up(plan_.chunk, lanes) + divide_up(p_.in_channels, plan_.chunk) + taps;
    const index element = sizeof(T), lists = products_.pixels() * static_cast<index>(sizeof(index));
    const index tasks = p_.groups * (cut_.strips > 1 ? cut_.at_once * cut_.strips : divide_up(p_.batch, cut_.images));
    return {products, chain, (seams() + store_.biases()) * element + lists,
            (cut_.sums + cut_.results + products_.window()) * element, cut_.shares_work() ? tasks : 1};
  }

  void run() {
    const Work needed = work();
    const int workers = workers_for(needed.workers, needed.products);
    store_.fill_unreached();
    Buffer<T> sums(cut_.sums * workers), results(cut_.results * workers), windows(products_.window() * workers);
    Buffer<T> shared(seams() + store_.biases());
    Buffer<index> lists(products_.pixels());
    products_.list_pixels(lists.data());
    store_.list_bias(shared.data() + seams());
    for (int i = 0; i < workers; ++i) products_.clear(results.data() + i * cut_.results);
    const index strips = cut_.strips, between = strips - 1;
    for (index image = 0; image < p_.batch; image += strips > 1 ? cut_.at_once : p_.batch) {
      const index all = strips > 1 ? std::min(cut_.at_once, p_.batch - image) : p_.batch;
      parallel_for(divide_up(all, cut_.images) * strips * p_.groups, workers, [&](index task, int worker) {
        const index group = task % p_.groups, first = task / p_.groups / strips * cut_.images;
        compute(image + first, std::min(cut_.images, all - first), group, task / p_.groups % strips,
                {sums.data() + worker * cut_.sums, results.data() + worker * cut_.results,
                 windows.data() + worker * products_.window()},
                shared.data() + (first * p_.groups + group) * 2 * between * cut_.seam);
      });
      parallel_for(apart_ ? 0 : all * p_.groups * between, workers, [&](index task, int) {
        const index picture = task / between;
        join(image + picture / p_.groups, picture % p_.groups, task % between, shared.data() + task * 2 * cut_.seam);
      });
    }
  }

 private:
  index seams() const { return cut_.at_once * p_.groups * (cut_.strips - 1) * 2 * cut_.seam; }

  struct Worker {
    T *sums, *results, *window;
  };

  // Where the terms of a phase stand, seen from a cell of a row of taps.
  void list_offsets() {
    for (const ScatterPhase& phase : plan_.phases) {
      for (const ScatterTerm& term : phase.terms) offsets_.push_back(offset_of(term));
    }
  }
  index offset_of(const ScatterTerm& term) const { return term.column * cut_.column - term.cells * cut_.pixel; }

  void compute(index image, index images, index group, index s, const Worker& worker, T* seams) const {
    T* const sums = worker.sums;
    const ScatterField f = cut_.strip(s, images);
    if (!apart_) std::fill_n(sums, cut_.size(f), T(0));
    const index image_rows = p_.axis[0].in * p_.axis[1].in, wide = cut_.wide(s);
    const bool along = cut_.axis == 2;
    const index row = image * image_rows + (along ? 0 : cut_.begin(s) * cut_.rows_each());
    const index rows = images * (along ? image_rows : (cut_.end(s) - cut_.begin(s)) * cut_.rows_each());
    for (index r = 0; r < rows; r += cut_.rows) {
      for (index q = 0; q < wide; q += cut_.segment) {
        add_block(f, image, group, row + r, std::min(cut_.rows, rows - r), (along ? cut_.begin(s) : 0) + q,
                  std::min(cut_.segment, wide - q), worker);
      }
    }
    if (apart_) return;
    ScatterField own = f;
    if (s > 0) keep(f, cut_.shared(s - 1), sums, own, seams + (2 * s - 1) * cut_.seam);
    if (s + 1 < cut_.strips) keep(f, cut_.shared(s), sums, own, seams + 2 * s * cut_.seam);
    finish(f, own, image, group, sums);
  }

  // `rows` rows of x from `row` on, counted through all pictures, and of each the pixels [q, q + count).
  void add_block(const ScatterField& f, index image, index group, index row, index rows, index q, index count,
                 const Worker& worker) const {
    const index deep = p_.axis[0].in, high = p_.axis[1].in, line = cut_.line;
    T* const results = worker.results;
    if (count < cut_.segment) products_.clear_behind(count, results);
    const index wide = p_.axis[2].in, pixel = p_.in_pixel();  // of all groups, which take turns at a strip
    if (touches_ && group == 0) touch(x_ + (row * wide + q) * pixel, rows, wide * pixel, count * pixel);
    const index line_bytes = (cut_.segment + plan_.gap) * plan_.stride * static_cast<index>(sizeof(T));
    const index near = p_.planar ? rows : std::max<index>(1, near_bytes / line_bytes);
    for (const ScatterPass& pass : plan_.passes) {
      products_.multiply(pass, group, x_ + (row * wide + q) * pixel, rows, count, worker.window, results);
      if (apart_) {
        store_rows(pass, group, row, rows, q, count, results);
        continue;
      }
      for (index r = row, some; r < row + rows; r += some) {
        some = std::min({near, row + rows - r, high - r % high});  // of one depth of one picture
        const T* own = results + plan_.gap * cut_.pixel + (r - row) * line;
        T* picture =
            worker.sums + (r / (deep * high) - image) * f.count[0] * f.count[1] * f.count[2] * phases_ * plan_.cell;
        add_rows(f, pass, r / high % deep, r % high, some, q, count, own, picture);
      }
    }
  }

  // The partial results of pixels [q, q + count) of some rows into y, where each is the only one of its pixel.
  void store_rows(const ScatterPass& pass, index group, index row, index rows, index q, index count,
                  const T* results) const {
    const auto& [ad, ah, aw] = p_.axis;
    for (const ScatterPhase& phase : plan_.phases) {
      const index pixel = aw.first + q * aw.step + phase.pixel;
      const auto line = store_.line(phase, group, pixel, count, cut_.pixel);
      for (index r = row, some; r < row + rows; r += some) {
        const index slice = r / ah.in, image = slice / ad.in;
        some = std::min(row + rows, (slice + 1) * ah.in) - r;  // of one depth of one picture
        const T* from = results + plan_.gap * cut_.pixel + (r - row) * cut_.line + offset_of(phase.terms[0]);
        const index first_d = ad.first + (slice - image * ad.in) * ad.step;
        const index first_h = ah.first + (r - slice * ah.in) * ah.step;
        index td = pass.first / ah.taps, th = pass.first - td * ah.taps;
        for (index tap = 0; tap < pass.rows; ++tap, ++th, from += p_.row_columns() * cut_.column) {
          if (th == ah.taps) {
            th = 0;
            ++td;
          }
          const index d = first_d + td * ad.tap_step, h = first_h + th * ah.tap_step;
          if (d < 0 || d >= ad.out) continue;
          const auto [begin, end] = Inside(h, ah.step, some, ah.out);
          if (begin < end)
            store_.store(line, (image * ad.out + d) * ah.out + h + begin * ah.step, end - begin,
                         from + begin * cut_.line, cut_.line);
        }
      }
    }
  }

  // Adds the partial results of pixels [q, q + count) of rows (d, h) .. (d, h + rows - 1) to the sums of their picture.
  void add_rows(const ScatterField& f, const ScatterPass& pass, index d, index h, index rows, index q, index count,
                const T* results, T* sums) const {
    const auto& [ad, ah, aw] = p_.axis;
    const index line = cut_.segment + plan_.gap;
    ShiftAdd<T> sum{};
    sum.p_stride = cut_.pixel;
    sum.y_stride = plan_.cell;
    for (index row = 0; row < pass.rows; ++row) {
      const index tap = pass.first + row;
      const index od = ad.first + d * ad.step + tap / ah.taps * ad.tap_step;
      if (od < f.first[0] || od >= f.first[0] + f.count[0]) continue;
      // Rows [begin, end) of these lead into the field.
      const index first = ah.first + h * ah.step + tap % ah.taps * ah.tap_step - f.first[1];
      const index begin = std::max<index>(0, divide_up(-first, ah.step));
      const index end = std::min(rows, divide_up(f.count[1] - first, ah.step));
      // Where lines are as long here as there, they are one.
      const index together = line == f.count[2] && count == cut_.segment ? end - begin : 1;
      const index cells = (together - 1) * line + count + plan_.reach;
      sum.cells = p_.planar ? 1 : cells;
      for (index r = begin; r < end; r += together) {
        sum.p = results + r * cut_.line + row * p_.row_columns() * cut_.column;
        const index y_line = f.line(f.first[1] + first + r * ah.step);
        sum.offsets = offsets_.data();
        for (index i = 0; i < phases_; ++i, sum.offsets += sum.terms) {
          const ScatterPhase& phase = plan_.phases[static_cast<std::size_t>(i)];
          sum.terms = static_cast<index>(phase.terms.size());
          sum.part_offset = offset_of(phase.part);
          sum.part_length = phase.part_length;
          sum.length = p_.planar ? cells : phase.length;
          sum.y = sums + place(f, 0, od, i, y_line) + (q - f.first[2]) * plan_.cell;
          cells_.shift_add(sum);
        }
      }
    }
  }

  // Where a line of cells of a field begins.
  index place(const ScatterField& f, index image, index d, index phase, index line) const {
    const index plane = (image * f.count[0] + d - f.first[0]) * phases_ + phase;
    return (plane * f.count[1] + line) * f.count[2] * plan_.cell;
  }

  // Calls body(place in f, picture, d, h, rows) for the lines of cells of a phase of the part: those of rows of y that
  // are `step` apart follow each other in f, the first of them is that of h.
  template <class Body>
  void each_lines(const ScatterField& f, const ScatterField& part, index phase, Body body) const {
    const index begin = (part.first[2] - f.first[2]) * plan_.cell;
    for (index i = 0; i < part.images; ++i) {
      for (index d = part.first[0]; d < part.first[0] + part.count[0]; ++d) {
        for (index h = 0; h < std::min(f.step, part.count[1]); ++h) {
          const index rows = divide_up(part.count[1] - h, f.step), first = part.first[1] + h;
          body(place(f, i, d, phase, f.line(first)) + begin, i, d, first, rows);
        }
      }
    }
  }

  // Copies what a field shares with its neighbour, and leaves it out of `own`.
  void keep(const ScatterField& f, const ScatterField& part, const T* sums, ScatterField& own, T* to) const {
    for (index phase = 0; phase < phases_; ++phase) {
      each_lines(f, part, phase, [&](index at, index i, index d, index h, index rows) {
        const index own_line = part.count[2] * plan_.cell;
        T* const lines = to + place(part, i, d, phase, part.line(h));
        for (index r = 0; r < rows; ++r)
          std::copy_n(sums + at + r * f.count[2] * plan_.cell, own_line, lines + r * own_line);
      });
    }
    if (part.first[cut_.axis] == own.first[cut_.axis]) own.first[cut_.axis] += part.count[cut_.axis];
    own.count[cut_.axis] -= part.count[cut_.axis];
  }

  void join(index image, index group, index s, T* seams) const {
    const ScatterField f = cut_.shared(s);
    for (index i = 0; i < cut_.size(f); ++i) seams[i] += seams[cut_.seam + i];
    finish(f, f, image, group, seams);
  }

  // The sums of a part of a field into y.
  void finish(const ScatterField& f, const ScatterField& part, index image, index group, const T* sums) const {
    const ScatterAxis &ad = p_.axis[0], &ah = p_.axis[1], &aw = p_.axis[2];
    for (index i = 0; i < phases_; ++i) {
      const ScatterPhase& phase = plan_.phases[static_cast<std::size_t>(i)];
      const auto line =
          store_.line(phase, group, aw.first + part.first[2] * aw.step + phase.pixel, part.count[2], plan_.cell);
      each_lines(f, part, i, [&](index at, index picture, index d, index h, index rows) {
        store_.store(line, ((image + picture) * ad.out + d) * ah.out + h, rows, sums + at, f.count[2] * plan_.cell);
      });
    }
  }

  const Scatter p_;
  const Kernels<T>& k_;
  const ScatterPlan plan_;
  const Kernels<T>& cells_;
  const ScatterCut cut_;
  const index phases_;
  const bool apart_, touches_;
  std::vector<index> offsets_;  // of the terms of all phases
  const T* x_;
  ScatterProducts<T> products_;
  CellStore<T> store_;
};

}  // namespace

template <class T>
Work scatter_work(const Scatter& problem) {
  if (problem.batch == 0) return {};
  return Scatterer<T>(problem, nullptr, nullptr, nullptr, false, nullptr).work();
}

template <class T>
void scatter(const Scatter& problem, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  if (problem.batch > 0) Scatterer<T>(problem, x, packed, bias, relu, y).run();
}

template Work scatter_work<float>(const Scatter&);
template Work scatter_work<double>(const Scatter&);
template void scatter(const Scatter&, const float*, const float*, const float*, bool, float*);
template void scatter(const Scatter&, const double*, const double*, const double*, bool, double*);

}  // namespace pcx
