// Random numbers from Philox4x32-10 blocks: those that TensorFlow's CPU kernels draw from the same stream, bit for bit.
// What a stream is, and how words become numbers, says millstream/ops/philox.py and random_kernels.py.
//
// Numbers are drawn in batches of blocks, small enough for the first-level cache. Each step of a batch is a loop over
// arrays, without branches, that the compiler makes one of vectors.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>
#include <type_traits>
#include <vector>

#include "native/clones.h"
#include "native/ffi.h"
#include "native/libm.h"
#include "native/threads.h"

namespace millstream {
namespace {

// As random_numbers.py numbers them.
enum Distribution : int64_t { kUniform, kNormal, kTruncatedNormal, kFullInt, kUniformInt };
enum Type : int64_t { kHalf, kBfloat16, kFloat, kDouble, kInt32, kInt64, kNoType };

constexpr int kBatch = 512;
constexpr int64_t kGrain = 4 * kBatch;      // blocks that are worth a thread
constexpr int kBlockBytes = 16;             // of words, and of the float, double or integer values that they become
constexpr uint64_t kBlocksPerElement = 64;  // of a truncated normal: what TensorFlow sets aside for rejections
constexpr float kCut = 2;
constexpr double kSmallest = 1e-7;

struct Stream {
  uint64_t key, low, high;

  Stream From(uint64_t block) const { return {key, low + block, high + (low + block < low)}; }
};

struct Words {
  alignas(64) uint32_t of[4][kBatch];
};

// Places of blocks in the stream: 0, step, 2 * step, …
struct Offsets {
  explicit Offsets(uint32_t step) {
    for (int i = 0; i < kBatch; ++i) of[i] = i * step;
  }

  alignas(64) uint32_t of[kBatch];
};

// The words of the blocks at `offsets`.
MILLSTREAM_CLONES void Draw(const Stream& stream, const uint32_t* __restrict offsets, int blocks,
                            Words* __restrict words) {
  uint32_t* __restrict w0 = words->of[0];
  uint32_t* __restrict w1 = words->of[1];
  uint32_t* __restrict w2 = words->of[2];
  uint32_t* __restrict w3 = words->of[3];
  const Stream from = stream;
  for (int i = 0; i < blocks; ++i) {
    const uint64_t low = from.low + offsets[i], high = from.high + (low < from.low);
    w0[i] = static_cast<uint32_t>(low);
    w1[i] = static_cast<uint32_t>(low >> 32);
    w2[i] = static_cast<uint32_t>(high);
    w3[i] = static_cast<uint32_t>(high >> 32);
  }
  const auto key0 = static_cast<uint32_t>(from.key), key1 = static_cast<uint32_t>(from.key >> 32);
  for (int i = 0; i < blocks; ++i) {
    uint32_t c0 = w0[i], c1 = w1[i], c2 = w2[i], c3 = w3[i], k0 = key0, k1 = key1;
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53} * c0, p1 = uint64_t{0xCD9E8D57} * c2;
      c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c1 = static_cast<uint32_t>(p1);
      c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c3 = static_cast<uint32_t>(p0);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    w0[i] = c0;
    w1[i] = c1;
    w2[i] = c2;
    w3[i] = c3;
  }
}

// Words to numbers: `values` are those of one block after those of the other.

MILLSTREAM_CLONES void Uniforms(const Words& words, int blocks, int bits, float* __restrict values) {
  const int32_t mask = (1 << bits) - 1;
  const float unit = 1.0f / static_cast<float>(1 << bits);
  for (int i = 0; i < blocks; ++i) {
    for (int lane = 0; lane < 4; ++lane) {
      values[4 * i + lane] = static_cast<float>(static_cast<int32_t>(words.of[lane][i]) & mask) * unit;
    }
  }
}

MILLSTREAM_INLINE double Unit64(uint32_t high, uint32_t low) {
  return static_cast<double>(static_cast<int64_t>(high & 0xFFFFF) << 32 | low) * 0x1p-52;
}

MILLSTREAM_CLONES void Uniforms(const Words& words, int blocks, double* __restrict values) {
  for (int i = 0; i < blocks; ++i) {
    values[2 * i] = Unit64(words.of[0][i], words.of[1][i]);
    values[2 * i + 1] = Unit64(words.of[2][i], words.of[3][i]);
  }
}

MILLSTREAM_INLINE float Unit32(uint32_t word) {
  return static_cast<float>(static_cast<int32_t>(word & 0x7FFFFF)) * 0x1p-23f;
}

// Box and Muller's transform. The angle is a product in double precision, as in TensorFlow.
MILLSTREAM_CLONES void Pairs(const double* __restrict inverse, const double* __restrict log_centre,
                             const uint32_t* __restrict radii, const uint32_t* __restrict angles, int blocks,
                             float* __restrict sines, float* __restrict cosines) {
  for (int i = 0; i < blocks; ++i) {
    // Positive numbers are in the order of their bits, whose larger one is found without a branch.
    const float u = FloatOf(std::max(BitsOf(Unit32(radii[i])), BitsOf(static_cast<float>(kSmallest))));
    const float radius = std::sqrt(-2.0f * Log32(inverse, log_centre, u));
    float sine, cosine;
    SinCos32(static_cast<float>(Unit32(angles[i]) * (2 * M_PI)), &sine, &cosine);
    sines[i] = sine * radius;
    cosines[i] = cosine * radius;
  }
}

struct Normals {
  alignas(64) float of[4][kBatch];
};

MILLSTREAM_CLONES void SideBySide(const Normals& normals, int blocks, float* __restrict values) {
  for (int i = 0; i < blocks; ++i) {
    for (int lane = 0; lane < 4; ++lane) values[4 * i + lane] = normals.of[lane][i];
  }
}

void ToNormals(const Words& words, int blocks, float* values) {
  static const LogTable table;
  Normals normals;
  for (int i = 0; i < 4; i += 2) {
    Pairs(table.inverse, table.log_centre, words.of[i], words.of[i + 1], blocks, normals.of[i], normals.of[i + 1]);
  }
  SideBySide(normals, blocks, values);
}

// With the C library's functions, as TensorFlow.
void ToNormals(const Words& words, int blocks, double* values) {
  for (int i = 0; i < blocks; ++i) {
    const double u = std::max(Unit64(words.of[0][i], words.of[1][i]), kSmallest);
    const double angle = Unit64(words.of[2][i], words.of[3][i]) * (2 * M_PI);
    const double radius = std::sqrt(-2 * std::log(u));
    values[2 * i] = std::sin(angle) * radius;
    values[2 * i + 1] = std::cos(angle) * radius;
  }
}

// A division in double precision has the same whole part as one of integers. A range of 0 stands for all integers.
MILLSTREAM_CLONES void Integers(const Words& words, int blocks, uint32_t low, uint32_t range,
                                uint32_t* __restrict values) {
  const double divisor = range ? range : 0x1p33;
  for (int i = 0; i < blocks; ++i) {
    for (int lane = 0; lane < 4; ++lane) {
      const uint32_t word = words.of[lane][i];
      const auto quotient = static_cast<uint32_t>(static_cast<int64_t>(word / divisor));
      values[4 * i + lane] = word - quotient * range + low;
    }
  }
}

void Integers(const Words& words, int blocks, uint64_t low, uint64_t range, uint64_t* values) {
  for (int i = 0; i < blocks; ++i) {
    for (int half = 0; half < 2; ++half) {
      const uint64_t drawn = words.of[2 * half][i] | uint64_t{words.of[2 * half + 1][i]} << 32;
      values[2 * i + half] = (range ? drawn % range : drawn) + low;
    }
  }
}

// Values of a batch to the result.

template <typename Value>
void Store(const Value* values, int64_t count, Value* results) {
  std::memcpy(results, values, count * sizeof(Value));
}

struct Half {
  uint16_t bits;
};

struct Bfloat16 {
  uint16_t bits;
};

// Rounded to even; values are finite and no larger than a half can be. Of one too small for a normal half the addition
// rounds what remains.
MILLSTREAM_CLONES void Store(const float* __restrict values, int64_t count, Half* __restrict results) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = BitsOf(values[i]), magnitude = bits & 0x7FFFFFFF;
    const uint32_t normal = (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    const uint32_t small = BitsOf(FloatOf(magnitude) + 0.5f) - BitsOf(0.5f);
    const uint32_t rounded = magnitude < 113u << 23 ? small : normal;
    results[i].bits = static_cast<uint16_t>((bits >> 16 & 0x8000) | rounded);
  }
}

MILLSTREAM_CLONES void Store(const float* __restrict values, int64_t count, Bfloat16* __restrict results) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = BitsOf(values[i]);
    results[i].bits = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
}

// Laying the numbers out. A group is as many values as a block gives.

template <typename Value>
constexpr int kGroup = kBlockBytes / sizeof(Value);

// Lanes of the widest vectors: loops over a multiple of it have no remainder.
int WholeVectors(int blocks) { return (blocks + 15) / 16 * 16; }

// Fills `results` from the groups of `draw(first group, groups, values)`, which may write a whole batch of values.
template <typename Value, typename Result, typename Function>
void Fill(int64_t count, void* results, const Function& draw) {
  auto* out = static_cast<Result*>(results);
  constexpr int64_t group = kGroup<Value>;
  ParallelFor((count + group - 1) / group, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) Value values[kBatch * group];
    for (int64_t first = begin; first < end; first += kBatch) {
      const int64_t groups = std::min<int64_t>(kBatch, end - first);
      draw(first, static_cast<int>(groups), values);
      Store(values, std::min(groups * group, count - first * group), out + first * group);
    }
  });
}

// Numbers that need one block a group: `become(words, blocks, values)`.
template <typename Value, typename Result, typename Function>
void FillInOrder(const Stream& stream, int64_t count, void* results, const Function& become) {
  static const Offsets next(1);
  Fill<Value, Result>(count, results, [&](int64_t first, int groups, Value* values) {
    Words words;
    Draw(stream.From(first), next.of, WholeVectors(groups), &words);
    become(words, WholeVectors(groups), values);
  });
}

// Moves what is below the cut of a group's `drawn` values behind the `count` that it has; returns how many it has then.
template <typename Value>
int Keep(const Value* drawn, Value* kept, int count) {
  for (int lane = 0; lane < kGroup<Value> && count < kGroup<Value>; ++lane) {
    const Value value = drawn[lane];
    kept[count] = value;
    count += std::abs(value) < kCut;
  }
  return count;
}

// Groups that each have blocks of their own, and take of them until they are full.
template <typename Value, typename Function>
void DrawTruncated(const Stream& stream, int groups, const Function& become, Value* values) {
  constexpr int size = kGroup<Value>;
  Offsets offsets(kBlocksPerElement * size);
  alignas(64) Value more[kBatch * size];
  int group[kBatch], count[kBatch] = {};
  std::iota(group, group + kBatch, 0);
  Value* drawn = values;
  while (groups) {
    Words words;
    Draw(stream, offsets.of, WholeVectors(groups), &words);
    become(words, WholeVectors(groups), drawn);
    int lacking = 0;
    for (int i = 0; i < groups; ++i) {
      count[lacking] = Keep(drawn + i * size, values + group[i] * size, count[i]);
      group[lacking] = group[i];
      offsets.of[lacking] = offsets.of[i] + 1;
      lacking += count[lacking] < size;
    }
    groups = lacking;
    drawn = more;
  }
}

template <typename Value, typename Result, typename Function>
void FillTruncated(const Stream& stream, int64_t count, void* results, const Function& become) {
  Fill<Value, Result>(count, results, [&](int64_t first, int groups, Value* values) {
    DrawTruncated(stream.From(first * kBlocksPerElement * kGroup<Value>), groups, become, values);
  });
}

// What a distribution of a type is.

template <typename Result>
void FillNormals(Distribution distribution, const Stream& stream, int64_t count, void* results) {
  using Value = std::conditional_t<std::is_same_v<Result, double>, double, float>;
  const auto become = [](const Words& words, int blocks, Value* values) { ToNormals(words, blocks, values); };
  if (distribution == kNormal) {
    FillInOrder<Value, Result>(stream, count, results, become);
  } else {
    FillTruncated<Value, Result>(stream, count, results, become);
  }
}

template <typename Result>
void FillFloats(Distribution distribution, const Stream& stream, int bits, int64_t count, void* results) {
  if (distribution != kUniform) return FillNormals<Result>(distribution, stream, count, results);
  FillInOrder<float, Result>(stream, count, results, [bits](const Words& words, int blocks, float* values) {
    Uniforms(words, blocks, bits, values);
  });
}

void FillDoubles(Distribution distribution, const Stream& stream, int64_t count, void* results) {
  if (distribution != kUniform) return FillNormals<double>(distribution, stream, count, results);
  FillInOrder<double, double>(stream, count, results, [](const Words& words, int blocks, double* values) {
    Uniforms(words, blocks, values);
  });
}

template <typename Integer>
void FillIntegers(const Stream& stream, uint64_t low, uint64_t range, int64_t count, void* results) {
  const auto first = static_cast<Integer>(low), number = static_cast<Integer>(range);
  FillInOrder<Integer, Integer>(stream, count, results, [=](const Words& words, int blocks, Integer* values) {
    Integers(words, blocks, first, number, values);
  });
}

// Fills `results` with `count` numbers. `parameters`: the stream's key and counter (low, high), and for kUniformInt the
// lowest number and how many there are. False where the distribution has no numbers of the type.
bool FillRandom(Distribution distribution, Type type, const uint64_t* parameters, int64_t count, void* results) {
  const Stream stream{parameters[0], parameters[1], parameters[2]};
  const bool integers = distribution == kFullInt || distribution == kUniformInt;
  if (integers != (type == kInt32 || type == kInt64)) return false;
  const uint64_t low = distribution == kUniformInt ? parameters[3] : 0;
  const uint64_t range = distribution == kUniformInt ? parameters[4] : 0;
  switch (type) {
    case kHalf:
      FillFloats<Half>(distribution, stream, 10, count, results);
      return true;
    case kBfloat16:
      FillFloats<Bfloat16>(distribution, stream, 7, count, results);
      return true;
    case kFloat:
      FillFloats<float>(distribution, stream, 23, count, results);
      return true;
    case kDouble:
      FillDoubles(distribution, stream, count, results);
      return true;
    case kInt32:
      FillIntegers<uint32_t>(stream, low, range, count, results);
      return true;
    case kInt64:
      FillIntegers<uint64_t>(stream, low, range, count, results);
      return true;
    default:
      return false;
  }
}

Type TypeOf(ffi::DataType type) {
  switch (type) {
    case ffi::DataType::F16:
      return kHalf;
    case ffi::DataType::BF16:
      return kBfloat16;
    case ffi::DataType::F32:
      return kFloat;
    case ffi::DataType::F64:
      return kDouble;
    case ffi::DataType::S32:
    case ffi::DataType::U32:
      return kInt32;
    case ffi::DataType::S64:
    case ffi::DataType::U64:
      return kInt64;
    default:
      return kNoType;
  }
}

// Threads started for one draw: where XLA does not call, its threads are not there.
class OwnThreads : public Helpers {
 public:
  ~OwnThreads() override {
    for (std::thread& thread : threads_) thread.join();
  }
  int Count() const override { return millstream_threads(); }
  void Schedule(std::function<void()> task) const override { threads_.emplace_back(std::move(task)); }

 private:
  mutable std::vector<std::thread> threads_;
};

bool IsDistribution(int64_t number) { return number >= kUniform && number <= kUniformInt; }

ffi::Error Random(ffi::Buffer<ffi::DataType::U64> parameters, ffi::Result<ffi::AnyBuffer> results,
                  int64_t distribution) {
  constexpr char what[] = "Random numbers";
  return Guarded(what, [&] {
    const size_t wanted = distribution == kUniformInt ? 5 : 3;
    if (!IsDistribution(distribution) || parameters.element_count() != wanted) return Misfit(what);
    const bool filled =
        FillRandom(static_cast<Distribution>(distribution), TypeOf(results->element_type()), parameters.typed_data(),
                   static_cast<int64_t>(results->element_count()), results->untyped_data());
    return filled ? ffi::Error::Success() : Misfit(what);
  });
}

}  // namespace

MILLSTREAM_HANDLER(
    millstream_random, Random,
    ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::DataType::U64>>().Ret<ffi::AnyBuffer>().Attr<int64_t>("distribution"));

}  // namespace millstream

// For Python, which has numbers drawn without XLA too; see FillRandom.
extern "C" MILLSTREAM_EXPORT bool millstream_fill_random(int64_t distribution, int64_t type, const uint64_t* parameters,
                                                         int64_t count, void* results) {
  using namespace millstream;
  if (!IsDistribution(distribution) || count < 0) return false;
  const OwnThreads threads;
  const WithHelpers helpers(&threads);
  try {
    return FillRandom(static_cast<Distribution>(distribution), static_cast<Type>(type), parameters, count, results);
  } catch (...) {  // no memory
    return false;
  }
}
