// The k nearest rows of a gallery. A task takes a block of queries and a part of the gallery, piece by piece, and keeps
// a heap of the k nearest for each query. Candidates are in a strict order, so lists of parts merge to the same bits
// whoever made them.
#include <algorithm>
#include <limits>
#include <vector>

#include "base/division.h"
#include "base/parallel.h"
#include "base/touch.h"
#include "ops/metric.h"

namespace pcx {

namespace {

constexpr index most_queries = 64, least_queries = 4;  // of a block
constexpr index piece_bytes = 128 << 10;               // of gallery rows that stay in L2 while the queries pass
constexpr index most_rows = 512, least_rows = 16;      // of a piece
constexpr index single_rows = 2048;                    // the same where a single query passes
constexpr index list_bytes = 8 << 20;                  // of one task's lists
constexpr index merge_bytes = 32 << 20;                // of all lists that wait to be merged
constexpr index least_tasks = 16;
constexpr double part_steps = 3e5, parallel_steps = 1e6;  // differences

template <class T>
struct Candidate {
  T distance;
  index number;
};

// A strict order: NaN after everything, equals by number.
template <class T>
bool nearer(const Candidate<T>& a, const Candidate<T>& b) {
  if (a.distance < b.distance) return true;
  if (a.distance > b.distance) return false;
  const bool a_nan = a.distance != a.distance, b_nan = b.distance != b.distance;
  return a_nan != b_nan ? b_nan : a.number < b.number;
}

// `list` is a heap of at most k candidates, the farthest on top; `filled` of them are there.
template <class T>
void offer(Candidate<T>* list, index k, index& filled, const Candidate<T>& candidate) {
  if (filled < k) {
    list[filled++] = candidate;
    std::push_heap(list, list + filled, nearer<T>);
  } else if (nearer(candidate, list[0])) {
    std::pop_heap(list, list + k, nearer<T>);
    list[k - 1] = candidate;
    std::push_heap(list, list + k, nearer<T>);
  }
}

template <class T>
void offer_row(Candidate<T>* list, index k, index filled, const T* d, index count, index first_number) {
  constexpr index step = 16;
  index i = 0;
  for (; i < count && filled < k; ++i) offer(list, k, filled, {d[i], first_number + i});
  while (i < count) {
    const T farthest = list[0].distance;
    for (; i + step <= count; i += step) {  // most of a gallery is too far away: skipped in vectors
      int near = 0;
      for (index j = 0; j < step; ++j) near |= !(d[i + j] >= farthest);
      if (near) break;
    }
    const index end = std::min(count, i + step);
    for (; i < end; ++i) offer(list, k, filled, {d[i], first_number + i});
  }
}

template <class T>
class Search {
 public:
  Search(Metric metric, index count, index size, index depth, index k, const T* queries, const T* gallery)
      : metric_(metric),
        size_(size),
        depth_(depth),
        k_(k),
        count_(count),
        query_scratch_(scratch_of(count)),
        queries_(metric, queries, count, depth, query_scratch_.data()),
        gallery_(gallery),
        far_(metric != Metric::cosine && size * depth * index(sizeof(T)) > far_bytes) {
    const index row_bytes = std::max<index>(1, depth * static_cast<index>(sizeof(T)));
    const index entry = static_cast<index>(sizeof(Candidate<T>));
    piece_ = std::clamp(piece_bytes / row_bytes, least_rows, most_rows);
    block_ = std::clamp(list_bytes / (k * entry), least_queries, most_queries);
    blocks_ = divide_up(count, block_);
    if (count == 1 && metric != Metric::cosine) piece_ = single_rows;
    workers_ = steps() < parallel_steps ? 1 : workers_for(std::numeric_limits<index>::max());
    // Every part fills a list of its own, most of it in vain.
    const index worth = workers_ == 1 ? 1 : static_cast<index>(steps() / part_steps);
    const index affordable = merge_bytes / (count * k * entry);
    parts_ = std::max<index>(1, std::min({divide_up(least_tasks, blocks_), worth, affordable, size / (8 * k)}));
  }

  void run(T* distances, index* numbers) const {
    const int workers = static_cast<int>(std::min<index>(workers_, blocks_ * parts_));
    const index worker_size = block_ * piece_ + scratch_of(piece_);
    Buffer<T> scratch(worker_size * workers);
    Buffer<Candidate<T>> lists((parts_ > 1 ? parts_ * count_ : workers * block_) * k_);
    parallel_for(blocks_ * parts_, workers, [&](index task, int worker) {
      const index block = task / parts_, part = task % parts_, first = block * block_;
      const index queries = std::min(block_, count_ - first);
      Candidate<T>* list = lists.data() + (parts_ > 1 ? part * count_ + first : worker * block_) * k_;
      search(first, queries, size_ * part / parts_, size_ * (part + 1) / parts_, scratch.data() + worker * worker_size,
             list);
      if (parts_ > 1) return;
      for (index q = 0; q < queries; ++q) write(list + q * k_, first + q, distances, numbers);
    });
    if (parts_ == 1) return;
    parallel_for(count_, workers, [&](index query, int) {
      Candidate<T>* list = lists.data() + query * k_;
      index filled = k_;
      for (index part = 1; part < parts_; ++part) {
        const Candidate<T>* other = lists.data() + (part * count_ + query) * k_;
        for (index i = 0; i < k_; ++i) offer(list, k_, filled, other[i]);
      }
      write(list, query, distances, numbers);
    });
  }

 private:
  index scratch_of(index rows) const { return metric_ == Metric::cosine ? rows * depth_ : 0; }
  double steps() const { return 1.0 * count_ * size_ * depth_; }

  void search(index first, index queries, index begin, index end, T* scratch, Candidate<T>* lists) const {
    T* d = scratch;
    for (index row = begin; row < end; row += piece_) {
      const index rows = std::min(piece_, end - row);
      Rows<T> piece(metric_, gallery_ + row * depth_, rows, depth_, scratch + block_ * piece_);
      piece.far = far_;
      distance_block(metric_, depth_, queries_, first, queries, piece, 0, rows, d, piece_);
      const index filled = std::min(k_, row - begin);
      for (index q = 0; q < queries; ++q) offer_row(lists + q * k_, k_, filled, d + q * piece_, rows, row);
    }
  }

  void write(Candidate<T>* list, index query, T* distances, index* numbers) const {
    std::sort_heap(list, list + k_, nearer<T>);
    for (index i = 0; i < k_; ++i) {
      distances[query * k_ + i] = list[i].distance;
      numbers[query * k_ + i] = list[i].number;
    }
  }

  const Metric metric_;
  const index size_, depth_, k_, count_;
  const Buffer<T> query_scratch_;
  const Rows<T> queries_;
  const T* gallery_;
  const bool far_;
  int workers_;
  index piece_, block_, blocks_, parts_;
};

}  // namespace

template <class T>
void nearest(Metric metric, index count, index size, index depth, index k, const T* queries, const T* gallery,
             T* distances, index* numbers) {
  if (count > 0) Search<T>(metric, count, size, depth, k, queries, gallery).run(distances, numbers);
}

template void nearest(Metric, index, index, index, index, const float*, const float*, float*, index*);
template void nearest(Metric, index, index, index, index, const double*, const double*, double*, index*);

}  // namespace pcx
