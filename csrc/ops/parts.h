// A direction as a list of correlations over one weight: one for forward, one a residue for the input gradient. They
// write different pixels and are computed one after the other, each by the algorithm that its tiles tell.
#pragma once
#include "ops/correlation.h"
#include "ops/ops.h"

namespace pcx {

std::vector<Correlation> forward_parts(const ConvShape& shape);
// Only residues that some tap reaches, whatever the size of the picture.
std::vector<Correlation> input_grad_parts(const ConvShape& shape);
// Whether they reach every pixel; what stands where they do not, beside pixels that they write: the bias alone.
bool reaches_everything(const ConvShape& shape);
template <class T>
void fill_unreached(const ConvShape& shape, const T* bias, bool relu, T* dx);
std::vector<Correlation> parts_of(const ConvShape& shape, Direction direction);
// The same for these tiles: residues of an input gradient may be joined.
std::vector<Correlation> parts_of(const ConvShape& shape, Direction direction, const Tiles& tiles);

// How many products a result of this part sums, over the mean of all results, those that no tap reaches included. The
// root of it says by how much more the part's rounding errors weigh beside the rms of the whole.
double relative_terms(const std::vector<Correlation>& parts, const Correlation& part);

// The time that the faster of the direct ways takes for a picture, with its packed weight kept from call to call or
// made anew: by a model, in cycles of a processor that does two vectors of multiply-adds in each.
double direct_cycles(const ConvShape& shape, Direction direction, bool kept);
double correlate_cycles(const Correlation& part, bool kept);  // of one part among others

// A weight that is packed in a call serves its pictures, whose number a choice may not depend on: it takes them for so
// many. One alone loses little by it, and a batch gains up to twice.
constexpr double pictures_of_call = 2;

// Of the tiles that serve all parts, those for this one; Fourier transforms do it as they are.
Tiles part_tiles(const Correlation& part, const Tiles& tiles);

// Elements of the packed weight of one part with tiles of its own; whether a call that does not keep it packs it by
// turns; how the weight stands.
template <class T>
index part_packed_size(const Correlation& part, const Tiles& tiles);
template <class T>
bool packs_by_turns(const Correlation& part, const Tiles& tiles);
WeightStrides strides_of(const ConvShape& shape, Direction direction);

// Of how many pictures one thread computes all parts before it goes on to others, where that is fewer than all: parts
// write pixels between those of each other, which come from memory again where pictures have left the caches meanwhile.
template <class T>
index pictures_together(const ConvShape& shape, Direction direction, index parts);

// Instead of where a part's weight begins in a PackedWeight; and whether there are no parts, but a scatter.
constexpr index not_packed = -1;
template <class T>
bool scattered(const PackedWeight<T>& w) {
  return w.tiles == Tiles{1, 1, 1} && w.parts.empty();
}

// Whether `w` was packed for this direction, the active instruction set, and such shapes.
template <class T>
bool serves(const PackedWeight<T>& w, const ConvShape& shape, Direction direction);

// As conv_forward of ops.h. Throws std::invalid_argument where `w` was packed for another direction, shape or
// instruction set.
template <class T>
std::vector<index> run_parts(const ConvShape& shape, Direction direction, const T* x, const PackedWeight<T>& w,
                             const T* bias, bool relu, T* y);

}  // namespace pcx
