// Distances: rows are (count, depth).
#include <pybind11/stl.h>

#include <optional>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

using Release = py::call_guard<py::gil_scoped_release>;

Metric metric_of(const std::string& name) {
  if (name == "sqeuclidean") return Metric::sqeuclidean;
  if (name == "euclidean") return Metric::euclidean;
  if (name == "cosine") return Metric::cosine;
  if (name == "manhattan") return Metric::manhattan;
  if (name == "chi2") return Metric::chi2;
  throw std::invalid_argument("'" + name + "' is not a metric");
}

template <class T>
void require_rows(const char* name, const Array<T>& rows, std::int64_t depth) {
  if (rows.ndim() != 2 || rows.shape(1) != depth) {
    throw ShapeError(std::string(name) + " must have 2 axes, the second of size " + std::to_string(depth));
  }
}

template <class T>
void pairwise(const std::string& metric, const Array<T>& a, const std::optional<Array<T>>& b, Array<T>& d) {
  if (a.ndim() != 2) throw ShapeError("a must have 2 axes");
  const std::int64_t depth = a.shape(1);
  if (b) require_rows("b", *b, depth);
  const std::int64_t rows = a.shape(0), columns = b ? b->shape(0) : rows;
  T* to = write("d", d, checked_product("d", {rows, columns}));
  pairwise_distances(metric_of(metric), rows, columns, depth, a.data(), b ? b->data() : nullptr, to);
}

template <class T>
void find_nearest(const std::string& metric, const Array<T>& queries, const Array<T>& gallery, Array<T>& distances,
                  Array<std::int64_t>& numbers) {
  if (queries.ndim() != 2 || distances.ndim() != 2) throw ShapeError("queries and distances must have 2 axes");
  const std::int64_t count = queries.shape(0), depth = queries.shape(1), k = distances.shape(1);
  require_rows("gallery", gallery, depth);
  if (k < 1 || k > gallery.shape(0)) throw ShapeError("k must lie between 1 and the size of the gallery");
  T* to = write("distances", distances, count * k);
  nearest(metric_of(metric), count, gallery.shape(0), depth, k, queries.data(), gallery.data(), to,
          write("numbers", numbers, count * k));
}

template <class T>
void bind_distance_of(py::module_& m) {
  m.def("pairwise_distances", &pairwise<T>, py::arg("metric"), py::arg("a").noconvert(), py::arg("b").noconvert(),
        py::arg("d").noconvert(), Release());
  m.def("nearest", &find_nearest<T>, py::arg("metric"), py::arg("queries").noconvert(), py::arg("gallery").noconvert(),
        py::arg("distances").noconvert(), py::arg("numbers").noconvert(), Release());
}

}  // namespace

void bind_distance(py::module_& m) {
  bind_distance_of<float>(m);
  bind_distance_of<double>(m);
}

}  // namespace pcx::bind
