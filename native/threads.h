// The threads of the native kernels: those of XLA, which calls them.
//
// A kernel is divided into more parts than there are threads, and each thread takes the next part when it is done with
// one. So a thread that is held up by another program holds up nobody else, and nothing waits for a thread to start.
#ifndef MILLSTREAM_NATIVE_THREADS_H_
#define MILLSTREAM_NATIVE_THREADS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

// What Python calls, or XLA; all else stays inside of the library.
#define MILLSTREAM_EXPORT __attribute__((visibility("default")))

namespace millstream {

// Threads besides the one that a kernel is called on.
class Helpers {
 public:
  virtual ~Helpers() = default;
  virtual int Count() const = 0;
  virtual void Schedule(std::function<void()> task) const = 0;
};

// While it lives, kernels on this thread have these helpers.
class WithHelpers {
 public:
  explicit WithHelpers(const Helpers* helpers);
  ~WithHelpers();

 private:
  const Helpers* before_;
};

// How many threads a kernel called on this thread runs on.
int ThreadCount();

// Calls run(part) for parts 0 … parts - 1, in any order, on as many threads as there are. What `run` throws, it throws.
void RunParts(int64_t parts, const std::function<void(int64_t)>& run);

// Into how many parts work is best divided: `grain` and `count` are the least of a part and the whole, in any unit.
inline int64_t PartsOf(int64_t count, int64_t grain) {
  const int64_t threads = ThreadCount();
  return threads == 1 ? 1 : std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, 4 * threads);
}

// Calls work(begin, end) for parts of 0 … count, of at least `grain` items.
template <typename Work>
void ParallelFor(int64_t count, int64_t grain, const Work& work) {
  const int64_t parts = PartsOf(count, grain);
  RunParts(parts, [&](int64_t part) {
    const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    if (begin < end) work(begin, end);
  });
}

// Memory that a thread keeps for the kernel that is called on it, and for the parts of kernels that it runs.
enum class Use { kCall, kPart };
void* Scratch(Use use, size_t bytes);

}  // namespace millstream

// The number of threads for kernels: what Python has set, or one for each processor.
extern "C" MILLSTREAM_EXPORT int millstream_threads();

#endif  // MILLSTREAM_NATIVE_THREADS_H_
