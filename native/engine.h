// oneDNN: its primitives, each run on the calling thread alone.
#ifndef MILLSTREAM_NATIVE_ENGINE_H_
#define MILLSTREAM_NATIVE_ENGINE_H_

#include <omp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

namespace millstream {

using Dims = dnnl::memory::dims;
using Layout = dnnl::memory::desc;

inline dnnl::engine& Engine() {
  static auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // kernels may run while the process ends
  return *engine;
}

inline dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

// While it lives, oneDNN makes and runs primitives without threads of OpenMP.
class Alone {
 public:
  Alone() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~Alone() { omp_set_num_threads(before_); }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  const int before_;
};

inline dnnl::memory MemoryOf(const Layout& layout, const void* buffer) {
  return dnnl::memory(layout, Engine(), const_cast<void*>(buffer));
}

// Whether oneDNN has only its reference code for this, which is slow beyond use.
inline bool IsReference(const dnnl::primitive_desc_base& description) {
  return std::string(description.impl_info_str()).rfind("ref", 0) == 0;
}

// Everything that a plan depends on, as numbers.
class Key {
 public:
  Key& Add(int64_t value) {
    values_.push_back(value);
    hash_ = (hash_ ^ static_cast<uint64_t>(value)) * 0x100000001b3ull;  // FNV-1a
    return *this;
  }

  Key& AddAll(const Dims& values) {
    Add(static_cast<int64_t>(values.size()));
    for (int64_t value : values) Add(value);
    return *this;
  }

  bool operator==(const Key& other) const { return values_ == other.values_; }

  struct Hash {
    size_t operator()(const Key& key) const { return key.hash_; }
  };

 private:
  std::vector<int64_t> values_;
  uint64_t hash_ = 0xcbf29ce484222325ull;
};

// Plans by key, each made on first use.
template <typename Plan>
class Plans {
 public:
  std::shared_ptr<const Plan> FindOrMake(const Key& key, const std::function<std::shared_ptr<const Plan>()>& make) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    if (plans_.size() >= kMost) plans_.clear();
    return plans_.emplace(key, make()).first->second;
  }

 private:
  static constexpr size_t kMost = 4096;

  std::mutex mutex_;
  std::unordered_map<Key, std::shared_ptr<const Plan>, Key::Hash> plans_;
};

}  // namespace millstream

#endif  // MILLSTREAM_NATIVE_ENGINE_H_
