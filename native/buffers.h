// What our own loops share that work on the buffers of XLA's calls.
#ifndef MILLSTREAM_NATIVE_BUFFERS_H_
#define MILLSTREAM_NATIVE_BUFFERS_H_

#include <algorithm>

#include "native/ffi.h"
#include "native/vectors.h"

namespace millstream {

// Whether a buffer has numbers, of a type for which there are kernels.
inline bool HasNumbers(const ffi::AnyBuffer& buffer) {
  const bool known = buffer.element_type() == ffi::DataType::F32 || buffer.element_type() == ffi::DataType::BF16;
  return known && buffer.element_count() > 0;
}

// Whether two buffers have the same type and dimensions.
inline bool Alike(const ffi::AnyBuffer& a, const ffi::AnyBuffer& b) {
  const Numbers dims = a.dimensions(), others = b.dimensions();
  return a.element_type() == b.element_type() && dims.size() == others.size() &&
         std::equal(dims.begin(), dims.end(), others.begin());
}

template <typename T>
T* Data(ffi::AnyBuffer buffer) {
  return static_cast<T*>(buffer.untyped_data());
}

// Calls run(T{}), where T is the type of the numbers of a buffer.
template <typename Run>
void WithType(const ffi::AnyBuffer& buffer, const Run& run) {
  buffer.element_type() == ffi::DataType::F32 ? run(float{}) : run(BFloat16{});
}

}  // namespace millstream

#endif  // MILLSTREAM_NATIVE_BUFFERS_H_
