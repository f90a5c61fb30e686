// Local response normalisation (Krizhevsky, Sutskever and Hinton 2012, section 3.3), and its gradient:
// y = x * (bias + alpha * the sum of x² over the channels at most `radius` away) ^ -beta.
#include <algorithm>
#include <cmath>
#include <optional>

#include "native/buffers.h"
#include "native/threads.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only

namespace millstream {
namespace {

constexpr int64_t kGrain = 4096;  // numbers for which a thread is worth waking

struct Formula {
  int64_t channels;
  int64_t radius;
  float bias, alpha;
  int64_t quarters;  // 4 * beta, at most 4

  int64_t padded() const { return (channels + kLanes - 1) / kLanes * kLanes; }

  // Of a row of which windows are summed: the channels with zeros on both sides.
  int64_t room() const { return padded() + 2 * radius; }
};

MILLSTREAM_INLINE Floats Root(const Floats& value) {
  float roots[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) roots[i] = std::sqrt(value[i]);
  return Load<Floats>(roots);
}

// value ^ -beta.
MILLSTREAM_INLINE Floats Power(const Floats& value, int64_t quarters) {
  if (quarters == 4) return 1.f / value;
  const Floats root = Root(value);
  if (quarters == 2) return 1.f / root;
  const Floats second = Root(root);
  return 1.f / (quarters == 1 ? second : root * second);
}

// The sum of the channels from `channel` - radius to `channel` + radius, for each lane.
MILLSTREAM_INLINE Floats Window(const float* row, int64_t channel, int64_t radius) {
  Floats sum = Load<Floats>(row + channel);
  for (int64_t i = 1; i <= 2 * radius; ++i) sum += Load<Floats>(row + channel + i);
  return sum;
}

// Rows of numbers as floats, filled up with zeros to whole vectors.
template <typename T>
MILLSTREAM_INLINE void Widen(const T* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(to + i, Load<Floats>(from + i));
  for (; i < count; ++i) to[i] = Load<float>(from + i);
}

template <typename T>
MILLSTREAM_INLINE void Narrow(const float* from, int64_t count, T* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(to + i, Load<Floats>(from + i));
  for (; i < count; ++i) Store(to + i, from[i]);
}

// `memory`: zeros at first; room for two rows and one that windows are summed of.
template <typename T>
MILLSTREAM_CLONES void Normalize(const Formula& f, int64_t rows, const T* x, T* y, float* memory) {
  const int64_t padded = f.padded();
  float *wide = memory, *result = wide + padded, *squares = result + padded;
  for (int64_t row = 0; row < rows; ++row, x += f.channels, y += f.channels) {
    Widen(x, f.channels, wide);
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats value = Load<Floats>(wide + c);
      Store(squares + f.radius + c, value * value);
    }
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats scale = f.bias + f.alpha * Window(squares, c, f.radius);
      Store(result + c, Load<Floats>(wide + c) * Power(scale, f.quarters));
    }
    Narrow(result, f.channels, y);
  }
}

// `memory`: zeros at first; room for five rows and two that windows are summed of.
template <typename T>
MILLSTREAM_CLONES void Gradient(const Formula& f, int64_t rows, const T* dy, const T* x, const T* y, T* dx,
                                float* memory) {
  const int64_t padded = f.padded();
  float *wide = memory, *gradient = wide + padded, *output = gradient + padded, *powers = output + padded;
  float *result = powers + padded, *squares = result + padded, *shares = squares + f.room();
  const float slope = f.alpha * (f.quarters / 2.f);  // 2 * alpha * beta
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t begin = row * f.channels;
    Widen(x + begin, f.channels, wide);
    Widen(dy + begin, f.channels, gradient);
    Widen(y + begin, f.channels, output);
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats value = Load<Floats>(wide + c);
      Store(squares + f.radius + c, value * value);
    }
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats scale = f.bias + f.alpha * Window(squares, c, f.radius);
      Store(powers + c, Power(scale, f.quarters));
      Store(shares + f.radius + c, Load<Floats>(gradient + c) * Load<Floats>(output + c) / scale);
    }
    // Behind the last channel there is none whose share would count.
    for (int64_t c = f.channels; c < padded; ++c) shares[f.radius + c] = 0;
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats through_scale = slope * Load<Floats>(wide + c) * Window(shares, c, f.radius);
      Store(result + c, Load<Floats>(gradient + c) * Load<Floats>(powers + c) - through_scale);
    }
    Narrow(result, f.channels, dx + begin);
  }
}

// --- Calls ----------------------------------------------------------------------------------------------------

std::optional<Formula> FormulaOf(const ffi::AnyBuffer& x, int64_t radius, float bias, float alpha, int64_t quarters) {
  if (!HasNumbers(x) || x.dimensions().size() == 0) return std::nullopt;
  if (radius < 0 || quarters < 1 || quarters > 4) return std::nullopt;
  const int64_t channels = x.dimensions().back();
  return Formula{channels, std::min(radius, channels - 1), bias, alpha, quarters};
}

// Calls run(T{}, first row, rows, memory) for parts of the rows; `room`: of the memory.
template <typename Run>
ffi::Error ByRows(const char* what, const ffi::AnyBuffer& x, const Formula& f, int64_t room, const Run& run) {
  return Guarded(what, [&] {
    const int64_t rows = x.element_count() / f.channels;
    ParallelFor(rows, kGrain / f.channels + 1, [&](int64_t begin, int64_t end) {
      auto* memory = static_cast<float*>(Scratch(Use::kPart, room * sizeof(float)));
      std::fill_n(memory, room, 0.f);  // beyond the channels there is nothing to add
      WithType(x, [&](auto number) { run(number, begin, end - begin, memory); });
    });
    return ffi::Error::Success();
  });
}

ffi::Error Forward(ffi::AnyBuffer x, ffi::Result<ffi::AnyBuffer> y, int64_t radius, float bias, float alpha,
                   int64_t quarters) {
  const char* what = "Local response normalisation";
  const auto f = FormulaOf(x, radius, bias, alpha, quarters);
  if (!f || !Alike(x, *y)) return Misfit(what);
  return ByRows(what, x, *f, 2 * f->padded() + f->room(), [&](auto number, int64_t first, int64_t rows, float* memory) {
    using T = decltype(number);
    const int64_t begin = first * f->channels;
    Normalize<T>(*f, rows, Data<T>(x) + begin, Data<T>(*y) + begin, memory);
  });
}

ffi::Error Backward(ffi::AnyBuffer dy, ffi::AnyBuffer x, ffi::AnyBuffer y, ffi::Result<ffi::AnyBuffer> dx,
                    int64_t radius, float bias, float alpha, int64_t quarters) {
  const char* what = "Gradient of local response normalisation";
  const auto f = FormulaOf(x, radius, bias, alpha, quarters);
  if (!f || !Alike(x, dy) || !Alike(x, y) || !Alike(x, *dx)) return Misfit(what);
  const int64_t room = 5 * f->padded() + 2 * f->room();
  return ByRows(what, x, *f, room, [&](auto number, int64_t first, int64_t rows, float* memory) {
    using T = decltype(number);
    const int64_t begin = first * f->channels;
    Gradient<T>(*f, rows, Data<T>(dy) + begin, Data<T>(x) + begin, Data<T>(y) + begin, Data<T>(*dx) + begin, memory);
  });
}

// The attributes that both have.
template <typename Binding>
auto Shaped(Binding binding) {
  return std::move(binding)
      .template Attr<int64_t>("radius")
      .template Attr<float>("bias")
      .template Attr<float>("alpha")
      .template Attr<int64_t>("quarters");
}

}  // namespace

MILLSTREAM_HANDLER(millstream_lrn, Forward, Shaped(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));
MILLSTREAM_HANDLER(millstream_lrn_gradient, Backward,
                   Shaped(ffi::Ffi::Bind()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Ret<ffi::AnyBuffer>()));

}  // namespace millstream
