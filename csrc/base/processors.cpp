#include "base/processors.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

namespace pcx {

namespace {

constexpr int no_limit = 1 << 16;
constexpr int few = 8;  // processors, of which a caller's own is left to it

int affinity() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

int from_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const int n = text ? std::atoi(text) : 0;  // of a list for nested levels, "4,2", the first counts
  return n > 0 ? n : no_limit;
}

// A negative quota, or one that is no number ("max"), is none. Rounded up to whole processors.
int whole(double quota, double period) {
  if (quota <= 0 || period <= 0) return no_limit;
  return std::max(1, static_cast<int>(quota / period + 0.999));
}

// Version 2 has one file, "quota period" or "max period"; version 1 has a file for each number.
int quota_of_group(const std::string& directory) {
  double quota = 0, period = 0;
  if (std::ifstream(directory + "/cpu.max") >> quota >> period) return whole(quota, period);
  quota = period = 0;
  std::ifstream(directory + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(directory + "/cpu.cfs_period_us") >> period;
  return whole(quota, period);
}

// The quota of a group bounds all groups below it. In a container the path may be the host's, which cannot be seen from
// inside; then the root that is seen is the container's own group.
int quota_of_path(const std::string& root, std::string path) {
  int n = quota_of_group(root);
  for (; path.size() > 1; path.erase(path.rfind('/'))) n = std::min(n, quota_of_group(root + path));
  return n;
}

// Lines of /proc/self/cgroup: "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1.
int cgroup_quota() {
  const std::string mount = "/sys/fs/cgroup";
  int n = std::min(quota_of_group(mount), quota_of_group(mount + "/cpu"));
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",", path = line.substr(second + 1);
    if (path.empty() || path[0] != '/') continue;
    if (names == ",,") n = std::min({n, quota_of_path(mount, path), quota_of_path(mount + "/unified", path)});
    if (names.find(",cpu,") != std::string::npos) n = std::min(n, quota_of_path(mount + "/cpu", path));
  }
  return n;
}

}  // namespace

int usable_processors() { return std::min({affinity(), cgroup_quota(), from_environment(), 1024}); }

#if defined(__linux__)
Processors beside_caller() {
  Processors set{};
  if (sched_getaffinity(0, sizeof set, &set) != 0) return Processors{};
  const int own = sched_getcpu(), count = CPU_COUNT(&set);
  if (count > 1 && count <= few && own >= 0) CPU_CLR(static_cast<std::size_t>(own), &set);
  return set;
}

void place(Helper& helper, const Processors& where) {
  if (CPU_COUNT(&where) == 0 || CPU_EQUAL(&where, &helper.place)) return;
  helper.place = where;
  pthread_setaffinity_np(helper.thread, sizeof where, &where);  // where that is refused, it stays where it was
}
#else
Processors beside_caller() { return {}; }
void place(Helper&, const Processors&) {}
#endif

}  // namespace pcx
