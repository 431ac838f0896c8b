#include "ops/slabs.h"

#include <algorithm>

#include "base/division.h"
#include "isa/dispatch.h"

namespace pcx {

namespace {

constexpr index slab_rows = 64;  // of a slab: sums wait in memory once in so many products
// Of a row that one task packs; half as much takes a tenth longer. Less where tasks share the work out, which are two
// at least as long as each has so much.
constexpr index most_bytes = 2048, shared_bytes = 1024, least_bytes = 256;
constexpr index sums_bytes = 256 << 10;  // that wait: half of a common L2
constexpr index fewest_panels = 2;       // of many positions
constexpr index set_apart = 64;          // bytes between panels, whose lines are then in other sets of the cache

template <class T>
index panel_bytes() {
  return kernels<T>().panel * static_cast<index>(sizeof(T));
}

// Elements from one panel to the next.
template <class T>
index apart(index rows) {
  return rows * kernels<T>().panel + set_apart / static_cast<index>(sizeof(T));
}

template <class T>
void pack(const SlabList& list, const SlabList::Slab& slab, const T* w, index row, index columns, T* to) {
  const Kernels<T>& k = kernels<T>();
  const index full = columns / k.panel * k.panel, left = columns - full, width = k.whole_width(left);
  T* last = to + full / k.panel * apart<T>(slab.rows);
  for (index r = slab.first; r < slab.first + slab.runs; ++r) {
    const index rows = list.runs[static_cast<std::size_t>(r)].length;
    const T* const from = w + list.weights[static_cast<std::size_t>(r)];
    k.pack_rows({from, to, rows, full, row, apart<T>(slab.rows)});
    k.pack_rows({from + full, last, rows, left, row, 0});
    to += rows * k.panel;
    last += rows * width;
  }
}

}  // namespace

bool has_rows(const Correlation& p, const WeightStrides& strides) {
  const CorrelationAxis& line = p.axis[2];
  return strides.out == 1 && (line.taps == 1 || line.kernel_step * strides.kernel[2] == p.in_channels * strides.in);
}

template <class T>
index slab_panels(index panels, index positions, bool shared) {
  const index bytes = panel_bytes<T>(), most = (shared ? shared_bytes : most_bytes) / bytes;
  const bool halves = shared && panels <= most && panels >= 2 * least_bytes / bytes;
  const index each = halves ? divide_up(panels, 2) : even_part(panels, most);
  const index waiting = sums_bytes / (bytes * std::max<index>(1, positions));
  return std::min(each, std::max(waiting, fewest_panels));
}

template <class T>
index slab_scratch(index panels, index positions) {
  return panels * (apart<T>(slab_rows) + positions * kernels<T>().panel);
}

SlabList::SlabList(const RunList& list, const Taps& taps, bool packed) {
  index done = 0, pass = 0;
  for (const RunList::Pass& of : list.passes) {
    const std::size_t begin = slabs.size();
    for (index r = of.first; r < of.first + of.runs; ++r) {
      const Run& run = list.runs[static_cast<std::size_t>(r)];
      const index each = packed ? run.length : even_part(run.length, slab_rows);
      for (index i = 0, rows; i < run.length; i += rows, done += rows) {
        rows = std::min(each, run.length - i);
        const std::size_t tap = static_cast<std::size_t>(done / taps.length),
                          set = taps.set.empty() ? 0 : taps.set[tap];
        const bool full = !packed && slabs.size() > begin && slabs.back().rows + rows > slab_rows;
        if (slabs.size() == begin || full || slabs.back().set != set)
          slabs.push_back({static_cast<index>(runs.size()), 0, 0, pass, set, slabs.size() == begin, false});
        runs.push_back({run.start + i, rows});
        weights.push_back(taps.at[tap] + done % taps.length * taps.row);
        ++slabs.back().runs;
        slabs.back().rows += rows;
      }
    }
    if (slabs.size() > begin) slabs.back().ends = true;
    ++pass;
  }
}

namespace {

// The slab's part in the sums of a panel. Of a pass that begins or ends with some pixels the others get their share,
// too.
template <class T>
void add(const SlabList& list, const SlabList::Slab& slab, const PixelSet& set, const ConvPixels<T>& panel) {
  const Kernels<T>& k = kernels<T>();
  const bool last = slab.pass == list.slabs.back().pass;
  ConvPixels<T> tile = panel;
  tile.runs = list.runs.data() + slab.first;
  tile.run_count = slab.runs;
  tile.accumulate = panel.accumulate || slab.pass > 0;
  tile.bias = last ? panel.bias : nullptr;
  tile.relu = panel.relu && last;
  tile.resumed = !slab.begins || !set.all();
  tile.incomplete = !slab.ends || !set.all();
  if (slab.begins && !set.all()) std::fill_n(tile.sums, panel.pixels * k.whole_width(tile.columns), T(0));
  if (!set.all()) {
    tile.x_at = set.x_at;
    tile.sums_at = set.places;
    tile.pixels = set.pixels;
  }
  if (!set.empty()) k.conv_pixels(tile);
  if (!slab.ends || set.all()) return;
  tile.x_at = panel.x_at;
  tile.sums_at = nullptr;
  tile.pixels = panel.pixels;
  tile.run_count = 0;
  tile.incomplete = false;
  k.conv_pixels(tile);
}

}  // namespace

template <class T>
void multiply(const SlabList& list, const std::vector<PixelSet>& sets, const T* w, index row, index columns,
              ConvPixels<T> tile, T* scratch) {
  const Kernels<T>& k = kernels<T>();
  const ConvPixels<T> given = tile;
  T* const sums = scratch + divide_up(columns, k.panel) * apart<T>(slab_rows);
  for (const SlabList::Slab& slab : list.slabs) {
    const PixelSet& set = sets[slab.set];
    if (!set.empty()) pack(list, slab, w, row, columns, scratch);
    for (index first = 0, panel = 0; first < columns; first += k.panel, ++panel) {
      tile.columns = static_cast<int>(std::min<index>(k.panel, columns - first));
      tile.w = scratch + panel * apart<T>(slab.rows);
      tile.sums = sums + first * tile.pixels;
      tile.y = given.y + first;
      tile.bias = given.bias ? given.bias + first : nullptr;
      add(list, slab, set, tile);
    }
  }
}

template <class T>
void multiply_packed(const SlabList& list, const std::vector<PixelSet>& sets, ConvPixels<T> tile) {
  for (const SlabList::Slab& slab : list.slabs) {
    add(list, slab, sets[slab.set], tile);
    tile.w += slab.rows * kernels<T>().whole_width(tile.columns);
  }
}

template index slab_panels<float>(index, index, bool);
template index slab_panels<double>(index, index, bool);
template index slab_scratch<float>(index, index);
template index slab_scratch<double>(index, index);
template void multiply(const SlabList&, const std::vector<PixelSet>&, const float*, index, index, ConvPixels<float>,
                       float*);
template void multiply(const SlabList&, const std::vector<PixelSet>&, const double*, index, index, ConvPixels<double>,
                       double*);
template void multiply_packed(const SlabList&, const std::vector<PixelSet>&, ConvPixels<float>);
template void multiply_packed(const SlabList&, const std::vector<PixelSet>&, ConvPixels<double>);

}  // namespace pcx
