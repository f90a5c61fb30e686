#include "native/threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

namespace millstream {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMostKept = 64 << 20;  // bytes that a thread keeps although it needs far less
constexpr int kSpins = 2000;  // before a thread sleeps until the others are done: some tens of microseconds

std::atomic<int> chosen_threads{0};
thread_local const Helpers* current = nullptr;

// The parts of one kernel. It outlives the kernel where a helper comes too late to find any.
class Job {
 public:
  Job(int64_t parts, const std::function<void(int64_t)>& run) : parts_(parts), run_(run) {}

  void Work() {
    int64_t done = 0;
    for (int64_t part; (part = next_.fetch_add(1)) < parts_; ++done) {
      try {
        run_(part);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        failure_ = std::current_exception();
      }
    }
    if (done && finished_.fetch_add(done) + done == parts_) {
      std::lock_guard<std::mutex> lock(mutex_);
      all_done_.notify_all();
    }
  }

  void Wait() {
    for (int spin = 0; spin < kSpins && finished_.load() < parts_; ++spin) __builtin_ia32_pause();
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [this] { return finished_.load() == parts_; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const int64_t parts_;
  const std::function<void(int64_t)>& run_;  // called only while the kernel waits
  std::atomic<int64_t> next_{0}, finished_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
  std::exception_ptr failure_;
};

}  // namespace

WithHelpers::WithHelpers(const Helpers* helpers) : before_(current) { current = helpers; }
WithHelpers::~WithHelpers() { current = before_; }

int ThreadCount() {
  if (current == nullptr) return 1;
  const int chosen = chosen_threads.load(std::memory_order_relaxed), there = std::max(current->Count(), 1);
  return chosen > 0 ? std::min(chosen, there) : there;
}

void RunParts(int64_t parts, const std::function<void(int64_t)>& run) {
  const int64_t threads = std::min<int64_t>(ThreadCount(), parts);
  if (threads <= 1) {
    for (int64_t part = 0; part < parts; ++part) run(part);
    return;
  }
  const auto job = std::make_shared<Job>(parts, run);
  for (int64_t helper = 1; helper < threads; ++helper) {
    try {
      current->Schedule([job] { job->Work(); });
    } catch (...) {  // no memory, or no more threads: those that there are do the work
      break;
    }
  }
  job->Work();
  job->Wait();
}

void* Scratch(Use use, size_t bytes) {
  struct Memory {
    void* start = nullptr;
    size_t size = 0;
    ~Memory() { std::free(start); }
  };
  thread_local Memory memories[2];
  Memory& memory = memories[static_cast<int>(use)];
  if (bytes > memory.size || (memory.size > kMostKept && bytes < memory.size / 4)) {
    std::free(memory.start);
    memory.size = 0;
    memory.start = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (memory.start == nullptr) throw std::bad_alloc();
    memory.size = bytes;
  }
  return memory.start;
}

}  // namespace millstream

// For Python: on how many of XLA's threads kernels run at most; 0: on all.
extern "C" MILLSTREAM_EXPORT void millstream_set_threads(int count) { millstream::chosen_threads.store(count); }
extern "C" MILLSTREAM_EXPORT int millstream_threads() {
  const int chosen = millstream::chosen_threads.load();
  return chosen > 0 ? chosen : std::max<int>(std::thread::hardware_concurrency(), 1);
}
