// The kernel checker: every kernel and every operation on every instruction set of this machine, against plain loops.
//   check [--isa NAME[,NAME...]] [--require NAME[,NAME...]] [--from FAMILY] [--break KERNEL]
// --isa runs only those; --require fails where one is missing. --from leaves out the families before this one: those
// of single kernels come first, and those with threads follow. --break spoils one kernel, or lets one go where it may
// not (see spoil.cpp): the checks must then fail, or they are worth nothing; the first family that does is the last.
// --break list prints what there is to spoil.
#include "check.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "base/buffer.h"
#include "spoil.h"

namespace {

using namespace pcx;
using namespace pcx::check;

struct Family {
  const char* name;
  void (*run)(Report&);
};
const Family families[] = {
    {"conv_row", check_conv_kernels},
    {"pixel_sum", check_weight_kernels},
    {"depthwise", check_depthwise_kernels},
    {"mixed rows", check_mixed_kernels},
    {"transpose", check_transpose_kernels},
    {"distances", check_distance_kernels},
    {"pool rows", check_pool_kernels},
    {"elementwise", check_elementwise_kernels},
    {"channels", check_channel_kernels},
    {"winograd axes", check_winograd_kernels},
    {"fourier steps", check_fourier_kernels},
    {"convolution", check_conv_ops},
    {"lent weights", check_lent_ops},
    {"winograd", check_winograd_ops},
    {"fourier", check_fourier_ops},
    {"pooling", check_pool_ops},
    {"gram, nearest", check_matrix_ops},
    {"memory", check_memory},
    {"threads", check_parallel},
};

void on_fault(int signal) {
  std::printf("FAULT (signal %d) in %s\n", signal, Report::current);
  std::fflush(stdout);
  std::_Exit(3);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> names(1);
  for (char c : list) {
    if (c == ',')
      names.emplace_back();
    else
      names.back() += c;
  }
  return names;
}

bool contains(const std::vector<std::string>& list, const std::string& name) {
  for (const std::string& entry : list) {
    if (entry == name) return true;
  }
  return false;
}

long long run_isa(const std::string& isa, const Family* first, bool until_a_failure) {
  force_isa(isa);
  if (isa != active_table().isa) {
    std::printf("FAILED: forced %s, but %s runs\n", isa.c_str(), active_table().isa);
    return 1;
  }
  std::printf("%s: vectors of %d float, %d double\n", isa.c_str(), active_table().f32.lanes, active_table().f64.lanes);
  long long failures = 0;
  for (const Family* family = first; family != std::end(families); ++family) {
    Report report(isa, family->name);
    family->run(report);
    report.print();
    std::fflush(stdout);
    failures += report.failures;
    if (report.cases == 0) ++failures;
    if (failures && until_a_failure) break;
  }
  return failures;
}

const Family* find_family(const std::string& name) {
  for (const Family& family : families) {
    if (name == family.name) return &family;
  }
  std::printf("no family is called %s\n", name.c_str());
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> isas = available_isas();
  const std::vector<std::string> available = isas;
  const Family* first = families;
  bool spoiled = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--isa")) isas = split(argv[i + 1]);
    if (!std::strcmp(argv[i], "--from")) first = find_family(argv[i + 1]);
    if (!std::strcmp(argv[i], "--require")) {
      for (const std::string& name : split(argv[i + 1])) {
        if (contains(available, name)) continue;
        std::printf("FAILED: %s is required, and not here\n", name.c_str());
        return 1;
      }
    }
    if (std::strcmp(argv[i], "--break")) continue;
    spoiled = spoil(argv[i + 1]);
    if (!spoiled) {
      for (const std::string& name : spoilable()) std::printf("%s\n", name.c_str());
      return std::strcmp(argv[i + 1], "list") ? 2 : 0;
    }
  }
  std::signal(SIGSEGV, on_fault);
  std::signal(SIGBUS, on_fault);
  pool_set_poison(true);
  long long failures = 0;
  for (const std::string& isa : isas) failures += run_isa(isa, first, spoiled);
  std::printf("%s: %lld failures\n", failures ? "FAILED" : "passed", failures);
  return failures ? 1 : 0;
}
