// The whole C++ API: what the binding calls. Arrays are channels-last and contiguous, in the sizes that the shape
// tells; T is float or double. Results are the same bits for any number of threads, and for a picture alone or in a
// batch.
#pragma once
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/shape.h"
#include "isa/kernel_table.h"

namespace pcx {

enum class Direction { forward, input_grad };

// A weight in the form that the kernels of one instruction set read, for one direction. It serves any batch and any
// picture size, as long as channels, kernel, stride, dilation, padding and groups stay the same.
template <class T>
struct PackedWeight {
  Direction direction;
  ConvShape shape;           // the first it was packed for
  const KernelTable* table;  // whose panels these are
  std::vector<index> parts;  // where the weight of each correlation begins
  index size = 0;            // elements
  Buffer<T> data;
};

template <class T>
PackedWeight<T> pack_weight(const ConvShape& shape, Direction direction, const T* w);

// y = x * w (+ bias) (relu). bias: out_channels, or null.
template <class T>
void conv_forward(const ConvShape& shape, const T* x, const PackedWeight<T>& w, const T* bias, bool relu, T* y);

// dx = the adjoint of conv_forward applied to dy; with bias (in_channels, or null) and relu it is the transposed
// convolution.
template <class T>
void conv_input_grad(const ConvShape& shape, const T* dy, const PackedWeight<T>& w, const T* bias, bool relu, T* dx);

// dw, and db (out_channels, or null): summed over the batch.
template <class T>
void conv_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dw, T* db);

struct GramShape {
  index batch, positions, channels;
};

// g (batch, channels, channels) = x' x of each image, over positions * channels where normalized; symmetric.
template <class T>
void gram(const GramShape& shape, const T* x, bool normalize, T* g);

// dx = x (dg + dg'), over positions * channels where normalized.
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

}  // namespace pcx
