// What the handlers of XLA's foreign calls share.
#ifndef MILLSTREAM_NATIVE_FFI_H_
#define MILLSTREAM_NATIVE_FFI_H_

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>

#include "native/threads.h"
#include "xla/ffi/api/ffi.h"

namespace millstream {

namespace ffi = ::xla::ffi;
using Numbers = ffi::Span<const int64_t>;

// The threads on which XLA runs programs.
class ThreadsOfXla : public Helpers {
 public:
  explicit ThreadsOfXla(const XLA_FFI_CallFrame* call) : api_(call->api), context_(call->ctx) {}

  int Count() const override {
    if (count_ == 0) {
      int64_t count = 1;
      XLA_FFI_ThreadPool_NumThreads_Args args{};
      args.struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE;
      args.ctx = context_;
      args.num_threads = &count;
      Drop(api_->XLA_FFI_ThreadPool_NumThreads(&args));
      count_ = static_cast<int>(std::max<int64_t>(count, 1));
    }
    return count_;
  }

  void Schedule(std::function<void()> task) const override {
    XLA_FFI_ThreadPool_Schedule_Args args{};
    args.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
    args.ctx = context_;
    args.data = new std::function<void()>(std::move(task));
    args.task = [](void* data) {
      const std::unique_ptr<std::function<void()>> task(static_cast<std::function<void()>*>(data));
      (*task)();
    };
    if (Drop(api_->XLA_FFI_ThreadPool_Schedule(&args))) args.task(args.data);
  }

 private:
  // Forgets an error; the calling thread does all the work then.
  bool Drop(XLA_FFI_Error* error) const {
    if (error) ffi::internal::DestroyError(api_, error);
    return error != nullptr;
  }

  const XLA_FFI_Api* api_;
  XLA_FFI_ExecutionContext* context_;
  mutable int count_ = 0;
};

// Runs `body` and gives what it throws as an error of the call: nothing may be thrown through XLA.
template <typename Body>
ffi::Error Guarded(const char* what, const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, std::string(what) + ": out of memory");
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string(what) + ": " + error.what());
  }
}

inline ffi::Error Misfit(const char* what) {
  return ffi::Error::InvalidArgument(std::string(what) + ": the buffers do not fit each other");
}

}  // namespace millstream

// Defines the handler `symbol` of XLA's calls, which Python finds by its name. It runs on XLA's threads.
#define MILLSTREAM_HANDLER(symbol, ...)                                         \
  extern "C" MILLSTREAM_EXPORT XLA_FFI_Error* symbol(XLA_FFI_CallFrame* call) { \
    XLA_FFI_DEFINE_HANDLER(handler, __VA_ARGS__);                               \
    const ThreadsOfXla threads(call);                                           \
    const WithHelpers helpers(&threads);                                        \
    return handler(call);                                                       \
  }                                                                             \
  static_assert(true, "")

#endif  // MILLSTREAM_NATIVE_FFI_H_
