// A network's tasks, one after the other, as far as each is a call that was made before: between small layers Python
// would take longer than they do.
#include <algorithm>
#include <array>

#include "bind/recall.h"

namespace pcx::bind {

namespace {

constexpr py::ssize_t most_args = 8;

// Of what Python lends: an error if there is nothing.
PyObject* present(PyObject* lent) {
  if (!lent && !PyErr_Occurred()) PyErr_SetString(PyExc_KeyError, "a task reads what no task has left");
  if (!lent) throw py::error_already_set();
  return lent;
}

void succeed(int status) {
  if (status != 0) throw py::error_already_set();
}

// Where a task's arrays come from and go, as in _program.py; of what is read by many tasks `done` names the last one's.
struct Flow {
  py::tuple sources;
  py::object place;
  py::tuple done;
  bool wanted;

  explicit Flow(const py::tuple& flow)
      : sources(flow[0]), place(flow[1]), done(flow[2]), wanted(py::cast<bool>(flow[3])) {}
};

// A key with the inputs where `...` stands for them. The arrays stay in `values`.
class Arguments {
 public:
  Arguments(const py::tuple& key, const py::tuple& sources, const py::dict& values)
      : count_(static_cast<py::ssize_t>(key.size())) {
    py::ssize_t input = 0;
    for (py::ssize_t i = 0; i < std::min(count_, most_args); ++i) {
      args_[i] = PyTuple_GET_ITEM(key.ptr(), i);
      if (args_[i] == Py_Ellipsis) {
        PyObject* const source = present(PyTuple_GetItem(sources.ptr(), input++));
        args_[i] = present(PyDict_GetItemWithError(values.ptr(), source));
      }
    }
  }

  std::shared_ptr<const Call> recalled() const {
    return count_ <= most_args ? bind::recalled(args_.data(), count_) : nullptr;
  }
  PyObject* const* data() const { return args_.data(); }

 private:
  std::array<PyObject*, most_args> args_{};
  py::ssize_t count_;
};

// Runs the tasks from `first` on, up to one that is not remembered or behind one whose output is wanted; returns how
// many have run by then, those before `first` included. A key is None where a task has none.
py::ssize_t replay(const py::list& keys, const py::list& flows, const py::dict& values, py::ssize_t first) {
  const py::ssize_t count = static_cast<py::ssize_t>(keys.size());
  for (py::ssize_t task = first; task < count; ++task) {
    const py::object key = keys[task];
    if (!PyTuple_Check(key.ptr())) return task;
    const Flow flow(flows[task]);
    const Arguments args(py::reinterpret_borrow<py::tuple>(key), flow.sources, values);
    const std::shared_ptr<const Call> call = args.recalled();
    if (!call) return task;
    const py::object result = (*call)(args.data(), nullptr);
    succeed(PyDict_SetItem(values.ptr(), flow.place.ptr(), result.ptr()));
    for (const py::handle& source : flow.done) succeed(PyDict_DelItem(values.ptr(), source.ptr()));
    if (flow.wanted) return task + 1;
  }
  return count;
}

}  // namespace

void bind_replay(py::module_& m) {
  m.def("replay", &replay, py::arg("keys"), py::arg("flows"), py::arg("values"), py::arg("first"));
}

}  // namespace pcx::bind
