// Functions of one element at a time: cut into pieces that stay in the second-level cache, of whole bytes of bits.
#include <algorithm>

#include "base/division.h"
#include "base/parallel.h"
#include "isa/dispatch.h"
#include "ops/ops.h"

namespace pcx {

namespace {

constexpr index piece = 1 << 15;          // elements of a task, a multiple of 8
constexpr index parallel_size = 1 << 17;  // elements; fewer are done by one thread

template <class Body>  // body(first element, count)
void each_piece(index count, Body&& body) {
  const index tasks = divide_up(count, piece);
  const int workers = count < parallel_size ? 1 : workers_for(tasks, element_operations * static_cast<double>(count));
  parallel_for(tasks, workers, [&](index task, int) { body(task * piece, std::min(piece, count - task * piece)); });
}

}  // namespace

template <class T>
void add_arrays(const T* a, const T* b, T floor, T* y, index count) {
  each_piece(count, [&](index first, index n) { kernels<T>().add_arrays(a + first, b + first, floor, y + first, n); });
}

template <class T>
void relu(const T* x, T* y, index count) {
  each_piece(count, [&](index first, index n) { kernels<T>().relu(x + first, y + first, n); });
}

template <class T>
void relu_passed(const T* y, std::uint8_t* passed, index count) {
  each_piece(count, [&](index first, index n) { kernels<T>().relu_passed(y + first, passed + first / 8, n); });
}

template <class T>
void keep_passed(const T* dy, const std::uint8_t* passed, T* dx, index count) {
  each_piece(count,
             [&](index first, index n) { kernels<T>().keep_passed(dy + first, passed + first / 8, dx + first, n); });
}

template void add_arrays(const float*, const float*, float, float*, index);
template void add_arrays(const double*, const double*, double, double*, index);
template void relu(const float*, float*, index);
template void relu(const double*, double*, index);
template void relu_passed(const float*, std::uint8_t*, index);
template void relu_passed(const double*, std::uint8_t*, index);
template void keep_passed(const float*, const std::uint8_t*, float*, index);
template void keep_passed(const double*, const std::uint8_t*, double*, index);

}  // namespace pcx
