// Loops on vectors of eight floats, for the processor that is there.
#ifndef MILLSTREAM_NATIVE_VECTORS_H_
#define MILLSTREAM_NATIVE_VECTORS_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "native/clones.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only

namespace millstream {

constexpr int64_t kLanes = 8;
typedef float Floats __attribute__((vector_size(32)));
typedef uint32_t Words __attribute__((vector_size(32)));

struct BFloat16 {
  uint16_t bits;
};

// Tells a generic loop's body what it works on: Floats, or float for one number alone.
template <typename V>
struct Of {
  using Value = V;
};

template <typename V>
MILLSTREAM_INLINE V Load(const float* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

MILLSTREAM_INLINE void Store(float* to, float value) { *to = value; }
MILLSTREAM_INLINE void Store(float* to, const Floats& value) { std::memcpy(to, &value, sizeof(value)); }

// Conversions are loops on single numbers: compilers know what processors have for them.
template <typename V>
MILLSTREAM_INLINE V Load(const BFloat16* from) {
  constexpr int kCount = sizeof(V) / sizeof(float);
  uint32_t bits[kCount];
  for (int i = 0; i < kCount; ++i) bits[i] = uint32_t{from[i].bits} << 16;
  V value;
  std::memcpy(&value, bits, sizeof(V));
  return value;
}

// Rounds to the nearest, ties to even; a NaN stays one.
template <typename V, typename Word = std::conditional_t<sizeof(V) == sizeof(float), uint32_t, Words>>
MILLSTREAM_INLINE void Store(BFloat16* to, const V& value) {
  Word word;
  std::memcpy(&word, &value, sizeof(V));
  const Word rounded = word + 0x7fff + ((word >> 16) & 1);
  word = value == value ? rounded : word | 0x400000;
  word >>= 16;
  constexpr int kCount = sizeof(V) / sizeof(float);
  uint32_t bits[kCount];
  std::memcpy(bits, &word, sizeof(V));
  for (int i = 0; i < kCount; ++i) to[i].bits = static_cast<uint16_t>(bits[i]);
}

}  // namespace millstream

#pragma GCC diagnostic pop

#endif  // MILLSTREAM_NATIVE_VECTORS_H_
