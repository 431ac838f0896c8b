// What the checks share: random numbers, the comparison, the count. A check draws small integers, whose sums are exact
// and must agree to the last bit, or real numbers, whose error is counted in roundings of the sum's largest extent.
#pragma once
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "guarded.h"

namespace pcx::check {

struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::uint64_t x = state ^ (state >> 33);
    x *= 0xff51afd7ed558ccdu;
    return x ^ (x >> 33);
  }
  index below(index n) { return static_cast<index>(next() % static_cast<std::uint64_t>(n)); }
  bool coin() { return next() & 1; }
  template <class T>
  T pick(const std::vector<T>& list) {
    return list[static_cast<std::size_t>(below(static_cast<index>(list.size())))];
  }
  Edge edge() { return coin() ? Edge::begin : Edge::end; }
};

enum class Numbers { integers, reals };

template <class T>
void fill(const Guarded<T>& array, Random& random, Numbers kind) {
  for (index i = 0; i < array.size(); ++i) {
    array[i] = kind == Numbers::integers ? static_cast<T>(random.below(9) - 4)
                                         : static_cast<T>(static_cast<double>(random.next() >> 11) * 0x1p-52 - 1);
  }
}

// One family of checks on one instruction set.
class Report {
 public:
  Report(std::string isa, std::string family) : isa_(std::move(isa)), family_(std::move(family)) {}

  // Names the case that runs now; it stands in the message of a failure, and of a fault.
  template <class... Values>
  void start(const char* format, Values... values) {
    std::snprintf(current, sizeof current, "%s %s: ", isa_.c_str(), family_.c_str());
    const std::size_t used = std::char_traits<char>::length(current);
    if constexpr (sizeof...(values) == 0)
      std::snprintf(current + used, sizeof current - used, "%s", format);
    else
      std::snprintf(current + used, sizeof current - used, format, values...);
    ++cases;
  }
  void expect(bool good, const char* what) {
    if (!good) fail("%s", what);
  }
  template <class T>
  void intact(const Guarded<T>& array, const char* name) {
    if (!array.intact()) fail("memory beside %s was written", name);
  }
  // `terms` products with the sum of magnitudes `extent`; 0 terms demand equality.
  template <class T>
  void close(T actual, double expected, double extent, index terms, index at) {
    const double unit = std::numeric_limits<T>::epsilon() / 2 * extent, error = std::fabs(actual - expected);
    if (terms == 0 ? actual == static_cast<T>(expected) : error <= unit * static_cast<double>(terms + 4)) {
      if (terms && unit > 0 && error / unit > worst) worst = error / unit;
      return;
    }
    fail("element %lld is %.9g, not %.9g", static_cast<long long>(at), static_cast<double>(actual), expected);
  }
  void print() const {
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
    std::printf("  %-22s %7lld cases, worst error %5.2f roundings, %lld failures, %.1f s\n", family_.c_str(), cases,
                worst, failures, taken.count());
  }

  long long cases = 0, failures = 0;
  double worst = 0;
  inline static char current[400];

 private:
  template <class... Values>
  void fail(const char* format, Values... values) {
    if (++failures > 5) return;
    std::printf("FAILED %s: ", current);
    std::printf(format, values...);
    std::printf("\n");
  }
  std::string isa_, family_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Sizes on either side of every boundary of a kernel with vectors of `lanes` and panels of `panel`, and a prime.
inline std::vector<index> sizes_around(index lanes, index panel) {
  std::vector<index> sizes;
  for (index n :
       {index{1}, index{2}, lanes - 1, lanes, lanes + 1, panel - 1, panel, panel + 1, 2 * panel + 1, index{13}}) {
    if (n > 0) sizes.push_back(n);
  }
  return sizes;
}

// Each takes what it reports on; float and double.
void check_conv_kernels(Report& report);
void check_channel_kernels(Report& report);
void check_weight_kernels(Report& report);
void check_depthwise_kernels(Report& report);
void check_mixed_kernels(Report& report);
void check_transpose_kernels(Report& report);
void check_distance_kernels(Report& report);
void check_winograd_kernels(Report& report);
void check_pool_kernels(Report& report);
void check_elementwise_kernels(Report& report);
void check_fourier_kernels(Report& report);
void check_conv_ops(Report& report);
void check_lent_ops(Report& report);
void check_winograd_ops(Report& report);
void check_fourier_ops(Report& report);
void check_pool_ops(Report& report);
void check_matrix_ops(Report& report);
void check_memory(Report& report);
void check_parallel(Report& report);

}  // namespace pcx::check
