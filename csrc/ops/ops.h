// The whole C++ API: what the binding calls. Arrays are channels-last and contiguous, in the sizes that the shape
// tells; T is float or double. Results are the same bits for any number of threads, and for a picture alone or in a
// batch.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/shape.h"
#include "isa/kernel_table.h"

namespace pcx {

enum class Direction { forward, input_grad, weight_grad };
enum class Algorithm { automatic, direct, winograd, fft };

// Output positions of Winograd's tiles on each axis; all 1 is the direct algorithm. All less than zero: the lengths of
// Fourier transforms.
using Tiles = std::array<int, 3>;

// What a request comes to: a pure function of the picture's shape, the element type and whether the packed weight is
// kept from call to call; never of the batch (but for weight gradients, which sum over it), of threads or of time.
// `fast` allows algorithms with a larger rounding error. Throws std::invalid_argument where the algorithm asked for
// cannot do it.
template <class T>
Tiles choose_tiles(const ConvShape& shape, Direction direction, Algorithm algorithm, bool kept, bool fast);

// A weight in the form that the kernels of one instruction set read, for one direction. It serves any batch and any
// picture size, as long as channels, kernel, stride, dilation, padding and groups stay the same, the choice of tiles,
// and the taps that meet the picture: those that find padding alone, of a kernel that is large beside it, are left out.
template <class T>
struct PackedWeight {
  Direction direction;
  ConvShape shape;           // the first it was packed for
  const KernelTable* table;  // whose panels these are
  Tiles tiles;
  std::vector<index> parts;  // where the weight of each correlation begins; none where it is scattered
  index size = 0;            // elements
  Buffer<T> data;
  const T* lent = nullptr;  // the weight itself, of which parts that are read once are packed when they are
};

// Lent is for one call: what is read once then is not packed before, and w must stay.
template <class T>
PackedWeight<T> pack_weight(const ConvShape& shape, Direction direction, const Tiles& tiles, const T* w,
                            bool lent = false);

// y = x * w (+ bias) (relu). bias: out_channels, or null. Returns the numbers of the pictures in which Winograd's
// algorithm or a Fourier transform met a sum that is not finite: the caller computes those again directly, so that Inf
// and NaN come out where the direct algorithm has them.
template <class T>
std::vector<index> conv_forward(const ConvShape& shape, const T* x, const PackedWeight<T>& w, const T* bias, bool relu,
                                T* y);

// dx = the adjoint of conv_forward applied to dy; with bias (in_channels, or null) and relu it is the transposed
// convolution.
template <class T>
std::vector<index> conv_input_grad(const ConvShape& shape, const T* dy, const PackedWeight<T>& w, const T* bias,
                                   bool relu, T* dx);

// The packed forms of one weight that calls have made, for later ones. Several threads may use it.
template <class T>
class PackedForms {
 public:
  using Form = std::shared_ptr<const PackedWeight<T>>;

  Form find(const ConvShape& shape, Direction direction, const Tiles& tiles) const;  // for the active table, or null
  void keep(Form form);
  std::size_t made() const;

 private:
  std::vector<Form> forms_;
  std::size_t made_ = 0;
};

// conv_forward or conv_input_grad from the weight itself: with the form that `kept` has, or one that it then keeps; or,
// where kept is null, with one for this call. Pictures that Winograd's algorithm cannot do are computed again directly.
template <class T>
void convolve(const ConvShape& shape, Direction direction, const Tiles& tiles, const T* x, const T* w,
              PackedForms<T>* kept, const T* bias, bool relu, T* y);

// dw, and db (out_channels, or null): summed over the batch. Throws std::invalid_argument for tiles that it has not.
template <class T>
void conv_weight_grad(const ConvShape& shape, const Tiles& tiles, const T* x, const T* dy, T* dw, T* db);

// What one driver does: multiplications (of the matrix products, not of the transforms around them; taps in the padding
// included), the longest sum in which each product is rounded into one number, bytes of scratch for the call and for
// each thread, and threads that can share the work.
struct Work {
  double products = 0;
  index chain = 0, shared = 0, scratch = 0, workers = 1;
};

// What a call costs, with the packed weight kept or not: a pure function, as choose_tiles is.
struct Cost {
  std::vector<Work> works;   // one after the other: those of the residues of a strided input gradient
  index packed = 0;          // bytes of the packed weight; none of what is packed by turns, in scratch
  double amplification = 1;  // of rounding errors, by Winograd's transforms
};

template <class T>
Cost cost_of(const ConvShape& shape, Direction direction, const Tiles& tiles, bool kept);

struct GramShape {
  index batch, positions, channels;
};

// g (batch, channels, channels) = x' x of each image, over positions * channels where normalized; symmetric.
template <class T>
void gram(const GramShape& shape, const T* x, bool normalize, T* g);

// dx = x (dg + dg'), over positions * channels where normalized. dx may be x.
template <class T>
void gram_grad(const GramShape& shape, const T* x, const T* dg, bool normalize, T* dx);

enum class Metric { sqeuclidean, euclidean, cosine, manhattan, chi2 };

// d (rows, columns): every row of a (rows, depth) against every row of b (columns, depth), or of a itself where b is
// null. Equal rows are at exactly 0, and d is symmetric where b is null.
template <class T>
void pairwise_distances(Metric metric, index rows, index columns, index depth, const T* a, const T* b, T* d);

// The k nearest rows of gallery (size, depth) for each row of queries (count, depth): distances and numbers (count, k),
// ascending, the lower number first among equals, NaN last. 1 <= k <= size. Never holds a whole matrix of distances.
template <class T>
void nearest(Metric metric, index count, index size, index depth, index k, const T* queries, const T* gallery,
             T* distances, index* numbers);

// Pooling. `indices` get, laid out as y, the position of each maximum in its window, row-major, as unsigned integers of
// shape.index_bytes(), or are null. The gradients write every element of dx.
template <class T>
void max_pool(const PoolShape& shape, const T* x, T* y, void* indices);
template <class T>
void max_pool_grad(const PoolShape& shape, const T* dy, const void* indices, T* dx);

// With count_include_pad a window counts its padding as zeros, without it leaves it out. No dilation.
template <class T>
void avg_pool(const PoolShape& shape, const T* x, bool count_include_pad, T* y);
template <class T>
void avg_pool_grad(const PoolShape& shape, const T* dy, bool count_include_pad, T* dx);

// y = max(floor, a + b), which may be in place of either; y = max(0, x), which may be in place; the bits of where y is
// above zero or NaN, (count + 7) / 8 bytes; dy where they are set and +0 elsewhere, which may be in place.
template <class T>
void add_arrays(const T* a, const T* b, T floor, T* y, index count);
template <class T>
void relu(const T* x, T* y, index count);
template <class T>
void relu_passed(const T* y, std::uint8_t* passed, index count);
template <class T>
void keep_passed(const T* dy, const std::uint8_t* passed, T* dx, index count);

// Rows of channels. Mean and variance of each channel (the biased one); y = max(floor, x * scale + shift), which may
// be in place; and of a gradient (kernel_table.h says which) its sums over the rows, and dx, which may be dy.
template <class T>
void channel_moments(const T* x, index rows, index channels, double* mean, double* variance);
template <class T>
void channel_map(const T* x, const T* scale, const T* shift, T floor, T* y, index rows, index channels);
template <class T>
void channel_grad_sums(const ChannelGrad<T>& part, double* total, double* along);
template <class T>
void channel_grad(const ChannelGrad<T>& part, const T* slope, const T* constant, T* dx);

// (batch, rows, cols) to (batch, cols, rows): one layout of a tensor to the other.
template <class T>
void transpose_batch(const T* x, index batch, index rows, index cols, T* y);

// Where a level of a pyramid stands on a canvas (rows, width, 3).
struct Tile {
  index left, top, width, height;
};

// Level 0: of each byte of a picture (tile.height, tile.width, 3) its entry in `levels` (3, 256).
void paint_picture(const std::uint8_t* picture, const float* levels, const Tile& tile, float* canvas, index width);
// A level from the one before, bilinearly, corner on corner; the tiles must not overlap.
void shrink_level(const Tile& from, const Tile& to, float* canvas, index width);

}  // namespace pcx
