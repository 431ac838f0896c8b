#include "ops/fourier_tables.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/fork_mutex.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr std::size_t most_tables = 24;  // of each element type: the sizes of a few problems

// Never held while a table is made.
std::mutex& tables_mutex() { return fork_mutex<struct AllTables>(); }

template <class T>
using Tables = std::vector<std::shared_ptr<const FourierTable<T>>>;

template <class T>
Tables<T>& tables() {
  static auto* const instance = new Tables<T>;
  return *instance;
}

template <class T>
std::shared_ptr<const FourierTable<T>> find(index size, index lanes) {
  const std::lock_guard<std::mutex> lock(tables_mutex());
  for (const auto& table : tables<T>()) {
    if (table->size == size && table->lanes == lanes) return table;
  }
  return nullptr;
}

template <class T>
void keep(const std::shared_ptr<const FourierTable<T>>& table) {
  Tables<T> given_up;  // their memory goes back outside of the lock
  const std::lock_guard<std::mutex> lock(tables_mutex());
  if (tables<T>().size() >= most_tables) tables<T>().swap(given_up);
  tables<T>().push_back(table);
}

// exp(-2 pi i k / size) for a power of two: of the first eighth of the circle, where an angle is rounded least, or its
// image there.
class Roots {
 public:
  explicit Roots(index size) : size_(std::max<index>(size, 8)), scale_(size_ / size) {
    for (index k = 0; k <= size_ / 8; ++k) {
      const double angle = turn * static_cast<double>(k) / static_cast<double>(size_);
      cosine_.push_back(std::cos(angle));
      sine_.push_back(std::sin(angle));
    }
  }

  template <class T>
  void write(index k, T* to, index apart) const {
    k = k * scale_ & (size_ - 1);
    to[0] = static_cast<T>(cosine(k));
    to[apart] = static_cast<T>(cosine((k + size_ / 4) & (size_ - 1)));
  }

 private:
  static constexpr double turn = 6.283185307179586476925;

  double cosine(index k) const {
    if (k > size_ / 2) k = size_ - k;
    const bool left = k > size_ / 4;
    if (left) k = size_ / 2 - k;
    const double value =
        k > size_ / 8 ? sine_[static_cast<std::size_t>(size_ / 4 - k)] : cosine_[static_cast<std::size_t>(k)];
    return left ? -value : value;
  }

  index size_, scale_;
  std::vector<double> cosine_, sine_;
};

// The frequency, of `places`, that stands at place p once all stages are done.
index frequency_at(index p, const std::vector<FourierStage>& stages) {
  index frequency = 0, unit = 1;
  for (const FourierStage& stage : stages) {
    const index part = stage.length / stage.radix;
    frequency += unit * (p / part);
    p %= part;
    unit *= stage.radix;
  }
  return frequency;
}

template <class T>
std::shared_ptr<const FourierTable<T>> make(index size, index lanes) {
  auto table = std::make_shared<FourierTable<T>>();
  table->size = size;
  table->lanes = lanes;
  table->places = size / lanes;
  index elements = 0;
  for (index length = table->places; length > 1;) {
    const index radix = length % 4 == 0 ? 4 : 2;
    table->stages.push_back({radix, length, elements});
    elements += 2 * (radix - 1) * (length / radix);
    length /= radix;
  }
  const index line = 64 / static_cast<index>(sizeof(T));
  table->across = (elements + line - 1) / line * line;
  table->data.resize(static_cast<std::size_t>(table->across + 2 * size + line));
  const Roots roots(size);
  T* const first = table->data.data() + (table->begin() - table->data.data());
  T* to = first;
  for (const FourierStage& stage : table->stages) {
    for (index j = 0; j < stage.length / stage.radix; ++j) {
      for (index k = 1; k < stage.radix; ++k, to += 2) roots.write(j * k * (size / stage.length), to, 1);
    }
  }
  to = first + table->across;
  for (index p = 0; p < table->places; ++p, to += 2 * lanes) {
    const index frequency = frequency_at(p, table->stages);
    for (index lane = 0; lane < lanes; ++lane) roots.write(lane * frequency, to + lane, lanes);
  }
  return table;
}

}  // namespace

template <class T>
std::shared_ptr<const FourierTable<T>> fourier_table(index size, bool across_lanes) {
  const index lanes = across_lanes ? kernels<T>().lanes : 1;
  auto table = find<T>(size, lanes);
  if (!table) {
    table = make<T>(size, lanes);
    keep(table);
  }
  return table;
}

template std::shared_ptr<const FourierTable<float>> fourier_table(index, bool);
template std::shared_ptr<const FourierTable<double>> fourier_table(index, bool);

}  // namespace pcx
