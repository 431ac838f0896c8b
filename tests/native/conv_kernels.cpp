// conv_pixels, conv_row and the kernels of scattering: every number of pixels that a tile can have, columns around
// every vector and panel, pixels, runs and offsets in any order.
#include <cstdint>

#include "check.h"
#include "spoil.h"

namespace pcx::check {

namespace {

template <class T>
void check_row(Report& report, Random& random, index pixels, int columns) {
  const Kernels<T> k = tested<T>();
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index depth = random.pick<index>({1, 2, 3, 16, 37}), span = random.below(50);
  const bool planes = random.below(3) == 0;
  const index together = planes ? pixels : columns, lines = planes ? columns : pixels;  // in memory
  const index y_stride = together + random.pick<index>({0, 0, 1, 7}),
              w_stride = columns + random.pick<index>({0, 0, 5});
  Guarded<T> x(span + pixels, random.edge()), w((depth - 1) * w_stride + columns, random.edge());
  Guarded<T> bias(columns, random.edge());
  Guarded<T> y((lines - 1) * y_stride + together, random.edge());
  Guarded<std::int32_t> offsets(depth, random.edge());
  for (index i = 0; i < depth; ++i) offsets[i] = static_cast<std::int32_t>(random.below(span + 1));
  offsets[random.below(depth)] = static_cast<std::int32_t>(span);  // the last element of x is read
  fill(x, random, numbers);
  fill(w, random, numbers);
  fill(bias, random, numbers);
  ConvRow<T> row{x.data(), offsets.data(), w.data(), y.data(), nullptr, depth, pixels,
                 w_stride, y_stride,       columns,  false,    false,   planes};
  row.accumulate = random.coin();
  row.relu = !planes && random.coin();
  if (!planes && random.coin()) row.bias = bias.data();
  y.poison();
  std::vector<T> before(static_cast<std::size_t>(y.size()));
  if (row.accumulate) {
    for (index i = 0; i < lines; ++i) {
      for (index j = 0; j < together; ++j) y[i * y_stride + j] = static_cast<T>(random.below(9) - 4);
    }
  }
  for (index i = 0; i < y.size(); ++i) before[static_cast<std::size_t>(i)] = y[i];
  report.start("%zu bytes, pixels %lld, columns %d, depth %lld, y_stride %lld, %d, accumulate %d, bias %d, relu %d",
               sizeof(T), static_cast<long long>(pixels), columns, static_cast<long long>(depth),
               static_cast<long long>(y_stride), planes, row.accumulate, row.bias != nullptr, row.relu);
  k.conv_row(row);
  for (index i = 0; i < y.size(); ++i) {
    const index p = planes ? i % y_stride : i / y_stride, c = planes ? i / y_stride : i % y_stride;
    if (i % y_stride >= together) {
      report.expect(std::isnan(y[i]), "an element between two lines was written");
      continue;
    }
    const double start = row.accumulate ? before[static_cast<std::size_t>(i)] : 0.0, shift = row.bias ? bias[c] : T(0);
    double sum = start + shift, extent = std::fabs(start) + std::fabs(shift);
    for (index d = 0; d < depth; ++d) {
      const double product = static_cast<double>(x[offsets[d] + p]) * static_cast<double>(w[d * w_stride + c]);
      sum += product;
      extent += std::fabs(product);
    }
    report.close(y[i], row.relu && sum < 0 ? 0.0 : sum, extent, numbers == Numbers::integers ? 0 : depth + 2, i);
  }
  report.intact(y, "y");
}

// Weights of every (run, element, column), packed as ConvPixels says; the spare places, and what a run leaves out, are
// NaN where they may be.
template <class T>
std::vector<T> packed_weights(const Kernels<T>& k, const std::vector<T>& w, const Guarded<Run>& runs, int columns,
                              bool over_lanes) {
  std::vector<T> packed;
  std::size_t at = 0;
  for (index r = 0; r < runs.size(); ++r) {
    const index length = runs[r].length;
    const index skipped = runs[r].skip * (over_lanes ? columns : k.whole_width(columns));
    packed.insert(packed.end(), static_cast<std::size_t>(skipped), static_cast<T>(std::nan("")));
    auto weight = [&](index i, int c) { return w[at + static_cast<std::size_t>(i * columns + c)]; };
    if (!over_lanes) {
      for (index i = 0; i < length; ++i) {
        for (int c = 0; c < k.whole_width(columns); ++c) packed.push_back(c < columns ? weight(i, c) : std::nan(""));
      }
    } else {
      for (index block = 0; block < length; block += k.lanes) {
        for (int c = 0; c < columns; ++c) {
          for (index i = block; i < block + k.lanes; ++i) packed.push_back(i < length ? weight(i, c) : T(0));
        }
      }
    }
    at += static_cast<std::size_t>(length * columns);
  }
  return packed;
}

// In one call; or in several, between which the sums wait, and one of which is for some pixels, then for the others.
template <class T>
void run_pixels(Report& report, Random& random, const Kernels<T>& k, const ConvPixels<T>& tile) {
  if (tile.over_lanes || random.coin()) return k.conv_pixels(tile);
  const index width = k.whole_width(tile.columns), split = random.below(tile.pixels + 1);
  Guarded<T> sums(tile.pixels * width, random.edge());
  sums.poison();
  ConvPixels<T> begun = tile, rest = tile;
  begun.sums = rest.sums = sums.data();
  begun.incomplete = rest.resumed = true;
  begun.y = nullptr;  // is not touched
  begun.run_count = random.below(tile.run_count + 1);
  for (index r = 0; r < begun.run_count; ++r) rest.w += (tile.runs[r].skip + tile.runs[r].length) * width;
  rest.runs += begun.run_count;
  rest.run_count -= begun.run_count;
  if (random.coin()) {
    k.conv_pixels(begun);
  } else {
    Guarded<index> order(tile.pixels, random.edge()), x_at(tile.pixels, random.edge());
    for (index p = 0; p < tile.pixels; ++p) order[p] = p;
    for (index p = tile.pixels - 1; p > 0; --p) std::swap(order[p], order[random.below(p + 1)]);
    for (index p = 0; p < tile.pixels; ++p) x_at[p] = tile.x_at[order[p]];
    begun.x_at = x_at.data();
    begun.sums_at = order.data();
    begun.pixels = split;
    if (split > 0) k.conv_pixels(begun);
    begun.x_at += split;
    begun.sums_at += split;
    begun.pixels = tile.pixels - split;
    if (begun.pixels > 0) k.conv_pixels(begun);
  }
  k.conv_pixels(rest);
  report.intact(sums, "sums");
}

template <class T>
void check_pixels(Report& report, Random& random, index pixels, int columns) {
  const Kernels<T> k = tested<T>();
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index span = random.below(50), line = 64 / static_cast<index>(sizeof(T));
  const bool streamed = columns % line == 0 && random.coin();
  const index gap = streamed ? line : 2, y_size = pixels * (columns + gap) + line;
  Guarded<Run> runs(random.below(4), random.edge());  // none: the sum of nothing
  index depth = 0;
  for (index r = 0; r < runs.size(); ++r) {
    const index length = random.pick<index>({1, 2, k.lanes - 1, k.lanes, k.lanes + 1, 3 * k.lanes, 37});
    runs[r] = {random.below(20), std::max<index>(1, length), random.coin() ? 0 : k.lanes * random.below(3)};
    depth += runs[r].length;
  }
  Guarded<index> x_at(pixels, random.edge()), y_at(pixels, random.edge());
  index reach = 0;                      // the last element of x that is read
  const bool together = random.coin();  // but for two that have changed places
  Guarded<T> y(y_size, random.edge());
  const index begun = static_cast<index>(reinterpret_cast<std::uintptr_t>(y.data()) / sizeof(T)) % line;
  const index first = streamed ? (line - begun) % line : 0;  // of y, at a line
  for (index p = 0; p < pixels; ++p) {
    x_at[p] = random.below(span + 1);
    y_at[p] = first + (together ? p * columns : (pixels - 1 - p) * (columns + gap) + (streamed ? 0 : random.below(3)));
    for (index r = 0; r < runs.size(); ++r) reach = std::max(reach, x_at[p] + runs[r].start + runs[r].length);
  }
  if (together && pixels > 3) std::swap(y_at[random.below(pixels)], y_at[random.below(pixels)]);
  Guarded<T> x(reach, random.edge()), bias(columns, random.edge());
  std::vector<T> weights(static_cast<std::size_t>(depth * columns));
  fill(x, random, numbers);
  fill(bias, random, numbers);
  for (T& w : weights) w = static_cast<T>(random.below(17) - 8);
  const bool over_lanes = columns <= k.narrow && random.coin();
  const std::vector<T> packed = packed_weights(k, weights, runs, columns, over_lanes);
  Guarded<T> w(static_cast<index>(packed.size()), random.edge());
  for (index i = 0; i < w.size(); ++i) w[i] = packed[static_cast<std::size_t>(i)];
  ConvPixels<T> tile{x.data(), x_at.data(), runs.data(), w.data(),   y.data(),      y_at.data(),   nullptr,
                     pixels,   runs.size(), columns,     over_lanes, random.coin(), random.coin(), 0,
                     false,    streamed,    false,       false,      nullptr,       nullptr};
  if (random.coin()) tile.bias = bias.data();
  y.poison();
  std::vector<double> expected(static_cast<std::size_t>(y_size), std::nan("")), extent(expected);
  for (index p = 0; p < pixels; ++p) {
    for (int c = 0; c < columns; ++c) {
      const index at = y_at[p] + c;
      const double start = tile.accumulate ? random.below(9) - 4.0 : 0.0, shift = tile.bias ? bias[c] : T(0);
      if (tile.accumulate) y[at] = static_cast<T>(start);
      double sum = start + shift, size = std::fabs(start) + std::fabs(shift);
      std::size_t from = static_cast<std::size_t>(c);
      for (index r = 0; r < runs.size(); ++r) {
        for (index i = 0; i < runs[r].length; ++i, from += static_cast<std::size_t>(columns)) {
          const double product = static_cast<double>(x[x_at[p] + runs[r].start + i]) * weights[from];
          sum += product;
          size += std::fabs(product);
        }
      }
      expected[static_cast<std::size_t>(at)] = tile.relu && sum < 0 ? 0.0 : sum;
      extent[static_cast<std::size_t>(at)] = size;
    }
  }
  report.start(
      "%zu bytes, pixels %lld, columns %d, runs %lld, depth %lld, accumulate %d, bias %d, relu %d, streamed %d",
      sizeof(T), static_cast<long long>(pixels), columns, static_cast<long long>(runs.size()),
      static_cast<long long>(depth), tile.accumulate, tile.bias != nullptr, tile.relu, streamed);
  run_pixels(report, random, k, tile);
  for (index i = 0; i < y.size(); ++i) {
    const double wanted = expected[static_cast<std::size_t>(i)];
    if (std::isnan(wanted))
      report.expect(std::isnan(y[i]), "an element between two pixels was written");
    else
      report.close(y[i], wanted, extent[static_cast<std::size_t>(i)], numbers == Numbers::integers ? 0 : depth + 2, i);
  }
  report.intact(y, "y");
}

template <class T>
void check_pack(Report& report, Random& random, index rows, index columns) {
  const Kernels<T> k = tested<T>();
  const index width = k.whole_width((columns - 1) % k.panel + 1), panels = (columns - 1) / k.panel;
  PanelRows<T> part{};
  part.rows = rows;
  part.columns = columns;
  part.from_stride = columns + random.pick<index>({0, 0, 3});
  part.to_panel = rows * k.panel + random.pick<index>({0, 7});
  Guarded<T> from((rows - 1) * part.from_stride + columns, random.edge());
  Guarded<T> to(panels * part.to_panel + rows * width, random.edge());
  fill(from, random, Numbers::reals);
  to.poison();
  part.from = from.data();
  part.to = to.data();
  report.start("pack_rows, %zu bytes, rows %lld of %lld columns", sizeof(T), static_cast<long long>(rows),
               static_cast<long long>(columns));
  k.pack_rows(part);
  for (index i = 0; i < to.size(); ++i) {
    const index panel = std::min(i / part.to_panel, panels), own = panel < panels ? k.panel : width;
    const index at = i - panel * part.to_panel, row = at / own, column = panel * k.panel + at % own;
    const bool beside = row >= rows, beyond = column >= columns;
    const T wanted = beside || beyond ? T(0) : from[row * part.from_stride + column];
    report.expect(beside ? std::isnan(to[i]) : to[i] == wanted, "an element is wrong");
  }
  report.intact(to, "to");
}

template <class T>
void check_shift_add(Report& report, Random& random, index cells, index length) {
  const Kernels<T> k = tested<T>();
  const Numbers numbers = random.coin() ? Numbers::integers : Numbers::reals;
  const index vectors = (length + k.lanes - 1) / k.lanes * k.lanes, y_stride = vectors + random.pick<index>({0, 0, 3});
  const index p_stride = random.pick<index>({length, vectors, vectors + 5}), reach = random.below(4);
  Guarded<index> offsets(random.pick<index>({0, 1, 2, 5}), random.edge());
  for (index i = 0; i < offsets.size(); ++i) offsets[i] = random.below(9) - random.below(reach + 1) * p_stride;
  const index part_length = random.pick<index>({0, 1, length - 1, length}), part_offset = 8 - reach * p_stride;
  Guarded<T> p((reach + cells - 1) * p_stride + 8 + vectors, random.edge());
  Guarded<T> y((cells - 1) * y_stride + vectors, random.edge());
  fill(p, random, numbers);
  fill(y, random, numbers);
  const std::vector<T> before(y.data(), y.data() + y.size());
  const T* first = p.data() + reach * p_stride;
  report.start("shift_add, %zu bytes, cells %lld, length %lld, terms %lld, part %lld", sizeof(T),
               static_cast<long long>(cells), static_cast<long long>(length), static_cast<long long>(offsets.size()),
               static_cast<long long>(part_length));
  k.shift_add(
      {first, offsets.data(), y.data(), offsets.size(), cells, length, p_stride, y_stride, part_offset, part_length});
  for (index i = 0; i < y.size(); ++i) {
    const index m = i / y_stride, e = i % y_stride;
    const T old = before[static_cast<std::size_t>(i)];
    if (e >= vectors) report.expect(y[i] == old, "an element between two cells was written");
    if (e >= length) continue;
    double sum = old, extent = std::fabs(sum);
    auto add = [&](index offset) {
      sum += first[m * p_stride + offset + e];
      extent += std::fabs(first[m * p_stride + offset + e]);
    };
    for (index t = 0; t < offsets.size(); ++t) add(offsets[t]);
    if (e < part_length) add(part_offset);
    report.close(y[i], sum, extent, numbers == Numbers::integers ? 0 : offsets.size() + 2, i);
  }
  report.intact(y, "y");
}

template <class T>
void check_store_cells(Report& report, Random& random, index cells, index length) {
  const Kernels<T> k = tested<T>();
  const index vectors = (length + k.lanes - 1) / k.lanes * k.lanes, p_stride = vectors + random.pick<index>({0, 0, 3});
  const index y_stride = length + random.pick<index>({0, 0, 1, 7}), rows = random.pick<index>({1, 2, 5});
  const index p_line = (cells - 1) * p_stride + vectors, y_line = (cells - 1) * y_stride + length;
  const index p_row = p_line + random.pick<index>({0, 3}), y_row = y_line + random.pick<index>({0, 1, 9});
  Guarded<T> p((rows - 1) * p_row + p_line, random.edge()), bias(vectors, random.edge());
  Guarded<T> y((rows - 1) * y_row + y_line, random.edge());
  fill(p, random, Numbers::integers);
  fill(bias, random, Numbers::integers);
  y.poison();
  const bool relu = random.coin();
  report.start("store_cells, %zu bytes, rows %lld, cells %lld, length %lld, y_stride %lld, relu %d", sizeof(T),
               static_cast<long long>(rows), static_cast<long long>(cells), static_cast<long long>(length),
               static_cast<long long>(y_stride), relu);
  k.store_cells({p.data(), y.data(), bias.data(), cells, length, p_stride, y_stride, rows, p_row, y_row, relu});
  for (index i = 0; i < y.size(); ++i) {
    const index r = i / y_row, m = i % y_row / y_stride, e = i % y_row % y_stride;
    if (m >= cells || e >= length) {
      report.expect(std::isnan(y[i]), "an element between two cells was written");
      continue;
    }
    const double sum = static_cast<double>(p[r * p_row + m * p_stride + e]) + bias[e];
    report.close(y[i], relu && sum < 0 ? 0.0 : sum, 1.0, 0, i);
  }
  report.intact(y, "y");
}

template <class T>
void check_cells(Report& report) {
  Random random{21};
  for (index cells = 1; cells <= 9; ++cells) {  // four of them are summed together
    for (index length : sizes_around(tested<T>().lanes, tested<T>().panel)) {
      for (int repeat = 0; repeat < 6; ++repeat) {
        check_shift_add<T>(report, random, cells, length);
        check_store_cells<T>(report, random, cells, length);
      }
    }
  }
}

template <class T>
void check_type(Report& report) {
  Random random{1};
  const Kernels<T> k = tested<T>();
  for (index pixels = 1; pixels <= 31; ++pixels) {  // tiles have up to 14: two of them and a rest
    for (index columns : sizes_around(k.lanes, k.panel)) {
      if (columns > k.panel) continue;
      for (int repeat = 0; repeat < 4; ++repeat) check_pixels<T>(report, random, pixels, static_cast<int>(columns));
    }
    for (int columns = 1; columns <= k.narrow; ++columns) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        check_row<T>(report, random, pixels, columns);
        check_pixels<T>(report, random, pixels, columns);
      }
    }
  }
  for (index columns = 1; columns <= 2 * k.panel + k.lanes + 1; ++columns) {
    for (index rows : {1, 2, 7}) check_pack<T>(report, random, rows, columns);
  }
}

}  // namespace

void check_conv_kernels(Report& report) {
  check_type<float>(report);
  check_type<double>(report);
  check_cells<float>(report);
  check_cells<double>(report);
}

}  // namespace pcx::check
