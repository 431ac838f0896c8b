#include "bind/recall.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/buffer.h"
#include "isa/dispatch.h"

namespace pcx::bind {

namespace {

constexpr std::int64_t pooled_bytes = 64 << 10;  // smaller results come from NumPy, which keeps small blocks itself
constexpr int plain_flags = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// float32 and float64, and the three that positions of maxima have
constexpr std::array<int, 5> type_numbers{py::detail::npy_api::NPY_FLOAT_, py::detail::npy_api::NPY_DOUBLE_,
                                          py::detail::npy_api::NPY_UBYTE_, py::detail::npy_api::NPY_USHORT_,
                                          py::detail::npy_api::NPY_UINT_};
constexpr std::array<int, 5> type_bytes{4, 8, 1, 2, 4};

const py::detail::npy_api* numpy = nullptr;  // set when the module loads
PyTypeObject* kept_type = nullptr;

// Unpickled arrays have an object of their own, so numbers are compared.
int type_number(PyObject* array) {
  const auto* type = py::detail::array_descriptor_proxy(py::detail::array_proxy(array)->descr);
  const bool native = type->byteorder == '=' || type->byteorder == '|';
  const auto found = std::find(type_numbers.begin(), type_numbers.end(), type->type_num);
  return native ? static_cast<int>(found - type_numbers.begin()) : static_cast<int>(type_numbers.size());
}

// Arguments in a form that is equal for two calls exactly if all that matters is: for arrays, element type and sizes;
// for options, type and value. (True is not 1 here, nor is 1.0.) An array among the options has no such form.
class Key {
 public:
  Key() { words_[size_++] = reinterpret_cast<std::intptr_t>(&active_table()); }

  // False where the value has no such form: the call then takes the long way.
  bool add(PyObject* value) {
    if (is_plain_array(value)) return add_array(array, value);
    if (const KeptWeight* kept = kept_weight(value)) return add_array(weight, kept->w.ptr());
    return add_option(value);
  }

  std::uint64_t hash() const {
    std::uint64_t h = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      h = (h ^ static_cast<std::uint64_t>(words_[i])) * 0x9E3779B97F4A7C15u;
      h ^= h >> 29;
    }
    return h;
  }

  bool operator==(const Key& other) const {
    return size_ == other.size_ && std::equal(words_.begin(), words_.begin() + size_, other.words_.begin());
  }

 private:
  enum Tag { none, boolean, integer, text, tuple, array, weight, tags };

  bool put(Tag tag, std::int64_t value) {
    if (size_ == words_.size()) return false;
    words_[size_++] = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * tags) + tag;
    return true;
  }

  bool add_option(PyObject* value) {
    if (PyLong_CheckExact(value)) return add_integer(value);
    if (value == Py_None) return put(none, 0);
    if (PyBool_Check(value)) return put(boolean, value == Py_True);
    if (PyUnicode_CheckExact(value)) {
      // Of equal interned strings there is one, which `hold` keeps.
      return PyUnicode_CHECK_INTERNED(value) && put(text, static_cast<std::int64_t>(reinterpret_cast<intptr_t>(value)));
    }
    return PyTuple_Check(value) && Py_TYPE(value)->tp_iter == PyTuple_Type.tp_iter && add_tuple(value);
  }

  bool add_integer(PyObject* value) {
    int overflow = 0;
    const std::int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
    constexpr std::int64_t most = std::int64_t{1} << 56;  // larger ones are refused later on
    return !overflow && number <= most && number >= -most && put(integer, number);
  }

  bool add_array(Tag tag, PyObject* value) {
    const auto* proxy = py::detail::array_proxy(value);
    if (!put(tag, proxy->nd * std::int64_t{8} + type_number(value))) return false;
    if (words_.size() - size_ < static_cast<std::size_t>(proxy->nd)) return false;
    for (int a = 0; a < proxy->nd; ++a) words_[size_++] = proxy->dimensions[a];
    return true;
  }

  bool add_tuple(PyObject* value) {
    const Py_ssize_t count = PyTuple_GET_SIZE(value);
    if (!put(tuple, count)) return false;
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (!add_option(PyTuple_GET_ITEM(value, i))) return false;
    }
    return true;
  }

  std::array<std::int64_t, 64> words_;
  std::size_t size_ = 0;
};

struct Remembered {
  Key key;
  std::shared_ptr<const Call> call;  // a copy is held while it runs: the table may change meanwhile
};

// What a thread remembers: no lock, nothing shared, nothing of Python's. Sets of four, the latest first.
class Memory {
 public:
  std::shared_ptr<const Call> find(const Key& key) {
    if (slots_.empty()) return nullptr;
    const std::uint64_t hash = key.hash();
    Slot* set = set_of(hash);
    for (int i = 0; i < ways; ++i) {
      if (set[i].hash == hash && set[i].entry && set[i].entry->key == key) {
        if (i > 0) std::swap(set[0], set[i]);
        return set[0].entry->call;
      }
    }
    return nullptr;
  }

  void put(const Key& key, Call call) {
    if (slots_.empty()) slots_.resize(sets * ways);
    const std::uint64_t hash = key.hash();
    Slot* set = set_of(hash);
    std::rotate(set, set + ways - 1, set + ways);
    set[0] = {hash, std::make_unique<Remembered>(Remembered{key, std::make_shared<const Call>(std::move(call))})};
  }

 private:
  static constexpr std::size_t sets = 64;
  static constexpr int ways = 4;

  struct Slot {
    std::uint64_t hash = 0;
    std::unique_ptr<Remembered> entry;
  };

  Slot* set_of(std::uint64_t hash) { return slots_.data() + (hash >> 32) % sets * ways; }

  std::vector<Slot> slots_;
};

Memory& memory() {
  thread_local Memory instance;
  return instance;
}

// Keeps every string of a key for ever: few exist, as all were checked, and their addresses must not serve others.
void hold(PyObject* value) {
  if (PyUnicode_CheckExact(value)) Py_INCREF(value);
  if (!PyTuple_Check(value)) return;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) hold(PyTuple_GET_ITEM(value, i));
}

// The array of an argument, or null.
PyObject* array_of(PyObject* value) {
  if (is_plain_array(value)) return value;
  const KeptWeight* kept = kept_weight(value);
  return kept ? kept->w.ptr() : nullptr;
}

const char* end_of(PyObject* array) {
  const auto* proxy = py::detail::array_proxy(array);
  py::ssize_t bytes = type_bytes[static_cast<std::size_t>(type_number(array))];
  for (int a = 0; a < proxy->nd; ++a) bytes *= proxy->dimensions[a];
  return data_of<char>(array) + bytes;
}

// Whether a result may go there: an array that may be written, apart from all that is read.
bool takes_results(PyObject* out, PyObject* const* args, py::ssize_t count) {
  if (!is_plain_array(out) || !(py::detail::array_proxy(out)->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_)) {
    return false;
  }
  return std::none_of(args, args + count, [&](PyObject* arg) {
    PyObject* const array = array_of(arg);
    return array && data_of<char>(array) < end_of(out) && data_of<char>(out) < end_of(array);
  });
}

// None where the call is not remembered, or the long way has to tell what is wrong with `out`.
PyObject* result_of(PyObject* out, PyObject* const* args, py::ssize_t count) {
  try {
    if (out && !takes_results(out, args, count)) Py_RETURN_NONE;
    const std::shared_ptr<const Call> call = recalled(args, count);
    if (!call) Py_RETURN_NONE;
    if (py::object result = (*call)(args, out)) return result.release().ptr();
    Py_RETURN_NONE;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (...) {
    py::detail::try_translate_exceptions();
  }
  return nullptr;
}

// pybind11's own way from arguments to a function takes longer than a small convolution.
PyObject* recall(PyObject*, PyObject* const* args, Py_ssize_t count) { return result_of(nullptr, args, count); }

PyObject* recall_into(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count == 0) {
    PyErr_SetString(PyExc_TypeError, "recall_into takes out, or None, and then what recall takes");
    return nullptr;
  }
  return result_of(args[0] == Py_None ? nullptr : args[0], args + 1, count - 1);
}

template <PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)>
constexpr PyMethodDef fast_method(const char* name, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)), METH_FASTCALL, doc};
}

PyMethodDef methods[] = {
    fast_method<recall>("recall",
                        "recall($module, /, *args)\n--\n\nThe result of a call that was remembered, or None."),
    fast_method<recall_into>("recall_into",
                             "recall_into($module, out, /, *args)\n--\n\nThe same in `out`, where that is not None."),
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

KeptWeight::KeptWeight(const py::array& weight) : w(weight) {
  if (!is_plain_array(w.ptr()) || type_number(w.ptr()) > 1) {
    throw ShapeError("a kept weight must be a C-contiguous array of float32 or float64");
  }
}

bool is_plain_array(PyObject* value) {
  return Py_TYPE(value) == numpy->PyArray_Type_ &&
         (py::detail::array_proxy(value)->flags & plain_flags) == plain_flags &&
         type_number(value) < static_cast<int>(type_numbers.size());
}

KeptWeight* kept_weight(PyObject* value) {
  return Py_TYPE(value) == kept_type ? py::cast<KeptWeight*>(py::handle(value)) : nullptr;
}

std::shared_ptr<const Call> recalled(PyObject* const* args, py::ssize_t count) {
  Key key;
  for (py::ssize_t i = 0; i < count; ++i) {
    if (!key.add(args[i])) return nullptr;
  }
  return memory().find(key);
}

void remember(Call call, const py::tuple& args) {
  Key key;
  for (py::handle value : args) {
    if (!key.add(value.ptr())) return;
  }
  hold(args.ptr());
  memory().put(key, std::move(call));
}

template <class T>
py::object new_array(const Sizes& sizes) {
  std::int64_t count = 1;
  for (py::ssize_t size : sizes) count = checked_product("result", {count, size});
  if (count * static_cast<std::int64_t>(sizeof(T)) >= pooled_bytes) {
    Buffer<T> buffer(count);
    py::capsule owner(buffer.data(), [](void* block) { pool_give(block); });
    return py::array_t<T>(sizes, buffer.release(), owner);
  }
  PyObject* type = numpy->PyArray_DescrFromType_(py::detail::npy_format_descriptor<T>::value);
  PyObject* array = numpy->PyArray_NewFromDescr_(numpy->PyArray_Type_, type, static_cast<int>(sizes.size()),
                                                 sizes.data(), nullptr, nullptr, 0, nullptr);
  if (!array) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

template <class T>
py::object result_array(const Sizes& sizes, PyObject* out) {
  if (!out) return new_array<T>(sizes);
  const auto* proxy = py::detail::array_proxy(out);
  const bool fits = type_number(out) == (sizeof(T) == 4 ? 0 : 1) && proxy->nd == static_cast<int>(sizes.size()) &&
                    std::equal(sizes.begin(), sizes.end(), proxy->dimensions);
  return fits ? py::reinterpret_borrow<py::object>(out) : py::object();
}

template py::object result_array<float>(const Sizes&, PyObject*);
template py::object result_array<double>(const Sizes&, PyObject*);
template py::object new_array<float>(const Sizes&);
template py::object new_array<double>(const Sizes&);
template py::object new_array<std::uint8_t>(const Sizes&);
template py::object new_array<std::uint16_t>(const Sizes&);
template py::object new_array<std::uint32_t>(const Sizes&);

void bind_recall(py::module_& m) {
  numpy = &py::detail::npy_api::get();
  py::class_<KeptWeight> kept(m, "PackedWeights",
                              "A channels-last weight with its packed forms, which are made when first needed.");
  kept.def(py::init<const py::array&>(), py::arg("w"))
      .def_readonly("w", &KeptWeight::w)
      .def_property_readonly(
          "packed", [](const KeptWeight& weight) { return weight.f32.made() + weight.f64.made(); },
          "How often it was packed.");
  kept_type = reinterpret_cast<PyTypeObject*>(kept.ptr());
  if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

}  // namespace pcx::bind
