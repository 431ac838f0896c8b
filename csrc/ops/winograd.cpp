// The driver: a block of tiles is transformed for all its channels, multiplied element by element of the transform, and
// transformed back panel by panel of output channels.
#include "ops/winograd.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/winograd_products.h"
#include "ops/winograd_tile.h"

namespace pcx {

namespace {

constexpr index scratch_bytes = 64 << 20;  // of all workers together
constexpr index least_blocks = 6;          // are shared out whole; fewer in pieces, which wander between processors
constexpr index piece_tiles = 8;
constexpr index bytes = sizeof(float);
constexpr double parallel_products = 6e5;  // multiply-adds of the transformed problem that are worth a second thread

class Winograd {
 public:
  Winograd(const Correlation& problem, const Tiles& tiles, const float* x, const Weight<float>& weight,
           const float* bias, bool relu, float* y)
      : plan_(problem, tiles),
        p_(plan_.problem),
        k_(kernels<float>()),
        products_(plan_, problem, tiles, weight),
        x_(x),
        by_turns_(weight.by_turns),
        bias_(joined_bias(bias)),
        y_(y),
        relu_(relu),
        failed_(new std::atomic<bool>[static_cast<std::size_t>(p_.batch)]) {
    for (index i = 0; i < p_.batch; ++i) failed_[i] = false;
  }

  Work work() const {
    const double products = 1.0 * p_.batch * p_.groups * plan_.products() * p_.out_channels;
    const index each = (3 * plan_.small_size() + products_.scratch()) * bytes;
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
    const int workers = workers_for(work.workers, work.products);
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
  index most_parts() const { return by_turns_ ? 1 : std::max<index>(1, plan_.pictures * plan_.block / k_.tile); }
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
      const WinogradProducts::Part part{panel, panel + 1, first, std::min(first + each, tiles)};
      if (part.tile == part.last_tile) return;
      multiply(block, part, input, products, small);
    });
  }

  // The products and their transform. The room for a weight that is made stands behind that for tiles on their way.
  void multiply(const Block& b, const WinogradProducts::Part& part, const float* input, float* products,
                float* small) const {
    products_.run(b.group, b.number, part, input, products, small + 3 * plan_.small_size());
    transform_back(b, part, products, small);
  }

  // Tiles [first, last) of a block, each picture's on their own.
  void transform(const Block& b, index chunk, index first, index last, float* input, float* small) const {
    while (first < last) {
      const index picture = first / b.each, from = picture * b.each, to = std::min(last, from + b.each);
      WinogradInput{plan_, x_of(b, picture), input + from * plan_.chunk_row, small}.run(b.number, chunk, first - from,
                                                                                        to - from);
      first = to;
    }
  }

  void transform_back(const Block& b, const WinogradProducts::Part& part, const float* products, float* small) const {
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

  const WinogradPlan plan_;
  const Correlation& p_;
  const Kernels<float>& k_;
  const WinogradProducts products_;
  const float* x_;
  const bool by_turns_;
  std::vector<float> biases_;
  const float* bias_;
  float* y_;
  const bool relu_;
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
