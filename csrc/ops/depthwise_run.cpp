// Forward, and input gradients: their residues, whose rows lie between those of each other.
#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/column_rows.h"
#include "ops/depthwise.h"
#include "ops/depthwise_flat.h"

namespace pcx {

namespace {

constexpr index most_residues = 8;  // of which a worker holds rows at once

// Whether y is stored past the caches (Kernels::stream_rows). Where it is larger than half of a common last-level
// cache, it has left it before anybody reads it, and an ordinary store first reads the line that it overwrites. That
// took half of the time at 20 MB; at 5 MB this would take a fifth more. Processors with AVX-512 fetch those lines
// ahead: past the caches 23 MB took up to 1.5 times as long, 92 MB and more 0.5 to 0.9 times.
template <class T>
bool streamed(const Correlation& p) {
  const index most_bytes = kernels<T>().wide() ? 64 << 20 : 16 << 20;
  const index pixels = p.batch * p.axis[0].out * p.axis[1].out * p.axis[2].out;
  return pixels * p.groups * p.out_channels * static_cast<index>(sizeof(T)) > most_bytes;
}

template <class T>
class RowsOf {
 public:
  RowsOf(const Correlation& problem, bool padding)
      : p_(problem),
        k_(kernels<T>()),
        cut_(depthwise_cut<T>(p_)),
        all_(p_.groups * p_.out_channels),
        padding_(padding),
        finished_(streamed<T>(p_) ? cut_.block[2] * cut_.channels : 0) {}

  // What a worker needs.
  struct Own {
    explicit Own(const RowsOf& rows)
        : columns(rows.p_, rows.cut_, rows.padding_), finished(rows.finished_), bytes(columns.bytes()) {
      bytes += rows.finished_ * static_cast<index>(sizeof(T));
    }

    ColumnRows<T> columns;
    Buffer<T> finished;  // a row, before it is stored
    index bytes;
  };

  index tasks() const { return cut_.units(p_) * cut_.channel_blocks; }
  index workers() const { return cut_.shared_by(p_, tasks()); }

  void compute(index task, const T* x, const T* packed, const T* bias, bool relu, T* y, Own& own) const {
    const DepthwiseBlock block = depthwise_block(p_, cut_, task / cut_.channel_blocks);
    const index first = task % cut_.channel_blocks * cut_.channels;
    const auto& [ad, ah, aw] = p_.axis;
    T* const finished = own.finished.data();
    ColumnRows<T>& rows = own.columns;
    DepthwiseRow<T> row{};
    row.taps = aw.taps;
    row.w_vector = p_.taps() * p_.in_channels * k_.lanes;
    row.channels = std::min(cut_.channels, all_ - first);
    row.pixels = block.size[2];
    row.bias = bias ? bias + first : nullptr;
    row.relu = relu;
    row.y_step = finished ? row.channels : aw.out_step * all_;
    packed += first / k_.lanes * row.w_vector;
    y += (aw.out_first + block.start[2] * aw.out_step) * all_ + first;
    rows.begin(x, block, first, row.channels, finished ? finished : y);
    row.runs = rows.runs().data();
    row.run_count = static_cast<index>(rows.runs().size());
    row.x_step = rows.step();
    row.ahead_step = rows.following_step();
    for (index d = block.start[0]; d < block.start[0] + block.size[0]; ++d) {
      for (index h = block.start[1]; h < block.start[1] + block.size[1]; ++h) {
        const index od = ad.out_first + d * ad.out_step, oh = ah.out_first + h * ah.out_step;
        T* const to = y + ((block.image * ad.out + od) * ah.out + oh) * aw.out * all_;
        row.y = finished ? finished : to;
        row.w = packed;
        add_row(rows, d, h, row);
        if (finished) k_.stream_rows({finished, to, row.pixels, row.channels, row.y_step, aw.out_step * all_});
      }
    }
    if (finished) k_.stream_end();
  }

 private:
  void add_row(ColumnRows<T>& rows, index d, index h, DepthwiseRow<T>& row) const {
    rows.look(d, h, 1);
    // Few of many: a kernel that is higher than the picture. All of few have kernels of their own.
    auto [begin, end] = rows.there();
    if (2 * (end - begin) > rows.rows()) begin = 0, end = rows.rows();
    row.x = rows.seen() + begin;
    row.rows = end - begin;
    row.w += begin * row.taps * k_.lanes;
    if (rows.far()) {
      const std::vector<const T*>& ahead = rows.following(d, h);
      row.ahead = ahead.data();
      row.ahead_count = static_cast<index>(ahead.size());
    }
    k_.depthwise_row(row);
  }

  const Correlation& p_;
  const Kernels<T>& k_;
  const DepthwiseCut cut_;
  const index all_;  // output channels
  const bool padding_;
  const index finished_;  // elements of a row that is finished before it is stored; or 0
};

bool is_empty(const Correlation& p) { return p.batch * p.positions() * p.groups * p.out_channels == 0; }

// Padding times a weight that is not finite is NaN: then it is computed, else left out.
template <class T>
bool computes_padding(const Correlation& p, const T* packed) {
  return packed[depthwise_packed_size<T>(p) - 1] != 0;  // NaN is not 0
}

// The tasks of all residues, picture by picture.
template <class T>
class Residues {
 public:
  Residues(const std::vector<Correlation>& parts, const std::vector<const T*>& packed) : batch_(parts[0].batch) {
    each_.reserve(parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Correlation& p = parts[i];
      if (is_empty(p)) continue;
      const T* const w = packed.empty() ? nullptr : packed[i];
      const RowsOf<T> rows(p, w && computes_padding(p, w));
      each_.push_back({rows, w, rows.tasks() / batch_});
      tasks_ += each_.back().tasks;
      products_ += p.products();
      results_ += p.batch * p.positions() * p.groups * p.out_channels;
      chain_ = std::max(chain_, p.taps() * p.in_channels);
    }
  }

  Work work() const {
    index scratch = 0;
    for (const Residue& residue : each_) scratch += typename RowsOf<T>::Own(residue.rows).bytes;
    return {products_, chain_, 0, scratch, shared_by()};
  }

  void run(const T* x, const T* bias, bool relu, T* y) const {
    const int workers = workers_for(shared_by(), products_);
    std::vector<typename RowsOf<T>::Own> own;
    own.reserve(each_.size() * static_cast<std::size_t>(workers));
    for (int worker = 0; worker < workers; ++worker) {
      for (const Residue& residue : each_) own.emplace_back(residue.rows);
    }
    parallel_for(tasks_ * batch_, workers, [&](index task, int worker) {
      const index image = task / tasks_;
      index number = task % tasks_;
      std::size_t i = 0;
      for (; number >= each_[i].tasks; ++i) number -= each_[i].tasks;
      const Residue& residue = each_[i];
      residue.rows.compute(image * residue.tasks + number, x, residue.packed, bias, relu, y,
                           own[static_cast<std::size_t>(worker) * each_.size() + i]);
    });
  }

 private:
  struct Residue {
    RowsOf<T> rows;
    const T* packed;
    index tasks;  // of a picture
  };

  index shared_by() const { return depthwise_worth_threads(products_, results_) ? tasks_ * batch_ : 1; }

  std::vector<Residue> each_;  // that have results
  const index batch_;
  index tasks_ = 0, results_ = 0, chain_ = 0;  // tasks: of a picture
  double products_ = 0;
};

}  // namespace

template <class T>
Work depthwise_work(const Correlation& p) {
  if (is_empty(p)) return {};
  if (lies_flat<T>(p)) return flat_work<T>(p);
  const RowsOf<T> rows(p, false);
  return {p.products(), p.taps() * p.in_channels, 0, typename RowsOf<T>::Own(rows).bytes, rows.workers()};
}

template <class T>
void depthwise(const Correlation& p, const T* x, const T* packed, const T* bias, bool relu, T* y) {
  if (is_empty(p)) return;
  if (lies_flat<T>(p)) return flat_depthwise(p, x, packed, bias, relu, y);
  const RowsOf<T> rows(p, computes_padding(p, packed));
  const int workers = workers_for(rows.workers(), p.products());
  std::vector<typename RowsOf<T>::Own> own;
  own.reserve(static_cast<std::size_t>(workers));
  for (int i = 0; i < workers; ++i) own.emplace_back(rows);
  parallel_for(rows.tasks(), workers, [&](index task, int worker) {
    rows.compute(task, x, packed, bias, relu, y, own[static_cast<std::size_t>(worker)]);
  });
}

template <class T>
bool depthwise_together(const std::vector<Correlation>& parts) {
  const auto suits = [](const Correlation& p) { return depthwise_suits<T>(p) && !lies_flat<T>(p); };
  return parts.size() > 1 && parts.size() <= most_residues && std::all_of(parts.begin(), parts.end(), suits);
}

template <class T>
Work depthwise_residues_work(const std::vector<Correlation>& parts) {
  return Residues<T>(parts, {}).work();
}

template <class T>
void depthwise_residues(const std::vector<Correlation>& parts, const T* x, const std::vector<const T*>& packed,
                        const T* bias, bool relu, T* y) {
  Residues<T>(parts, packed).run(x, bias, relu, y);
}

template Work depthwise_work<float>(const Correlation&);
template Work depthwise_work<double>(const Correlation&);
template void depthwise(const Correlation&, const float*, const float*, const float*, bool, float*);
template void depthwise(const Correlation&, const double*, const double*, const double*, bool, double*);
template bool depthwise_together<float>(const std::vector<Correlation>&);
template bool depthwise_together<double>(const std::vector<Correlation>&);
template Work depthwise_residues_work<float>(const std::vector<Correlation>&);
template Work depthwise_residues_work<double>(const std::vector<Correlation>&);
template void depthwise_residues(const std::vector<Correlation>&, const float*, const std::vector<const float*>&,
                                 const float*, bool, float*);
template void depthwise_residues(const std::vector<Correlation>&, const double*, const std::vector<const double*>&,
                                 const double*, bool, double*);

}  // namespace pcx
