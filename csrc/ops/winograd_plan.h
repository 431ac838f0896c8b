// How Winograd's algorithm cuts a problem: the axes into tiles, the kernel into parts, the sum into chunks, the tiles
// into blocks.
#pragma once
#include <algorithm>

#include "isa/dispatch.h"
#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

// By how much transforms may enlarge rounding errors (squared): 7.8 times keeps 1.5e-5 of the result's rms, which
// precision="default" promises.
constexpr double default_amplification = 7.8 * 7.8;

// F(tile, kernel) on one axis. A kernel for which there is none is cut into `parts` of `kernel` taps, which are summed
// as further channels are. So is that of a strided axis: taps r, r + residues, ... read one residue of x, as a dense
// correlation does. Some parts are short, and filled with zeros. Tile 1 leaves the axis as it is: each tap is a part.
struct WinogradScheme {
  int tile, kernel, parts;  // no parts: impossible
  index taps, residues;     // of the whole kernel; of x

  index size() const { return tile + kernel - 1; }
  index first_tap(index part) const { return part % residues + part / residues * residues * kernel; }
  index last_tap(index part) const { return std::min(taps - 1, first_tap(part) + (kernel - 1) * residues); }
  // The last element of a short part's transform is zero, the one at infinity, which sees the last tap alone.
  bool is_short(index part) const { return first_tap(part) + (kernel - 1) * residues >= taps; }
  // Elements of all parts' transforms that are not zero.
  double products() const {
    index zeros = 0;
    for (index part = 0; part < parts; ++part) zeros += is_short(part);
    return static_cast<double>(parts * size() - zeros);
  }
};
WinogradScheme winograd_scheme(int tile, const CorrelationAxis& axis);
// The one with the fewest parts for which exists(kernel).
template <class Exists>
WinogradScheme winograd_scheme(index taps, index residues, int tile, const Exists& exists) {
  const index most = (taps + residues - 1) / residues;  // taps of a residue
  for (index rounds = 1; rounds < most; ++rounds) {     // of parts, one a residue
    const index kernel = (most + rounds - 1) / rounds, before = (rounds - 1) * residues;
    if (kernel == 1 || !exists(kernel)) continue;
    const index parts = before + std::min(residues, taps - before * kernel);
    return {tile, static_cast<int>(kernel), static_cast<int>(parts), taps, residues};
  }
  return {tile, 0, 0, taps, residues};
}
index residues_of(const CorrelationAxis& axis);

// Few channels on one side and many on the other: transforms of the many wait for the caches, and few products share
// them.
inline bool lopsided(index in_channels, index out_channels) {
  const index few = std::min(in_channels, out_channels), many = std::max(in_channels, out_channels);
  return few <= 32 && many >= 3 * few;
}

// Whether lanes run along the sum, as output channels are so few. The weight of an element of the transform is then
// [depth / lanes][column][lane]. It does not depend on the size of the picture.
bool winograd_over_lanes(const Correlation& problem, const Tiles& tiles);

// F(tile, kernel) of the active instruction set; null where the axis is not transformed.
template <class T>
const WinogradAxis<T>* winograd_axis_for(int tile, index kernel) {
  for (const WinogradAxis<T>& axis : kernels<T>().winograd) {
    if (axis.tile == tile && axis.kernel == kernel) return &axis;
  }
  return nullptr;
}

struct WinogradPlan {
  WinogradPlan(const Correlation& correlation, const Tiles& tiles);

  Correlation problem;  // with ascending taps: the packed filter is turned where it was read backwards
  std::array<WinogradScheme, 3> scheme;
  std::array<const WinogradAxis<float>*, 3> transform;
  Axes spacing;  // of a tile's positions: a dilated axis is taken apart into dense ones, whose tiles follow one another
  Axes size, count, row;     // elements of a transformed tile; tiles; those of one dense axis
  int transformed = 0;       // axes
  double amplification = 1;  // of rounding errors by all of them, squared
  index elements, parts;     // of a tile; of the kernel
  bool uneven = false;       // some parts are short
  bool edged = false;        // some parts read nothing but padding for some tiles
  index chunk, chunks;  // of the sum over parts and channels: each is summed on its own, which halves rounding errors
  bool shortened;       // chunks are shorter than others are
  bool over_lanes;      // few output channels: each sum runs over lanes
  index panels, panel;  // of output channels; elements from row to row of the products
  index block, blocks;  // tiles; of a picture
  index fitting, pictures;  // whose tiles a block has room for, and has: they share a weight's way into the registers
  index chunk_row;          // elements from tile to tile of the transformed input
  index input_element;      // elements from one element of the transform to the next
  index product_element;
  bool far;        // the picture comes from afar: all that the next tile reads is fetched ahead
  index strip;     // channels of a tile that go through all axes of the input's transform together
  index together;  // neighbouring tiles that do so in the output's

  index tiles() const { return count[0] * count[1] * count[2]; }
  index depth() const { return parts * problem.in_channels; }
  // The first output position of a tile on axis a, and the number of tiles from this one to the end of its row.
  index first_position(int a, index tile) const { return tile / row[a] + tile % row[a] * scheme[a].tile * spacing[a]; }
  index row_left(index tile) const { return row[2] - tile % row[2]; }
  Axes part_at(index part) const {
    return {part / scheme[2].parts / scheme[1].parts, part / scheme[2].parts % scheme[1].parts, part % scheme[2].parts};
  }
  Axes place(index tile) const { return {tile / (count[1] * count[2]), tile / count[2] % count[1], tile % count[2]}; }
  // Parts on the width axis, from this one on, whose taps read neighbouring pixels of x.
  index following_parts(index part) const;
  // Parts of the kernel that give zeros for a block: those that read padding alone, on axes that are left as they are,
  // and at some elements of the transform short ones.
  struct Zeros {
    bool padding = false, at_end = false;
    Axes first{}, last{};           // parts on each axis that read something
    std::array<bool, 3> at_last{};  // axes on which the element is the last
  };
  Zeros padding_of(index number) const { return edged ? read_by(number) : Zeros{false, false, {}, last_parts(), {}}; }
  void go_to(index element, Zeros& zeros) const {
    if (uneven) find_last(element, zeros);
  }
  // What of a chunk is to be summed.
  struct Summed {
    index first, depth;  // in the chunk
  };
  Summed summed(const Zeros& zeros, index number) const {
    return zeros.padding || zeros.at_end ? without_zeros(zeros, number)
                                         : Summed{0, std::min(chunk, depth() - number * chunk)};
  }
  double products() const;    // of a picture and one output channel
  double share_read() const;  // of what they would be without padding
  // Scratch of a block: transformed input, products; and of a worker: small arrays for a tile on its way.
  index input_size() const { return chunks * elements * input_element; }
  index product_size() const { return panels * elements * product_element; }
  index small_size() const { return elements * std::max(strip, together * panel); }

 private:
  index longest_chunk_of_sum() const;
  Axes last_parts() const { return {scheme[0].parts - 1, scheme[1].parts - 1, scheme[2].parts - 1}; }
  Zeros read_by(index block_number) const;
  void find_last(index element, Zeros& zeros) const;
  Summed without_zeros(const Zeros& zeros, index number) const;
  double depths(Zeros zeros) const;
};

}  // namespace pcx
