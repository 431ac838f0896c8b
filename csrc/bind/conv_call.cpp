// Convolutions that are remembered: from the caller's arrays to the result without a look at anything else.
#include <pybind11/stl.h>

#include "bind/recall.h"

namespace pcx::bind {

namespace {

// So little work (10 us at most) is done without letting other Python threads in: handing the GIL on costs more.
constexpr std::int64_t brief_products = 200'000, brief_elements = 1 << 14;

struct Known {
  ConvShape shape;
  Direction direction;
  Tiles tiles;
  bool relu, wide;
  std::vector<py::ssize_t> sizes;  // of the result, as the caller sees it

  bool brief() const {
    return shape.y_size() * shape.taps() * shape.group_in() <= brief_products &&
           shape.x_size() + shape.y_size() + shape.w_size() <= brief_elements;
  }
};

template <class Work>
void compute(bool brief, const Work& work) {
  if (brief) return work();
  const py::gil_scoped_release release;
  work();
}

// args: name, rank, x or dy, w, b or input_size, options, ...
class ConvCall : public Call {
 public:
  explicit ConvCall(Known known) : k_(std::move(known)), brief_(k_.brief()) {}

  py::object run(PyObject* const* args) const override { return k_.wide ? run_as<double>(args) : run_as<float>(args); }

 private:
  template <class T>
  py::object run_as(PyObject* const* args) const {
    KeptWeight* kept = kept_weight(args[3]);
    const T* x = static_cast<const T*>(data_of(args[2]));
    const T* w = static_cast<const T*>(data_of(kept ? kept->w.ptr() : args[3]));
    const T* bias = is_plain_array(args[4]) ? static_cast<const T*>(data_of(args[4])) : nullptr;
    py::object y = new_array<T>(static_cast<int>(k_.sizes.size()), k_.sizes.data());
    T* to = static_cast<T*>(data_of(y.ptr()));
    PackedForms<T>* forms = kept ? kept->forms<T>() : nullptr;
    compute(brief_, [&] { convolve(k_.shape, k_.direction, k_.tiles, x, w, forms, bias, k_.relu, to); });
    return y;
  }

  const Known k_;
  const bool brief_;
};

// args: name, rank, x, dy, kernel_size, options
class WeightGradCall : public Call {
 public:
  explicit WeightGradCall(Known known) : k_(std::move(known)), brief_(k_.brief()) {}

  py::object run(PyObject* const* args) const override { return k_.wide ? run_as<double>(args) : run_as<float>(args); }

 private:
  template <class T>
  py::object run_as(PyObject* const* args) const {
    const T* x = static_cast<const T*>(data_of(args[2]));
    const T* dy = static_cast<const T*>(data_of(args[3]));
    const py::ssize_t channels = k_.shape.out_channels;
    py::object dw = new_array<T>(static_cast<int>(k_.sizes.size()), k_.sizes.data()), db = new_array<T>(1, &channels);
    T* to = static_cast<T*>(data_of(dw.ptr()));
    T* sums = static_cast<T*>(data_of(db.ptr()));
    compute(brief_, [&] { conv_weight_grad(k_.shape, k_.tiles, x, dy, to, sums); });
    PyObject* both = PyTuple_Pack(2, dw.ptr(), db.ptr());
    if (!both) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(both);
  }

  const Known k_;
  const bool brief_;
};

void remember_conv(const ConvShape& shape, const std::string& direction, const Tiles& tiles, bool relu, bool wide,
                   std::vector<py::ssize_t> sizes, const py::tuple& args) {
  Known known{shape, direction_of(direction), tiles, relu, wide, std::move(sizes)};
  if (known.direction == Direction::weight_grad)
    remember(std::make_shared<WeightGradCall>(std::move(known)), args);
  else
    remember(std::make_shared<ConvCall>(std::move(known)), args);
}

}  // namespace

void bind_conv_calls(py::module_& m) {
  m.def("remember_conv", &remember_conv, py::arg("shape"), py::arg("direction"), py::arg("tiles"), py::arg("relu"),
        py::arg("wide"), py::arg("sizes"), py::arg("args"), "Lets recall(*args) do what this call came to.");
}

}  // namespace pcx::bind
