// base/parallel: every task once, exceptions, floating-point mode, callers on many threads at a time.
#include "base/parallel.h"

#include <atomic>
#include <cfenv>
#include <stdexcept>
#include <thread>

#include "base/buffer.h"
#include "base/processors.h"
#include "base/shape.h"
#include "check.h"

namespace pcx::check {

namespace {

void every_task_once(Report& report, int threads) {
  const int usual = get_num_threads();
  set_num_threads(threads);
  for (index tasks : {0, 1, 2, 7, 1000}) {
    report.start("%lld tasks, %d threads", static_cast<long long>(tasks), threads);
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
    std::atomic<bool> worker_in_range{true};
    const int workers = workers_for(tasks);
    parallel_for(tasks, workers, [&](index task, int worker) {
      ++runs[static_cast<std::size_t>(task)];
      if (worker < 0 || worker >= workers) worker_in_range = false;
    });
    for (const std::atomic<int>& n : runs) report.expect(n == 1, "a task did not run exactly once");
    report.expect(worker_in_range, "a worker's number is out of range");
  }
  set_num_threads(usual);
}

void exceptions_return(Report& report) {
  for (index tasks : {1, 64}) {
    report.start("an exception among %lld tasks", static_cast<long long>(tasks));
    bool caught = false;
    try {
      parallel_for(tasks, workers_for(tasks), [&](index task, int) {
        if (task == tasks / 2) throw std::runtime_error("planned");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    report.expect(caught, "an exception in a task did not reach the caller");
    index sum = 0;
    parallel_for(1, 1, [&](index, int) { ++sum; });
    report.expect(sum == 1, "no work is done after an exception");
  }
}

// Seven tasks a phase, each of which adds to what the phase before has left; unsynchronised but for the phases.
void phases_begin_when_those_before_have_ended(Report& report) {
  constexpr index phases = 50, each = 7;
  report.start("%lld phases", static_cast<long long>(phases));
  std::vector<index> sums((phases + 1) * each, 1);
  auto before = [&](index task) { return task / each * each; };
  parallel_in_order(phases * each, workers_for(each), before, [&](index task, int) {
    const index phase = task / each;
    index sum = 0;
    for (index i = 0; i < each; ++i) sum += sums[static_cast<std::size_t>(phase * each + i)];
    sums[static_cast<std::size_t>((phase + 1) * each + task % each)] = sum % 1000003;
  });
  index expected = 1;
  for (index phase = 0; phase < phases; ++phase) expected = expected * each % 1000003;
  for (index i = 0; i < each; ++i) report.expect(sums[phases * each + i] == expected, "a task began too early");

  report.start("an exception in a phase that others wait for");
  bool caught = false;
  try {
    parallel_in_order(64, workers_for(64), before, [&](index task, int) {
      if (task == 10) throw std::runtime_error("planned");
    });
  } catch (const std::runtime_error&) {
    caught = true;
  }
  report.expect(caught, "an exception in a phase did not reach the caller");
}

void nested_calls_are_serial(Report& report) {
  report.start("a parallel call inside a task");
  std::atomic<int> inner{0}, wide{0};
  parallel_for(8, workers_for(8), [&](index, int) {
    if (workers_for(8) != 1) ++wide;
    parallel_for(8, workers_for(8), [&](index, int) { ++inner; });
  });
  report.expect(inner == 64 && wide == 0, "a nested call did not run once, on its own thread");
}

// Asked of the arithmetic itself: std::fegetround looks at the x87 unit, which computes nothing here.
bool rounds_upward() {
  volatile double one = 1, three = 3;
  return one / three > 1.0 / 3;  // the right side was rounded to nearest, which is downward, by the compiler
}

void rounding_reaches_workers(Report& report) {
  for (bool upward : {true, false}) {
    report.start("the caller rounds %s", upward ? "upward" : "to nearest");
    std::fesetround(upward ? FE_UPWARD : FE_TONEAREST);
    std::atomic<int> other{0};
    parallel_for(64, workers_for(64), [&](index, int) { other += rounds_upward() != upward; });
    std::fesetround(FE_TONEAREST);
    report.expect(other == 0, "a worker rounded otherwise than its caller");
  }
}

void threads_have_their_own_number(Report& report) {
  report.start("num_threads of another thread");
  int elsewhere = 0;
  std::thread([&] {
    set_num_threads(7);
    elsewhere = get_num_threads();
  }).join();
  report.expect(elsewhere == 7 && get_num_threads() == 3, "set_num_threads reached another thread");
}

// The one on which a caller runs is left to it, if it may use others; a thread that was placed before is told anew.
void helpers_leave_the_caller_its_processor(Report& report) {
#if defined(__linux__)
  const auto affinity = [] {
    Processors set{};
    sched_getaffinity(0, sizeof set, &set);
    return set;
  };
  const Processors all = affinity();
  const int count = CPU_COUNT(&all);
  report.start("a helper's place among %d processors", count);
  const Processors beside = beside_caller();
  Processors both{};
  CPU_AND(&both, &all, &beside);
  report.expect(CPU_EQUAL(&both, &beside), "it is one that the caller may not use");
  report.expect(CPU_COUNT(&beside) == (count > 1 && count <= 8 ? count - 1 : count), "it has too many or too few");
  Helper self;
  for (const Processors& where : {beside, all, Processors{}}) {
    place(self, where);
    const Processors now = affinity(), &wanted = CPU_COUNT(&where) ? where : all;
    report.expect(CPU_EQUAL(&now, &wanted), "it is not where it was told to be");
  }
#else
  report.start("a helper's place: not on this system");
#endif
}

// Several callers take, use and give memory and run tasks, while another trims the pool.
void callers_do_not_disturb_each_other(Report& report) {
  report.start("four callers at a time");
  std::atomic<int> wrong{0};
  std::atomic<bool> done{false};
  auto caller = [&](int number) {
    set_num_threads(2);
    for (int round = 0; round < 40; ++round) {
      const index count = 1000 + 37 * round;
      Buffer<int> buffer(count);
      parallel_for(count, workers_for(count), [&](index i, int) { buffer.data()[i] = number; });
      for (index i = 0; i < count; ++i) wrong += buffer.data()[i] != number;
    }
  };
  std::thread trimmer([&] {
    while (!done) pool_trim();
  });
  std::vector<std::thread> callers;
  for (int number = 0; number < 4; ++number) callers.emplace_back(caller, number);
  for (std::thread& thread : callers) thread.join();
  done = true;
  trimmer.join();
  report.expect(wrong == 0, "a caller found another's numbers in its memory");
}

void sizes_are_checked(Report& report) {
  report.start("sizes that overflow");
  int refused = 0;
  for (index side : {index{1} << 40, index{-1}}) {
    ConvShape s;
    s.batch = s.in_channels = s.out_channels = side;
    s.in = s.kernel = s.stride = s.dilation = {1, 1, 1};
    try {
      s.finish();
    } catch (const ShapeError&) {
      ++refused;
    }
  }
  report.expect(refused == 2, "a shape that no memory can hold was accepted");
}

}  // namespace

void check_parallel(Report& report) {
  set_num_threads(3);
  for (int threads : {1, 3, 40}) every_task_once(report, threads);  // more than there are shares, too
  exceptions_return(report);
  phases_begin_when_those_before_have_ended(report);
  nested_calls_are_serial(report);
  rounding_reaches_workers(report);
  threads_have_their_own_number(report);
  helpers_leave_the_caller_its_processor(report);
  callers_do_not_disturb_each_other(report);
  sizes_are_checked(report);
  set_num_threads(0);
}

}  // namespace pcx::check
