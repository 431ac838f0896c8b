// Calls that were made before. A function of the package checks its arguments once and leaves here what the core needs
// to compute such a call; the next one with arguments of the same sizes, types and values is then one look-up.
#pragma once
#include <functional>
#include <vector>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

// A call whose arguments are known to be right, without them. `out` is where the result goes, or null for a new array;
// the call is not made, and gives nothing, where it does not fit.
using Call = std::function<py::object(PyObject* const* args, PyObject* out)>;

// Makes `recall(*args)` run `call` for args like these, on this thread. Nothing happens where an argument is neither a
// contiguous array nor a plain value, as bool, int, an interned str, None or a tuple of those are. Of an array only
// type and sizes count, so what a caller might write as an array of numbers, a stride, must stand in a tuple.
void remember(Call call, const py::tuple& args);

// What was remembered for arguments like these, on this thread, or null.
std::shared_ptr<const Call> recalled(PyObject* const* args, py::ssize_t count);

// A weight whose packed forms are kept from call to call.
struct KeptWeight {
  explicit KeptWeight(const py::array& weight);

  template <class T>
  PackedForms<T>* forms() {
    if constexpr (sizeof(T) == 4)
      return &f32;
    else
      return &f64;
  }

  py::array w;
  PackedForms<float> f32;  // one of the two stays empty
  PackedForms<double> f64;
};

// What an argument of a remembered call is.
template <class T>
T* data_of(PyObject* array) {
  return reinterpret_cast<T*>(py::detail::array_proxy(array)->data);
}
bool is_plain_array(PyObject* value);
KeptWeight* kept_weight(PyObject* value);  // or null

Direction direction_of(const std::string& name);
void bind_conv_calls(py::module_& m);
void bind_pool_calls(py::module_& m);

// A new contiguous array.
using Sizes = std::vector<py::ssize_t>;
template <class T>
py::object new_array(const Sizes& sizes);
// That, or the caller's; nothing where this has other sizes or another type.
template <class T>
py::object result_array(const Sizes& sizes, PyObject* out);

inline py::object pair(const py::object& first, const py::object& second) {
  PyObject* both = PyTuple_Pack(2, first.ptr(), second.ptr());
  if (!both) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(both);
}

// So little work (10 us at most) is done without letting other Python threads in: handing the GIL on costs more.
constexpr std::int64_t brief_products = 200'000, brief_elements = 1 << 14;

template <class Work>
void without_gil_unless(bool brief, const Work& work) {
  if (brief) return work();
  const py::gil_scoped_release release;
  work();
}

}  // namespace pcx::bind
