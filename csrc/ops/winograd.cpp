// The driver: a block of tiles is transformed for all its channels, multiplied element by element of the transform, and
// transformed back panel by panel of output channels.
#include "ops/winograd.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/winograd_filter.h"
#include "ops/winograd_tile.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 64 << 20;  // of all workers together
constexpr index least_blocks = 6;          // are shared out whole; fewer in pieces, which wander between processors
constexpr index piece_tiles = 8;
constexpr index line = 16;  // floats of a cache line
constexpr index bytes = sizeof(float);
// Channels of a weight that are made side by side: few, whose transforms stay near the L1 cache, or where they lie side
// by side in the weight a cache line of them.
constexpr index few_made = 4, line_made = 16;
constexpr index made_ahead = 2;  // times as many channels are fetched beforehand: those that are next come too late
constexpr double parallel_products = 6e5;  // multiply-adds of the transformed problem that are worth a second thread

class Winograd {
 public:
  Winograd(const Correlation& problem, const Tiles& tiles, const float* x, const Weight<float>& weight,
           const float* bias, bool relu, float* y)
      : plan_(problem, tiles),
        p_(plan_.problem),
        k_(kernels<float>()),
        x_(x),
        weight_(weight),
        bias_(joined_bias(bias)),
        y_(y),
        relu_(relu),
        group_size_(winograd_packed_size(problem, tiles) / problem.groups),
        made_element_((divide_up(plan_.chunk * k_.panel, line) | 1) * line),
        failed_(new std::atomic<bool>[static_cast<std::size_t>(p_.batch)]) {
    for (index i = 0; i < p_.batch; ++i) failed_[i] = false;
    if (weight.by_turns) filter_.emplace(problem, tiles, weight.strides);
    for (index t = 0; plan_.over_lanes && t < plan_.pictures * plan_.block; ++t) {
      rows_at_.push_back(t * plan_.chunk_row);
      sums_at_.push_back(t * plan_.panel);
    }
  }

  Work work() const {
    const double products = 1.0 * p_.batch * p_.groups * plan_.products() * p_.out_channels;
    const index each = (3 * plan_.small_size() + making_size()) * bytes;
    const index block = (plan_.input_size() + plan_.product_size()) * bytes;
    const bool alone = products < parallel_products;
    const index lanes = plan_.over_lanes ? k_.lanes : 1;
    Work work{products, divide_up(plan_.chunk, lanes) + plan_.chunks, 0, each, 1};
    if (whole_blocks()) {
      work.scratch += block;
      if (!alone) work.workers = std::min(blocks(), std::max<index>(1, scratch_bytes / work.scratch));
    } else {
      work.shared = block;
      // Where one would do all products, it would read what others have written, and a weight from another cache.
      const index parts = plan_.panels * most_parts();
      if (!alone && parts > 1) work.workers = std::max(pieces() * plan_.chunks, parts);
    }
    return work;
  }

  // Each panel of a group by one task; over lanes there are none.
  bool reads_once() const { return blocks() == p_.groups && !plan_.over_lanes; }

  std::vector<index> run() {
    const Work work = this->work();
    const int workers = workers_for(work.workers);
    Buffer<float> buffer((work.shared + workers * work.scratch) / bytes);
    if (whole_blocks())
      run_whole_blocks(workers, work.scratch / bytes, buffer.data());
    else
      run_pieces(workers, work.scratch / bytes, buffer.data());
    std::vector<index> not_finite;
    for (index i = 0; i < p_.batch; ++i) {
      if (failed_[i]) not_finite.push_back(i);
    }
    return not_finite;
  }

 private:
  // That of each of the positions that are joined.
  const float* joined_bias(const float* bias) {
    if (!bias || !p_.is_joined()) return bias;
    for (index k = 0; k < p_.out_channels; ++k) biases_.push_back(bias[k % p_.pixel_channels()]);
    return biases_.data();
  }

  // Tiles of one picture, or all of several.
  struct Block {
    index image, pictures, group, number, each;
    index tiles() const { return pictures * each; }
  };
  Block block_of(index task) const {
    const index number = task % plan_.blocks, group = task / plan_.blocks % p_.groups;
    const index image = task / plan_.blocks / p_.groups * plan_.pictures;
    return {image, std::min(plan_.pictures, p_.batch - image), group, number,
            std::min(plan_.block, plan_.tiles() - number * plan_.block)};
  }

  index blocks() const { return divide_up(p_.batch, plan_.pictures) * p_.groups * plan_.blocks; }
  index pieces() const { return divide_up(plan_.pictures * plan_.block, piece_tiles); }
  // Of the tiles of a block, whose products with a panel are shared: panels alone may be too few. A weight that is made
  // is made once.
  index most_parts() const { return weight_.by_turns ? 1 : std::max<index>(1, plan_.pictures * plan_.block / k_.tile); }
  index parts_for(int workers) const {
    return workers < 2 ? 1 : std::min(most_parts(), divide_up(2 * workers, plan_.panels));
  }
  // In pieces the transform of the input is done by all before its products.
  bool whole_blocks() const { return blocks() >= std::min(least_blocks, plan_.panels + 1); }

  void run_whole_blocks(int workers, index scratch, float* buffer) {
    parallel_for(blocks(), workers, [&](index task, int worker) {
      float* const input = buffer + worker * scratch;
      float* const products = input + plan_.input_size();
      float* const small = products + plan_.product_size();
      const Block block = block_of(task);
      for (index chunk = 0; chunk < plan_.chunks; ++chunk) transform(block, chunk, 0, block.tiles(), input, small);
      multiply(block, {0, plan_.panels, 0, block.tiles()}, input, products, small);
      transform_back(block, {0, plan_.panels, 0, block.tiles()}, products, small);
    });
  }

  // One block after the other: first all share in its transform, then each takes panels, or parts of their tiles.
  void run_pieces(int workers, index scratch, float* buffer) {
    float* const input = buffer;
    float* const products = input + plan_.input_size();
    const index parts = parts_for(workers);
    const index transforms = pieces() * plan_.chunks, tasks = transforms + plan_.panels * parts;
    auto before = [&](index task) { return task / tasks * tasks + (task % tasks < transforms ? 0 : transforms); };
    parallel_in_order(blocks() * tasks, workers, before, [&](index task, int worker) {
      float* const small = products + plan_.product_size() + worker * scratch;
      const Block block = block_of(task / tasks);
      const index piece = task % tasks, tiles = block.tiles();
      if (piece < transforms) {
        const index first = piece % pieces() * piece_tiles;
        return transform(block, piece / pieces(), first, std::min(first + piece_tiles, tiles), input, small);
      }
      const index panel = (piece - transforms) / parts, each = round_up(divide_up(tiles, parts), k_.tile);
      const index first = std::min((piece - transforms) % parts * each, tiles);
      const Products part{panel, panel + 1, first, std::min(first + each, tiles)};
      if (part.tile == part.last_tile) return;
      multiply(block, part, input, products, small);
      transform_back(block, part, products, small);
    });
  }

  // Panels and tiles of a block.
  struct Products {
    index panel, last_panel, tile, last_tile;
  };

  // Tiles [first, last) of a block, each picture's on their own.
  void transform(const Block& b, index chunk, index first, index last, float* input, float* small) const {
    while (first < last) {
      const index picture = first / b.each, from = picture * b.each, to = std::min(last, from + b.each);
      WinogradInput{plan_, x_of(b, picture), input + from * plan_.chunk_row, small}.run(b.number, chunk, first - from,
                                                                                        to - from);
      first = to;
    }
  }

  void transform_back(const Block& b, const Products& part, const float* products, float* small) const {
    const float* const bias = bias_ ? bias_ + b.group * p_.out_channels : nullptr;
    for (index i = 0; i < b.pictures; ++i, products += b.each * plan_.panel) {
      const WinogradOutput output{plan_, products, bias, relu_, y_of(b, i), small};
      const index first = std::max<index>(0, part.tile - i * b.each),
                  last = std::min(b.each, part.last_tile - i * b.each);
      if (!output.run(b.number, part.panel, part.last_panel, first, last)) failed_[b.image + i] = true;
    }
  }

  const float* x_of(const Block& b, index picture) const {
    const index size = p_.axis[0].in * p_.axis[1].in * p_.axis[2].in * p_.groups * p_.in_channels;
    return x_ + (b.image + picture) * size + b.group * p_.in_channels;
  }
  float* y_of(const Block& b, index picture) const {
    const index size = p_.axis[0].out * p_.axis[1].out * p_.axis[2].out * p_.groups * p_.pixel_channels();
    return y_ + (b.image + picture) * size + b.group * p_.pixel_channels();
  }

  // The room for a weight that is made stands behind that for tiles on their way.
  void multiply(const Block& b, const Products& part, const float* input, float* products, float* small) const {
    input += part.tile * plan_.chunk_row;
    products += part.tile * plan_.panel;
    if (plan_.over_lanes) return multiply_over_lanes(b, part, input, products);
    if (!weight_.by_turns) return multiply_packed(b, part, input, products);
    for (index panel = part.panel; panel < part.last_panel; ++panel)
      multiply_making(b, panel, input, products, small + 3 * plan_.small_size());
  }

  index columns_of(index panel) const { return std::min<index>(k_.panel, p_.out_channels - panel * k_.panel); }

  PanelProduct<float> product_of(index tiles, index panel) const {
    PanelProduct<float> product{};
    product.rows = tiles;
    product.x_stride = plan_.chunk_row;
    product.y_stride = plan_.panel;
    product.columns = columns_of(panel);
    product.width = k_.whole_width(product.columns);
    return product;
  }

  // One chunk of the sum of one element; `w` is the chunk's weight. Returns whether there is anything to sum.
  bool add_chunk(PanelProduct<float>& product, const WinogradPlan::Zeros& zeros, index e, index chunk,
                 const float* input, const float* w) const {
    const WinogradPlan::Summed summed = plan_.summed(zeros, chunk);
    if (summed.depth == 0) return false;
    product.x = input + (chunk * plan_.elements + e) * plan_.input_element + summed.first;
    product.w = w + summed.first * product.width;
    product.depth = summed.depth;
    product.ahead = product.depth * product.width;
    k_.panel_product(product);
    return true;
  }

  // Element by element, so that one element of the transformed input serves all panels from the cache.
  void multiply_packed(const Block& b, const Products& part, const float* input, float* products) const {
    WinogradPlan::Zeros zeros = plan_.padding_of(b.number);
    for (index e = 0; e < plan_.elements; ++e) {
      plan_.go_to(e, zeros);
      for (index panel = part.panel; panel < part.last_panel; ++panel) {
        PanelProduct<float> product = product_of(part.last_tile - part.tile, panel);
        const float* const w = weight_.data + b.group * group_size_ +
                               panel * k_.panel * plan_.elements * plan_.depth() + e * plan_.depth() * product.width;
        product.y = products + (panel * plan_.elements + e) * plan_.product_element;
        for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
          if (add_chunk(product, zeros, e, chunk, input, w + chunk * plan_.chunk * product.width))
            product.accumulate = true;
        }
      }
    }
  }

  // All columns at once: they are few.
  void multiply_over_lanes(const Block& b, const Products& part, const float* input, float* products) const {
    Run run{0, 0};
    ConvPixels<float> product{};
    product.x_at = rows_at_.data();
    product.y_at = sums_at_.data();
    product.runs = &run;
    product.run_count = 1;
    product.pixels = part.last_tile - part.tile;
    product.columns = static_cast<int>(p_.out_channels);
    product.over_lanes = true;
    product.w = weight_.data + b.group * group_size_;
    for (index e = 0; e < plan_.elements; ++e) {
      product.y = products + e * plan_.product_element;
      for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
        product.x = input + (chunk * plan_.elements + e) * plan_.input_element;
        run.length = std::min(plan_.chunk, plan_.depth() - chunk * plan_.chunk);
        product.accumulate = chunk > 0;
        k_.conv_pixels(product);
        product.w += round_up(run.length, k_.lanes) * p_.out_channels;
      }
    }
  }

  // Chunk by chunk, for all elements of which a weight is made together.
  void multiply_making(const Block& b, index panel, const float* input, float* products, float* made) const {
    WinogradPlan::Zeros zeros = plan_.padding_of(b.number);
    PanelProduct<float> product = product_of(b.tiles(), panel);
    std::vector<char> begun(static_cast<std::size_t>(plan_.elements), 0);
    for (index chunk = 0; chunk < plan_.chunks; ++chunk) {
      make(b.group, panel, chunk, made);
      for (index e = 0; e < plan_.elements; ++e) {
        char& some = begun[static_cast<std::size_t>(e)];
        plan_.go_to(e, zeros);
        product.y = products + (panel * plan_.elements + e) * plan_.product_element;
        product.accumulate = some;
        if (add_chunk(product, zeros, e, chunk, input, made + e * made_element_)) some = 1;
      }
    }
  }

  index made_together() const { return weight_.strides.out == 1 ? few_made : line_made; }

  // The transformed weight of one panel for a chunk of the sum.
  void make(index group, index panel, index chunk, float* made) const {
    const index begin = chunk * plan_.chunk, end = std::min(begin + plan_.chunk, plan_.depth());
    const index columns = columns_of(panel), width = k_.whole_width(columns);
    const float* const w = weight_.data + group * weight_.strides.group + panel * k_.panel * weight_.strides.out;
    double* const scratch = reinterpret_cast<double*>(made + made_size());
    for (index i = begin, count; i < end; i += count) {
      const index c = i % p_.in_channels;
      count = std::min({made_together(), p_.in_channels - c, end - i});
      filter_->run({w + c * weight_.strides.in, i / p_.in_channels, count, columns, width,
                    made_ahead * count * weight_.strides.in},
                   made + (i - begin) * width, made_element_, scratch);
    }
  }

  // Of a worker: the weight of a chunk and a panel, and what it is made in.
  index made_size() const { return plan_.elements * made_element_; }
  index making_size() const { return weight_.by_turns ? made_size() + 2 * filter_->scratch(made_together()) : 0; }

  const WinogradPlan plan_;
  std::optional<FilterTransform> filter_;  // by turns
  const Correlation& p_;
  const Kernels<float>& k_;
  const float* x_;
  const Weight<float> weight_;
  std::vector<float> biases_;
  const float* bias_;
  float* y_;
  const bool relu_;
  const index group_size_;
  std::vector<index> rows_at_, sums_at_;  // over lanes: of each tile of a block
  const index made_element_;  // floats from one element of a made weight to the next: in other sets of the cache
  std::unique_ptr<std::atomic<bool>[]> failed_;
};

}  // namespace

Work winograd_work(const Correlation& problem, const Tiles& tiles, const Weight<float>& weight) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return {};
  return Winograd(problem, tiles, nullptr, weight, nullptr, false, nullptr).work();
}

std::vector<index> winograd_correlate(const Correlation& problem, const Tiles& tiles, const float* x,
                                      const Weight<float>& weight, const float* bias, bool relu, float* y) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return {};
  return Winograd(problem, tiles, x, weight, bias, relu, y).run();
}

bool winograd_reads_once(const Correlation& problem, const Tiles& tiles) {
  if (problem.batch * problem.positions() * problem.groups * problem.out_channels == 0) return false;
  return Winograd(problem, tiles, nullptr, {}, nullptr, false, nullptr).reads_once();
}

}  // namespace pcx
