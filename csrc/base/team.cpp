#include "base/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/parallel.h"
#include "base/processors.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

namespace pcx {

namespace {

using Clock = std::chrono::steady_clock;

// How long a thread that has done its part looks for more before it sleeps: from one layer of a network to the next.
// Longer would keep a processor from others, and from our own caller where another process sits on its processor.
constexpr std::chrono::microseconds attentive{100};
constexpr int looks = 64;  // between two of the clock

struct Call {
  const int members;
  const Member member;
  void* const context;
  int begun = 1;                       // members
  std::atomic<std::int64_t> ended{0};  // of the threads
  Call* next = nullptr;

  bool wants_more() const { return begun < members; }
};

// Signals are for the threads of the program: a thread of the team starts with all of them blocked.
class NoSignals {
 public:
#if !defined(_WIN32)
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

class Team {
 public:
  void run(Call& call) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      call.next = open_;
      open_ = &call;
      posted_.fetch_add(1, std::memory_order_release);
      enlist(call.members - 1);
      wake(call.members - 1);
    }
    call.member(call.context, 0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Call** place = &open_;
      while (*place != &call) place = &(*place)->next;
      *place = call.next;
    }
    wait_for(call.ended, call.begun - 1);
  }

  bool awake() const { return awake_.load(std::memory_order_relaxed) > 0; }

 private:
  // As many threads as this call wants, and more for several at a time as far as there are processors.
  void enlist(int least) {
    int wanted = 0;
    for (const Call* call = open_; call; call = call->next) wanted += call->members - 1;
    wanted = std::max(least, std::min(wanted, default_num_threads() - 1));
    if (threads_ >= wanted) return;
    const NoSignals until_done;
    try {
      for (; threads_ < wanted; ++threads_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {  // the system has no more: those that are there do it
    }
  }

  // Whoever sleeps may be the one that wakes.
  void wake(int most) {
    if (asleep_.empty()) return;
    const Processors where = beside_caller();
    for (Helper* helper : asleep_) place(*helper, where);
    for (int i = std::min(most, static_cast<int>(asleep_.size())); i > 0; --i) work_.notify_one();
  }

  [[noreturn]] void serve() {
    Helper self;
    ++awake_;
    for (std::unique_lock<std::mutex> lock(mutex_);;) {
      Call* const call = next_call(self, lock);
      const int number = call->begun++;
      lock.unlock();
      call->member(call->context, number);
      call->ended.fetch_add(1, std::memory_order_release);  // from here on the call may be gone
      lock.lock();
    }
  }

  Call* open_call() const {
    Call* call = open_;
    while (call && !call->wants_more()) call = call->next;
    return call;
  }

  // A thread that wakes when a short call is over looks out for the next one, or it would never be in time.
  Call* next_call(Helper& self, std::unique_lock<std::mutex>& lock) {
    for (;;) {
      if (Call* const call = open_call()) return call;
      const std::uint64_t seen = posted_.load(std::memory_order_relaxed);
      lock.unlock();
      const bool posted = look_out(seen);
      lock.lock();
      if (posted || posted_.load(std::memory_order_relaxed) != seen) continue;
      --awake_;
      asleep_.push_back(&self);
      work_.wait(lock, [&] { return posted_.load(std::memory_order_relaxed) != seen; });
      asleep_.erase(std::find(asleep_.begin(), asleep_.end(), &self));
      ++awake_;
    }
  }

  // Whether a call was posted after those that were seen, before patience ended.
  bool look_out(std::uint64_t seen) const {
    const Clock::time_point end = Clock::now() + attentive;
    for (int look = 1; posted_.load(std::memory_order_acquire) == seen; ++look) {
      if (look % looks != 0) continue;
      if (Clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::mutex mutex_;
  std::condition_variable work_;
  Call* open_ = nullptr;  // calls that member 0 of is at work
  int threads_ = 0;
  std::vector<Helper*> asleep_;
  std::atomic<int> awake_{0};             // threads
  std::atomic<std::uint64_t> posted_{0};  // calls, ever
};

// Never destroyed: its threads may wait when static destructors run. The threads do not exist in a child of fork, and
// the mutex may be locked there for ever: the child begins with another team.
Team*& team() {
  static Team* instance = [] {
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { team() = new Team; });
#endif
    return new Team;
  }();
  return instance;
}

}  // namespace

void run_with_team(int members, Member member, void* context) {
  Call call{members, member, context};
  team()->run(call);
}

bool team_awake() { return team()->awake(); }

}  // namespace pcx
