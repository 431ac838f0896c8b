// How many processors this process may really use, and where threads that work for others are woken.
#pragma once

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace pcx {

// The least of affinity, cgroup quota and OMP_NUM_THREADS; at least 1.
int usable_processors();

#if defined(__linux__)
using Processors = cpu_set_t;
struct Helper {  // the thread that makes it
  pthread_t thread = pthread_self();
  Processors place{};  // where it was last told to be; none at first
};
#else
struct Processors {};
struct Helper {};
#endif

// Where a thread had better be that works for the calling one: on the processors of this one, but for that on which it
// runs. Linux wakes a thread where it last ran, and looks further only while the processors that share a cache have
// not been busy: of two, one stays idle for milliseconds while both threads take turns on the other. Where there are
// many it does find another one, and none is left out. Elsewhere nothing is known, nor done.
Processors beside_caller();
void place(Helper& helper, const Processors& where);

}  // namespace pcx
