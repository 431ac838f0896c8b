// A mutex of the whole process that a fork while another thread holds it does not leave locked in the child. Never
// destroyed: what it guards may be used after static destructors have run.
#pragma once
#include <mutex>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace pcx {

// One for each type `Guarded`, which is only a name.
template <class Guarded>
std::mutex& fork_mutex() {
  static std::mutex* const instance = [] {
#if !defined(_WIN32)
    pthread_atfork([] { fork_mutex<Guarded>().lock(); }, [] { fork_mutex<Guarded>().unlock(); },
                   [] { fork_mutex<Guarded>().unlock(); });
#endif
    return new std::mutex;
  }();
  return *instance;
}

}  // namespace pcx
