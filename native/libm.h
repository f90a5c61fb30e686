// Logarithm, sine and cosine that round as glibc's logf, sinf and cosf do, without branches, so that loops over them
// are vectorised. Where the numbers come from, and why this is exact, says millstream/ops/libm.py.
#ifndef MILLSTREAM_NATIVE_LIBM_H_
#define MILLSTREAM_NATIVE_LIBM_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "native/clones.h"

namespace millstream {

MILLSTREAM_INLINE uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

MILLSTREAM_INLINE float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// 1 / c and log(c), c being the middle of an interval, for sixteen intervals an octave from 2^-24 up to 1. In the
// interval that holds 1, c = 1 keeps the remainder exact.
class LogTable {
 public:
  static constexpr uint32_t kStart = 0x33330000;
  static constexpr int kShift = 19;
  static constexpr int kIntervals = ((0x3F800000 + (2 << kShift) - kStart) >> kShift) + 1;

  LogTable() {
    for (int i = 0; i < kIntervals; ++i) {
      const double low = FloatOf(kStart + (uint32_t(i) << kShift));
      const double high = FloatOf(kStart + (uint32_t(i + 1) << kShift));
      double centre = (low + high) / 2;
      if (i % 16 == 9) centre = std::ldexp(1.0, i / 16 - 24);
      if (i % 16 == 10) centre = std::ldexp(1.053428, i / 16 - 24);
      inverse[i] = 1 / centre;
      log_centre[i] = std::log(centre);
    }
  }

  double inverse[kIntervals];
  double log_centre[kIntervals];
};

// logf for x in [2^-24, 1). The arrays are those of a LogTable: GCC gathers from what only a plain pointer names.
MILLSTREAM_INLINE float Log32(const double* __restrict inverse, const double* __restrict log_centre, float x) {
  const int32_t interval = static_cast<int32_t>((BitsOf(x) - LogTable::kStart) >> LogTable::kShift);
  const double r = x * inverse[interval] - 1;
  const double tail = (-0.25089418692455256 * r + 0.33345676261457730) * r - 0.49999974843215030;
  return static_cast<float>(tail * (r * r) + (log_centre[interval] + r));
}

// sinf and cosf for x in [0, 2 pi].
MILLSTREAM_INLINE void SinCos32(float x, float* sine, float* cosine) {
  const int32_t quadrant = static_cast<int32_t>(x * (2 / M_PI) + 0.5);
  const double r = x - quadrant * (M_PI / 2);
  const double r2 = r * r;
  const double sin = ((-0.00019517299467268305 * r2 + 0.008332178149945694) * r2 - 0.16666654943768291) * (r2 * r) + r;
  const double cos =
      (((2.439052332013964e-05 * r2 - 0.00138867645644043) * r2 + 0.041666623349141126) * r2 - 0.4999999972533093) *
          r2 + 1;
  const float s = static_cast<float>(sin), c = static_cast<float>(cos);
  const bool swap = quadrant & 1;
  const uint32_t sine_sign = static_cast<uint32_t>(quadrant & 2) << 30;
  const uint32_t cosine_sign = static_cast<uint32_t>((quadrant + 1) & 2) << 30;
  *sine = FloatOf(BitsOf(swap ? c : s) ^ sine_sign);
  *cosine = FloatOf(BitsOf(swap ? s : c) ^ cosine_sign);
}

}  // namespace millstream

#endif  // MILLSTREAM_NATIVE_LIBM_H_
