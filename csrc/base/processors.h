// How many processors this process may really use.
#pragma once

namespace pcx {

// The least of affinity, cgroup quota and OMP_NUM_THREADS; at least 1.
int usable_processors();

}  // namespace pcx
