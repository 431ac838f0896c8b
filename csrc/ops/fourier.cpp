// The driver: a task takes a pair of blocks and a few groups of channels all the way.
#include "ops/fourier.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/fourier_block.h"
#include "ops/fourier_transform.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 64 << 20;   // of all workers together
constexpr double parallel_cycles = 8e4;     // that are worth a second thread
constexpr double operations_of_cycle = 12;  // multiply-adds that take as long
constexpr index chain_of_a_step = 2;        // roundings one after the other

template <class T>
class Fourier {
 public:
  Fourier(const Correlation& problem, const Tiles& tiles, const T* x, const T* packed, const T* bias, bool relu, T* y)
      : plan_(problem, tiles), transform_(plan_.size), x_(x), packed_(packed), bias_(bias), relu_(relu), y_(y) {}

  std::vector<index> run(const Work& work) {
    const Correlation& p = plan_.problem;
    const std::unique_ptr<std::atomic<bool>[]> failed(new std::atomic<bool>[static_cast<std::size_t>(p.batch)]);
    for (index i = 0; i < p.batch; ++i) failed[i] = false;
    const int workers = workers_for(work.workers, operations_of_cycle * plan_.cycles() * static_cast<double>(p.batch));
    Buffer<T> buffer(workers * plan_.scratch());
    parallel_for(p.batch * plan_.bundles * plan_.pairs, workers, [&](index task, int worker) {
      const index pair = task % plan_.pairs, bundle = task / plan_.pairs % plan_.bundles;
      const index image = task / plan_.pairs / plan_.bundles;
      if (!one(image, bundle * plan_.groups, pair, buffer.data() + worker * plan_.scratch())) failed[image] = true;
    });
    std::vector<index> not_finite;
    for (index i = 0; i < p.batch; ++i) {
      if (failed[i]) not_finite.push_back(i);
    }
    return not_finite;
  }

 private:
  // One pair of blocks, and the groups from `group` on.
  bool one(index image, index group, index pair, T* planes) const {
    const Correlation& p = plan_.problem;
    const index groups = std::min(plan_.groups, p.groups - group);
    const index in = groups * p.in_channels, out = groups * p.out_channels, first = group * p.out_channels;
    const T* const x = x_ + image * p.axis[0].in * p.axis[1].in * p.axis[2].in * plan_.in_channels();
    T* const y = y_ + image * p.axis[0].out * p.axis[1].out * p.axis[2].out * plan_.out_channels();
    fourier_fill(plan_, x, pair, group * p.in_channels, in, planes);
    T* const results = plan_.in_place ? planes : planes + plan_.in_planes * plan_.plane;
    for (index c = 0; c < in && !plan_.in_place; ++c) {
      T* const re = planes + c * plan_.plane;
      transform_.forward(re, re + plan_.imaginary);
    }
    bool finite = true;
    for (index c = 0; c < out; c += plan_.out_planes) {
      const index channels = std::min(plan_.out_planes, out - c);
      for (index i = 0; i < channels; ++i) {
        const T* const spectrum = packed_ + (first + c + i) * plan_.spectrum();
        T* const re = results + i * plan_.plane;
        if (plan_.in_place)
          transform_.filter(re, re + plan_.imaginary, spectrum);
        else
          sum_of_products(planes + (c + i) / p.out_channels * p.in_channels * plan_.plane, spectrum, re);
      }
      finite = fourier_store(plan_, results, pair, first + c, channels, bias_, relu_, y) && finite;
    }
    return finite;
  }

  void sum_of_products(const T* spectra, const T* spectrum, T* re) const {
    const Kernels<T>& k = kernels<T>();
    k.spectrum_product({spectra, spectra + plan_.imaginary, spectrum, re, re + plan_.imaginary,
                        plan_.problem.in_channels, plan_.elements / k.lanes, plan_.plane});
    transform_.inverse(re, re + plan_.imaginary);
  }

  const FourierPlan<T> plan_;
  const FourierTransform<T> transform_;
  const T* x_;
  const T* packed_;
  const T* bias_;
  const bool relu_;
  T* y_;
};

bool is_empty(const Correlation& p) { return p.batch * p.positions() * p.groups * p.out_channels == 0; }

}  // namespace

template <class T>
Work fourier_work(const Correlation& problem, const Tiles& tiles) {
  if (is_empty(problem)) return {};
  const FourierPlan<T> plan(problem, tiles);
  Work work;
  work.products = 4.0 * static_cast<double>(problem.batch * plan.pairs * problem.groups * plan.elements) *
                  static_cast<double>(problem.in_channels * problem.out_channels);
  for (index n = plan.elements; n > 1; n /= 4) work.chain += chain_of_a_step;
  work.scratch = plan.scratch() * static_cast<index>(sizeof(T));
  if (plan.cycles() * static_cast<double>(problem.batch) > parallel_cycles) {
    work.workers =
        std::min(problem.batch * plan.bundles * plan.pairs, std::max<index>(1, scratch_bytes / work.scratch));
  }
  return work;
}

template <class T>
std::vector<index> fourier_correlate(const Correlation& problem, const Tiles& tiles, const T* x, const T* packed,
                                     const T* bias, bool relu, T* y) {
  if (is_empty(problem)) return {};
  return Fourier<T>(problem, tiles, x, packed, bias, relu, y).run(fourier_work<T>(problem, tiles));
}

template Work fourier_work<float>(const Correlation&, const Tiles&);
template Work fourier_work<double>(const Correlation&, const Tiles&);
template std::vector<index> fourier_correlate(const Correlation&, const Tiles&, const float*, const float*,
                                              const float*, bool, float*);
template std::vector<index> fourier_correlate(const Correlation&, const Tiles&, const double*, const double*,
                                              const double*, bool, double*);

}  // namespace pcx
