// Calls that were made before. A function of the package checks its arguments once and leaves here what the core needs
// to compute such a call; the next one with arguments of the same sizes, types and values is then one look-up.
#pragma once
#include <memory>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

// A call whose arguments are known to be right.
class Call {
 public:
  virtual ~Call() = default;
  virtual py::object run(PyObject* const* args) const = 0;
};

// Makes `recall(*args)` run `call` for args like these, on this thread. Nothing happens where an argument is neither a
// contiguous array nor a plain value, as bool, int, an interned str, None or a tuple of those are.
void remember(std::shared_ptr<const Call> call, const py::tuple& args);

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
inline void* data_of(PyObject* array) { return py::detail::array_proxy(array)->data; }
bool is_plain_array(PyObject* value);
KeptWeight* kept_weight(PyObject* value);  // or null

Direction direction_of(const std::string& name);
void bind_conv_calls(py::module_& m);

// A new contiguous array.
template <class T>
py::object new_array(int axes, const py::ssize_t* sizes);

}  // namespace pcx::bind
