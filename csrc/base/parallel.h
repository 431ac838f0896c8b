// Threads, of our own team (team.h) or of OpenMP, which parallel.cpp alone names.
// Work is cut into tasks by the problem alone; which worker takes which task never changes a result.
#pragma once
#include <atomic>
#include <cstdint>
#include <type_traits>

namespace pcx {

int get_num_threads();        // of the calling thread
void set_num_threads(int n);  // for the calling thread; 0 restores the default
int default_num_threads();    // affinity, cgroup quota and OMP_NUM_THREADS, whichever is least

// About 20 us on one core: less is done by one thread. A second one that waits for work takes 4 us to come and go.
constexpr double parallel_flops = 2e6;
// Multiply-adds that take as long as an element that is read and written.
constexpr double element_operations = 12;

// The number of workers that parallel_for may use here for so many tasks: scratch is taken for that many. For few
// operations, as many multiply-adds as would take about as long, threads that sleep are not woken, unless such work
// follows such work: it would be over before they come.
int workers_for(std::int64_t tasks);
int workers_for(std::int64_t tasks, double operations);

using TaskFunction = void (*)(void* context, std::int64_t task, int worker);

// Where a worker begins: at one counter for all, so that tasks begin in their order; or each in a share of its own, and
// when that is done it helps with the others. What a layer wrote is then read by the next on the same processor.
// Depthwise 3x3 over 14 x 14 x 512 by two threads took 25 us from one counter, 21 in shares (27 by one thread); 145
// layers of more than a millisecond were 1.85 and 1.95 times as fast as by one thread.
enum class Order { ascending, by_shares };

// Calls function(context, task, worker) for every task in [0, tasks), handed out one by one, on `workers` threads that
// carry the caller's floating-point mode. The first exception is thrown again here.
// Works in a child process too, whatever ran in the parent when it was forked.
void run_tasks(std::int64_t tasks, int workers, Order order, TaskFunction function, void* context);

template <class Body>
void parallel_for(std::int64_t tasks, int workers, Body&& body, Order order = Order::by_shares) {
  using Plain = std::remove_reference_t<Body>;
  auto call = [](void* context, std::int64_t task, int worker) { (*static_cast<Plain*>(context))(task, worker); };
  run_tasks(tasks, workers, order, call, &body);
}

// Waits until `done` has reached `count`; other threads raise it.
void wait_for(const std::atomic<std::int64_t>& done, std::int64_t count);

// The same where tasks build on each other, in one parallel region: a task begins when the first `before(task)` tasks
// have ended. before(task) <= task, and it never falls.
template <class Before, class Body>
void parallel_in_order(std::int64_t tasks, int workers, const Before& before, const Body& body) {
  std::atomic<std::int64_t> done{0};
  struct Ended {
    std::atomic<std::int64_t>& count;
    ~Ended() { count.fetch_add(1, std::memory_order_release); }  // also of a task that throws
  };
  auto in_order = [&](std::int64_t task, int worker) {
    wait_for(done, before(task));
    const Ended ended{done};
    body(task, worker);
  };
  parallel_for(tasks, workers, in_order, Order::ascending);
}

}  // namespace pcx
