#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "base/processors.h"
#include "base/team.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace pcx {

namespace {

thread_local int requested_threads = 0;  // 0: the default
thread_local bool inside_task = false;   // a task that asks for more workers gets none
#if defined(_OPENMP) && !defined(_WIN32)
// A child of fork has one thread, while its OpenMP library still believes in the team that the parent, or any other
// user of the same library, left behind: the next parallel region of that thread would wait for ever.
std::atomic<bool> forked{false};
const int watching_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

// Rounding and flush-to-zero belong to a thread; a result must not depend on which thread ran its task.
class FloatMode {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FloatMode() : mode_(_mm_getcsr() & ~0x3fu) {}  // without the sticky exception flags
  void apply() const { _mm_setcsr(mode_); }

 private:
  unsigned mode_;
#else
  FloatMode() { std::fegetenv(&mode_); }
  void apply() const { std::fesetenv(&mode_); }

 private:
  std::fenv_t mode_;
#endif
};

constexpr int brief_turns = 1000, patient_turns = 1050;  // some 5 us, then 20 us more

constexpr int most_shares = 16;

// Tasks next .. end - 1, in a cache line of its own.
struct alignas(64) Share {
  std::atomic<std::int64_t> next;
  std::int64_t end;
};

class Job {
 public:
  Job(std::int64_t tasks, int shares, TaskFunction function, void* context)
      : shares_(std::min(shares, most_shares)), function_(function), context_(context) {
    for (int i = 0; i < shares_; ++i) {
      share_[i].next.store(tasks * i / shares_, std::memory_order_relaxed);
      share_[i].end = tasks * (i + 1) / shares_;
    }
  }

  void work(int worker) {
    const FloatMode own;
    mode_.apply();
    const bool outer = std::exchange(inside_task, true);
    for (int i = 0; i < shares_; ++i) take(share_[(worker + i) % shares_], worker);
    inside_task = outer;
    own.apply();
  }

  void throw_error() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take(Share& share, int worker) {
    for (std::int64_t task; !failed_ && (task = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
      try {
        function_(context_, task, worker);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
  }

  Share share_[most_shares];
  const int shares_;
  const TaskFunction function_;
  void* const context_;
  const FloatMode mode_{};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_{};
};

#if defined(_OPENMP)
void open_team(Job& job, int workers) {
  std::atomic<std::int64_t> finished{0};
#pragma omp parallel num_threads(workers)
  {
    job.work(omp_get_thread_num());
    finished.fetch_add(1, std::memory_order_release);
    // At its own barrier OpenMP spins for milliseconds, on a processor that a preempted worker could have.
    if (omp_get_thread_num() == 0) wait_for(finished, omp_get_num_threads());
  }
}

void run_team(Job& job, int workers) {
#if !defined(_WIN32)
  if (forked) {  // a new thread has no team from before the fork; it opens one, at a cost of some 100 us
    std::thread([&] { open_team(job, workers); }).join();
    return;
  }
#endif
  open_team(job, workers);
}
#else
void run_team(Job& job, int workers) {
  run_with_team(workers, [](void* context, int number) { static_cast<Job*>(context)->work(number); }, &job);
}
#endif

constexpr double brief_operations = 3e6;  // some 60 us
#if defined(_OPENMP)
bool at_hand() { return true; }
void end_brief_work() {}
#else
using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds succession{100};
constexpr int steps = 3;               // that a call by itself may have
std::atomic<Clock::rep> brief_end{0};  // of the last brief work that one thread did by itself
std::atomic<int> in_succession{0};     // of such work
thread_local bool brief_alone = false;

// Whether the threads are up, or brief work has followed brief work for some time. Waking one takes 10 us here, and it
// is there some 50 us later.
bool at_hand() {
  if (team_awake()) return true;
  const Clock::time_point last{Clock::duration(brief_end.load(std::memory_order_relaxed))};
  if (Clock::now() - last >= succession) in_succession.store(0, std::memory_order_relaxed);
  brief_alone = in_succession.fetch_add(1, std::memory_order_relaxed) < steps;
  return !brief_alone;
}

void end_brief_work() {
  if (brief_alone) brief_end.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
}
#endif

}  // namespace

// Asleep, a thread gives its processor to the one that it waits for: where another process has a processor, too, that
// one would else sit behind it for a slice of the scheduler.
void wait_for(const std::atomic<std::int64_t>& done, std::int64_t count) {
  for (int turn = 0; done.load(std::memory_order_acquire) < count; ++turn) {
    if (turn < brief_turns) continue;
    if (turn < patient_turns)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

int default_num_threads() {
  static const int n = usable_processors();
  return n;
}

int get_num_threads() { return requested_threads ? requested_threads : default_num_threads(); }
void set_num_threads(int n) { requested_threads = n; }

int workers_for(std::int64_t tasks) {
  if (inside_task || tasks < 2) return 1;
  return static_cast<int>(std::min<std::int64_t>(tasks, get_num_threads()));
}

int workers_for(std::int64_t tasks, double operations) {
  const int workers = workers_for(tasks);
  return workers > 1 && operations < brief_operations && !at_hand() ? 1 : workers;
}

void run_tasks(std::int64_t tasks, int workers, Order order, TaskFunction function, void* context) {
  Job job(tasks, order == Order::by_shares ? std::max(1, workers) : 1, function, context);
  if (workers < 2)
    job.work(0);
  else
    run_team(job, workers);
  end_brief_work();
  job.throw_error();
}

}  // namespace pcx
