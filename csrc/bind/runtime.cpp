// Threads, instruction sets, memory.
#include <pybind11/stl.h>

#include "base/buffer.h"
#include "base/parallel.h"
#include "bind/arrays.h"
#include "bind/recall.h"
#include "isa/dispatch.h"

namespace pcx::bind {

namespace {

py::object empty(const Sizes& sizes, bool wide) { return wide ? new_array<double>(sizes) : new_array<float>(sizes); }

py::dict memory_in_use() {
  const PoolStats stats = pool_stats();
  py::dict d;
  d["in_use"] = stats.in_use;
  d["cached"] = stats.cached;
  d["peak"] = stats.peak;
  d["limit"] = stats.limit;
  return d;
}

}  // namespace

void bind_runtime(py::module_& m) {
  m.def("empty", &empty, py::arg("sizes"), py::arg("wide"), "A new array of float32, or float64 where wide.");
  m.def("memory", &memory_in_use, "Bytes of the pool: in_use, cached, peak, limit.");
  m.def("trim_memory", &pool_trim, "Gives cached memory back to the system.");
  m.def("set_memory_limit", &pool_set_limit, py::arg("limit"), "Bytes that may stay cached.");
  m.def("reset_memory_peak", &pool_reset_peak, "Starts counting the peak again.");
  m.def("set_memory_poison", &pool_set_poison, py::arg("on"),
        "For tests: fill every block with bytes 0xFF, which are NaN.");

  m.def("get_num_threads", &get_num_threads, "Threads that a call from this thread may use.");
  m.def("set_num_threads", &set_num_threads, py::arg("n"), "For the calling thread; 0 restores the default.");
  m.def("default_num_threads", &default_num_threads, "What this process may really use.");

  m.def("active_isa", [] { return std::string(active_table().isa); }, "The instruction set in use.");
  m.def("available_isas", &available_isas, "What this processor and this build have, best first.");
  m.def("force_isa", &force_isa, py::arg("name"), "Use this one; an empty name goes back to the default.");
}

}  // namespace pcx::bind
