// NumPy arrays to pointers and back. Python has explained bad arguments by now; what is checked here guards memory.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "base/shape.h"

namespace pcx::bind {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;  // bound with noconvert: nothing is copied behind the caller's back

inline void require_size(const char* name, std::int64_t got, std::int64_t wanted) {
  if (got == wanted) return;
  throw ShapeError(std::string(name) + " has " + std::to_string(got) + " elements, the shape wants " +
                   std::to_string(wanted));
}

template <class T>
const T* read(const char* name, const Array<T>& array, std::int64_t size) {
  require_size(name, array.size(), size);
  return array.data();
}

template <class T>
T* write(const char* name, Array<T>& array, std::int64_t size) {
  require_size(name, array.size(), size);
  return array.mutable_data();  // throws where the array is read-only
}

void bind_runtime(py::module_& m);
void bind_recall(py::module_& m);
void bind_replay(py::module_& m);
void bind_channels(py::module_& m);
void bind_conv(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_gram(py::module_& m);
void bind_distance(py::module_& m);
void bind_pool(py::module_& m);
void bind_pyramid(py::module_& m);
void bind_transpose(py::module_& m);

}  // namespace pcx::bind
