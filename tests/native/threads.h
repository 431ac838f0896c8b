// A result computed by one thread and by several, which must have the same bits.
#pragma once
#include <cstring>
#include <vector>

#include "base/parallel.h"
#include "check.h"

namespace pcx::check {

// Runs `compute` into a poisoned `result`; what stands there at the end comes from one thread.
template <class T, class Compute>
void with_and_without_threads(Report& report, const Guarded<T>& result, Compute compute) {
  const std::size_t bytes = static_cast<std::size_t>(result.size()) * sizeof(T);
  std::vector<char> several(bytes);
  set_num_threads(3);
  result.poison();
  compute();
  std::memcpy(several.data(), result.data(), bytes);
  set_num_threads(1);
  result.poison();
  compute();
  set_num_threads(0);
  report.expect(std::memcmp(several.data(), result.data(), bytes) == 0, "one thread and several give different bits");
}

}  // namespace pcx::check
