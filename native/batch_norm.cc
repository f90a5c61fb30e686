// Batch normalisation (Ioffe and Szegedy 2015), forwards and backwards, with what often follows it in a network: an
// image added, and the rectified linear unit.
//
// An image is worked on in blocks that do not depend on the number of threads. What a block finds out of its channels
// is put together in the order of the blocks, so that results do not depend on that number either.
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "native/buffers.h"
#include "native/threads.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only

namespace millstream {
namespace {

enum Activation : int64_t { kLinear, kRelu };

constexpr int64_t kBlock = 8192;      // numbers in a block: a second pass over it finds it in the cache
constexpr int64_t kLeastRows = 32;    // of a block with many channels; 32 rows of any width fill whole vectors
constexpr int64_t kGrain = 4 * kBlock;  // the least numbers of a part
constexpr int64_t kTile = 4;          // vectors summed side by side, which hides how long an addition takes
constexpr int64_t kSmallPlane = 256;  // numbers for which a tile would leave too many over

// A piece of an image: `rows` rows, the first channel of which is `channel`, out of each of several planes.
struct Block {
  int64_t begin;
  int64_t rows;
  int64_t planes;
  int64_t channel;
};

// An image as planes of rows: one plane with all channels in a row, or, with the channels first, planes of one channel.
struct Image {
  int64_t channels;
  int64_t width;   // channels of a row
  int64_t planes;  // with the same channels
  int64_t rows;    // of a plane

  Image(int64_t batch, int64_t area, int64_t channels, bool channels_first) : channels(channels) {
    const bool one_plane = !channels_first || channels == 1 || area == 1;
    width = one_plane ? channels : 1;
    planes = one_plane ? 1 : batch;
    rows = one_plane ? batch * area : area;
  }

  int64_t numbers_of_channel() const { return planes * rows; }
  int64_t size() const { return channels * numbers_of_channel(); }
  // From a plane to the next with the same channels.
  int64_t step() const { return channels * rows; }

  // After how many numbers the channels stand in the same places of the vectors again.
  int64_t period() const {
    const bool in_tiles = width < kTile * kLanes && rows * width >= kSmallPlane;
    return std::lcm(width, in_tiles ? kTile * kLanes : kLanes);
  }

  int64_t rows_of_block() const { return std::max<int64_t>(kBlock / width / kLeastRows, 1) * kLeastRows; }
  int64_t planes_of_block() const { return std::max<int64_t>(kBlock / (rows * width), 1); }
  int64_t blocks_of_plane() const { return (rows + rows_of_block() - 1) / rows_of_block(); }
  int64_t blocks_of_channel() const { return (planes + planes_of_block() - 1) / planes_of_block() * blocks_of_plane(); }
  int64_t blocks() const { return channels / width * blocks_of_channel(); }

  Block block(int64_t index) const {
    const int64_t channel = index / blocks_of_channel() * width;
    const int64_t plane = index % blocks_of_channel() / blocks_of_plane() * planes_of_block();
    const int64_t row = index % blocks_of_plane() * rows_of_block();
    return {plane * step() + channel * rows + row * width, std::min(rows_of_block(), rows - row),
            std::min(planes_of_block(), planes - plane), channel};
  }
};

// --- Loops over a block ---------------------------------------------------------------------------------------

// The numbers of a block, and how their channels repeat.
struct Extent {
  int64_t numbers;  // of a plane
  int64_t planes;
  int64_t step;  // from a plane to the next
  int64_t width;
  int64_t period;

  int64_t rows() const { return planes * (numbers / width); }
  int64_t whole() const { return numbers - numbers % period; }
  int64_t end() const { return planes * step; }
};

// Calls term(Of<V>, i, lane, a, b) for the numbers i of a tile, to add to the two sums of the lane.
template <int64_t kVectors, typename Term>
MILLSTREAM_INLINE void SumTile(const Extent& e, int64_t lane, float* first, float* second, const Term& term) {
  Floats a[kVectors] = {}, b[kVectors] = {};
  const int64_t whole = e.whole();
  for (int64_t plane = 0; plane < e.end(); plane += e.step) {
    for (int64_t i = lane; i < whole; i += e.period) {
      for (int64_t v = 0; v < kVectors; ++v) term(Of<Floats>{}, plane + i + v * kLanes, lane + v * kLanes, a[v], b[v]);
    }
  }
  for (int64_t v = 0; v < kVectors; ++v) {
    Store(first + lane + v * kLanes, a[v]);
    Store(second + lane + v * kLanes, b[v]);
  }
}

// Adds up the lanes of each channel, in the first of them.
MILLSTREAM_INLINE void Fold(const Extent& e, float* lanes) {
  for (int64_t start = e.width; start < e.period; start += e.width) {
    for (int64_t c = 0; c < e.width; ++c) lanes[c] += lanes[start + c];
  }
}

// Gives the numbers that stand first, one a channel, to all lanes of the channel.
void Spread(const Extent& e, float* lanes) {
  for (int64_t start = e.width; start < e.period; start += e.width) std::copy(lanes, lanes + e.width, lanes + start);
}

void Spread(const Extent& e, const float* channels, float* lanes) {
  std::copy(channels, channels + e.width, lanes);
  Spread(e, lanes);
}

// Two sums of each channel, which come to stand first in `first` and `second`; these have room for all lanes.
template <typename Term>
MILLSTREAM_INLINE void Sum(const Extent& e, float* first, float* second, const Term& term) {
  int64_t lane = 0;
  for (; lane + kTile * kLanes <= e.period; lane += kTile * kLanes) SumTile<kTile>(e, lane, first, second, term);
  for (; lane < e.period; lane += kLanes) SumTile<1>(e, lane, first, second, term);
  const int64_t whole = e.whole(), left = e.numbers - whole;
  for (int64_t plane = 0; plane < e.end(); plane += e.step) {
    for (int64_t i = 0; i < left; ++i) term(Of<float>{}, plane + whole + i, i, first[i], second[i]);
  }
  Fold(e, first);
  Fold(e, second);
}

// Calls action(Of<V>, i, lane) for all numbers.
template <typename Action>
MILLSTREAM_INLINE void ForEach(const Extent& e, const Action& action) {
  const int64_t whole = e.whole();
  for (int64_t plane = 0; plane < e.end(); plane += e.step) {
    for (int64_t i = 0; i < whole; i += e.period) {
      for (int64_t lane = 0; lane < e.period; lane += kLanes) action(Of<Floats>{}, plane + i + lane, lane);
    }
    for (int64_t i = whole; i < e.numbers; ++i) action(Of<float>{}, plane + i, i - whole);
  }
}

// The mean of each channel, and the sum of the squared distances from it. `lanes` has room for three numbers a lane.
template <typename T>
MILLSTREAM_CLONES void Moments(const Extent& e, const T* x, float* lanes, double* means, double* squares) {
  float *first = lanes, *second = lanes + e.period, *near = lanes + 2 * e.period;
  Sum(e, first, second, [=](auto of, int64_t i, int64_t, auto& a, auto&) __attribute__((always_inline)) {
    a += Load<typename decltype(of)::Value>(x + i);
  });
  const double rows = e.rows();
  for (int64_t c = 0; c < e.width; ++c) near[c] = first[c] / rows;
  Spread(e, near);
  Sum(e, first, second, [=](auto of, int64_t i, int64_t lane, auto& a, auto& b) __attribute__((always_inline)) {
    using V = typename decltype(of)::Value;
    const V distance = Load<V>(x + i) - Load<V>(near + lane);
    a += distance * distance;
    b += distance;
  });
  for (int64_t c = 0; c < e.width; ++c) {  // `near` was rounded
    means[c] = near[c] + second[c] / rows;
    squares[c] = first[c] - double{second[c]} * second[c] / rows;
  }
}

// y = (x - mean) * factor + offset, with `side` added where there is one; the vectors are spread over the lanes.
template <typename T>
MILLSTREAM_CLONES void Normalize(const Extent& e, const T* x, const T* side, const float* mean, const float* factor,
                                 const float* offset, bool relu, T* y) {
  ForEach(e, [=](auto of, int64_t i, int64_t lane) __attribute__((always_inline)) {
    using V = typename decltype(of)::Value;
    V value = (Load<V>(x + i) - Load<V>(mean + lane)) * Load<V>(factor + lane) + Load<V>(offset + lane);
    if (side) value += Load<V>(side + i);
    if (relu) value = V{} > value ? V{} : value;  // in this order a NaN stays one
    Store(y + i, value);
  });
}

// What the gradient is of a number, where `y` is the relu's result.
template <typename V, typename T>
MILLSTREAM_INLINE V Masked(const T* dy, const T* y, int64_t i) {
  const V gradient = Load<V>(dy + i);
  if (y == nullptr) return gradient;
  return Load<V>(y + i) > V{} ? gradient : V{};
}

// The sums of the gradients, and of their products with the distances from the mean. `lanes` has room for two numbers a
// lane.
template <typename T>
MILLSTREAM_CLONES void SumGradients(const Extent& e, const T* dy, const T* x, const T* y, const float* mean, T* d_side,
                                    float* lanes, double* sums, double* products) {
  float *first = lanes, *second = lanes + e.period;
  Sum(e, first, second, [=](auto of, int64_t i, int64_t lane, auto& a, auto& b) __attribute__((always_inline)) {
    using V = typename decltype(of)::Value;
    const V gradient = Masked<V>(dy, y, i);
    if (d_side) Store(d_side + i, gradient);
    a += gradient;
    b += gradient * (Load<V>(x + i) - Load<V>(mean + lane));
  });
  std::copy(first, first + e.width, sums);
  std::copy(second, second + e.width, products);
}

// dx = (dy - shift - (x - mean) * slope) * factor.
template <typename T>
MILLSTREAM_CLONES void GradientOfImage(const Extent& e, const T* dy, const T* x, const T* y, const float* mean,
                                       const float* shift, const float* slope, const float* factor, T* dx) {
  ForEach(e, [=](auto of, int64_t i, int64_t lane) __attribute__((always_inline)) {
    using V = typename decltype(of)::Value;
    const V centered = Load<V>(x + i) - Load<V>(mean + lane);
    const V rest = Masked<V>(dy, y, i) - Load<V>(shift + lane) - centered * Load<V>(slope + lane);
    Store(dx + i, rest * Load<V>(factor + lane));
  });
}

// --- Parts of the work ----------------------------------------------------------------------------------------

// What is done of an image at a time.
struct Part {
  const Image& image;
  int64_t index, count;
  float* lanes;  // memory to work in

  int64_t first_block() const { return image.blocks() * index / count; }
  int64_t last_block() const { return image.blocks() * (index + 1) / count; }

  Extent extent(const Block& block) const {
    return {block.rows * image.width, block.planes, image.step(), image.width, image.period()};
  }
};

constexpr int64_t kMostVectors = 4;  // that a part spreads over its lanes, or sums in them

// Calls work(part) for all parts of an image.
template <typename Work>
void ForParts(const Image& image, const Work& work) {
  const int64_t parts = std::min(PartsOf(image.size(), kGrain), image.blocks());
  RunParts(parts, [&](int64_t index) {
    auto* lanes = static_cast<float*>(Scratch(Use::kPart, kMostVectors * image.period() * sizeof(float)));
    work(Part{image, index, parts, lanes});
  });
}

// Vectors of one number a channel, spread over lanes as the block at hand needs them.
class Spreader {
 public:
  using Vectors = std::array<const float*, kMostVectors>;  // those that are not needed are null

  Spreader(const Part& part, const Vectors& vectors) : part_(part), vectors_(vectors) {}

  void MoveTo(const Block& block) {
    if (block.channel == channel_) return;
    channel_ = block.channel;
    for (size_t k = 0; k < kMostVectors && vectors_[k]; ++k) {
      Spread(part_.extent(block), vectors_[k] + channel_, lanes(k));
    }
  }

  const float* operator[](size_t k) const { return lanes(k); }

 private:
  float* lanes(size_t k) const { return part_.lanes + k * part_.image.period(); }

  const Part& part_;
  Vectors vectors_;
  int64_t channel_ = -1;
};

// Two numbers for each channel of each block.
class Partials {
 public:
  explicit Partials(const Image& image) : image_(image), numbers_(new double[2 * image.blocks() * image.width]) {}

  double* first(int64_t block) const { return numbers_.get() + 2 * block * image_.width; }
  double* second(int64_t block) const { return first(block) + image_.width; }

  // Calls visit(rows, channel, first, second) for all channels of all blocks, in their order.
  template <typename Visit>
  void Merge(const Visit& visit) const {
    for (int64_t b = 0; b < image_.blocks(); ++b) {
      const Block block = image_.block(b);
      const double *one = first(b), *other = second(b);
      for (int64_t c = 0; c < image_.width; ++c) visit(block.planes * block.rows, block.channel + c, one[c], other[c]);
    }
  }

 private:
  const Image& image_;
  std::unique_ptr<double[]> numbers_;
};

// Two sums for each channel.
struct Sums {
  std::vector<double> first, second;

  explicit Sums(const Image& image) : first(image.channels), second(image.channels) {}
};

// --- Forwards -------------------------------------------------------------------------------------------------

template <typename T>
struct Forward {
  Image image;
  const T* x;
  const float *scale, *offset;
  const T* side;  // an image that is added, or null
  float epsilon;
  bool relu;
  T* y;

  void Apply(const Part& part, const float* mean, const float* factor) const {
    Spreader vectors(part, {mean, factor, offset});
    // Backwards: the blocks that were seen last may still be in a cache.
    for (int64_t b = part.last_block() - 1; b >= part.first_block(); --b) {
      const Block block = image.block(b);
      vectors.MoveTo(block);
      Normalize<T>(part.extent(block), x + block.begin, side ? side + block.begin : nullptr, vectors[0], vectors[1],
                   vectors[2], relu, y + block.begin);
    }
  }

  float Factor(int64_t channel, float variance) const { return scale[channel] / std::sqrt(variance + epsilon); }

  void Infer(const float* mean, const float* variance) const {
    std::vector<float> factor(image.channels);
    for (int64_t c = 0; c < image.channels; ++c) factor[c] = Factor(c, variance[c]);
    ForParts(image, [&](const Part& part) { Apply(part, mean, factor.data()); });
  }

  void Train(float* mean, float* unbiased, float* variance) const {
    Partials partials(image);
    Sums sums(image);
    std::vector<float> factor(image.channels);
    ForParts(image, [&](const Part& part) {
      for (int64_t b = part.first_block(); b < part.last_block(); ++b) {
        const Block block = image.block(b);
        Moments<T>(part.extent(block), x + block.begin, part.lanes, partials.first(b), partials.second(b));
      }
    });
    MergeMoments(partials, sums, mean, unbiased, variance);
    for (int64_t c = 0; c < image.channels; ++c) factor[c] = Factor(c, variance[c]);
    ForParts(image, [&](const Part& part) { Apply(part, mean, factor.data()); });
  }

  // Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
  void MergeMoments(const Partials& partials, Sums& sums, float* mean, float* unbiased, float* variance) const {
    const double count = image.numbers_of_channel();
    std::vector<double>&means = sums.first, &squares = sums.second;
    partials.Merge([&](int64_t rows, int64_t c, double m, double) { means[c] += rows * m / count; });
    partials.Merge([&](int64_t rows, int64_t c, double m, double s) {
      squares[c] += s + rows * (m - means[c]) * (m - means[c]);
    });
    for (int64_t c = 0; c < image.channels; ++c) {
      mean[c] = means[c];
      variance[c] = squares[c] / count;
      unbiased[c] = squares[c] / std::max(count - 1, 1.);
    }
  }
};

// --- Backwards ------------------------------------------------------------------------------------------------

template <typename T>
struct Backward {
  Image image;
  const T *dy, *x;
  const float *scale, *mean, *variance;
  const T* y;  // the relu's result, or null
  float epsilon;
  bool is_training;
  T* dx;
  float *d_scale, *d_offset;
  T* d_side;  // or null

  void Run() const {
    Partials partials(image);
    Sums sums(image);
    std::vector<float> shift(image.channels), slope(image.channels), factor(image.channels);
    ForParts(image, [&](const Part& part) { SumUp(part, partials); });
    MergeSums(partials, sums, shift.data(), slope.data(), factor.data());
    ForParts(image, [&](const Part& part) { Apply(part, shift.data(), slope.data(), factor.data()); });
  }

  void MergeSums(const Partials& partials, Sums& merged, float* shift, float* slope, float* factor) const {
    const double count = image.numbers_of_channel();
    std::vector<double>&sums = merged.first, &products = merged.second;
    partials.Merge([&](int64_t, int64_t c, double sum, double product) {
      sums[c] += sum;
      products[c] += product;
    });
    for (int64_t c = 0; c < image.channels; ++c) {
      const double inverse = 1 / std::sqrt(double{variance[c]} + epsilon);
      d_offset[c] = sums[c];
      d_scale[c] = products[c] * inverse;
      factor[c] = scale[c] * inverse;
      if (is_training) {  // mean and variance depend on x too
        shift[c] = sums[c] / count;
        slope[c] = products[c] * inverse * inverse / count;
      }
    }
  }

  void SumUp(const Part& part, const Partials& partials) const {
    const int64_t period = image.period();
    int64_t channel = -1;
    float* means = part.lanes + 2 * period;
    for (int64_t b = part.first_block(); b < part.last_block(); ++b) {
      const Block block = image.block(b);
      if (block.channel != channel) Spread(part.extent(block), mean + block.channel, means);
      channel = block.channel;
      SumGradients<T>(part.extent(block), dy + block.begin, x + block.begin, y ? y + block.begin : nullptr, means,
                      d_side ? d_side + block.begin : nullptr, part.lanes, partials.first(b), partials.second(b));
    }
  }

  void Apply(const Part& part, const float* shift, const float* slope, const float* factor) const {
    const T* gradient = d_side ? d_side : dy;  // the former is masked already
    const T* mask = d_side ? nullptr : y;
    Spreader vectors(part, {mean, shift, slope, factor});
    for (int64_t b = part.last_block() - 1; b >= part.first_block(); --b) {
      const Block block = image.block(b);
      vectors.MoveTo(block);
      GradientOfImage<T>(part.extent(block), gradient + block.begin, x + block.begin,
                         mask ? mask + block.begin : nullptr, vectors[0], vectors[1], vectors[2], vectors[3],
                         dx + block.begin);
    }
  }
};

// --- Calls ----------------------------------------------------------------------------------------------------

using Vector = ffi::BufferR1<ffi::F32>;
using ToVector = ffi::Result<Vector>;

std::optional<Image> ImageOf(const ffi::AnyBuffer& x, bool channels_first) {
  const auto dims = x.dimensions();
  if (dims.size() < 2 || !HasNumbers(x)) return std::nullopt;
  const int64_t channels = dims[channels_first ? 1 : dims.size() - 1];
  const int64_t numbers = x.element_count();
  return Image(dims[0], numbers / dims[0] / channels, channels, channels_first);
}

bool HaveOneNumberAChannel(const Image& image, std::initializer_list<const Vector*> vectors) {
  return std::all_of(vectors.begin(), vectors.end(), [&](const Vector* vector) {
    return vector->element_count() == static_cast<size_t>(image.channels);
  });
}

// An image that a call may have after its other operands or results; null where it has none.
struct Further {
  void* data = nullptr;
  bool fits = true;

  Further(ffi::RemainingArgs rest, const ffi::AnyBuffer& x) {
    if (rest.size() == 0) return;
    const auto found = rest.get<ffi::AnyBuffer>(0);
    fits = rest.size() == 1 && found.has_value() && Alike(*found, x);
    if (fits) data = found->untyped_data();
  }

  Further(ffi::RemainingRets rest, const ffi::AnyBuffer& x) {
    if (rest.size() == 0) return;
    auto found = rest.get<ffi::AnyBuffer>(0);
    fits = rest.size() == 1 && found.has_value() && Alike(**found, x);
    if (fits) data = (*found)->untyped_data();
  }
};

template <typename Run>
ffi::Error Typed(const char* what, const ffi::AnyBuffer& x, const Run& run) {
  return Guarded(what, [&] {
    WithType(x, run);
    return ffi::Error::Success();
  });
}

ffi::Error Training(ffi::AnyBuffer x, Vector scale, Vector offset, ffi::RemainingArgs rest,
                    ffi::Result<ffi::AnyBuffer> y, ToVector mean, ToVector unbiased, ToVector variance, float epsilon,
                    bool channels_first, int64_t activation) {
  const char* what = "Batch normalisation";
  const auto image = ImageOf(x, channels_first);
  const Further side(rest, x);
  if (!image || !side.fits || !Alike(x, *y)) return Misfit(what);
  if (!HaveOneNumberAChannel(*image, {&scale, &offset, &*mean, &*unbiased, &*variance})) return Misfit(what);
  return Typed(what, x, [&](auto number) {
    using T = decltype(number);
    Forward<T>{*image, Data<T>(x), scale.typed_data(), offset.typed_data(), static_cast<const T*>(side.data), epsilon,
               activation == kRelu, Data<T>(*y)}
        .Train(mean->typed_data(), unbiased->typed_data(), variance->typed_data());
  });
}

ffi::Error Inference(ffi::AnyBuffer x, Vector scale, Vector offset, Vector mean, Vector variance,
                     ffi::RemainingArgs rest, ffi::Result<ffi::AnyBuffer> y, float epsilon, bool channels_first,
                     int64_t activation) {
  const char* what = "Batch normalisation with given moments";
  const auto image = ImageOf(x, channels_first);
  const Further side(rest, x);
  if (!image || !side.fits || !Alike(x, *y)) return Misfit(what);
  if (!HaveOneNumberAChannel(*image, {&scale, &offset, &mean, &variance})) return Misfit(what);
  return Typed(what, x, [&](auto number) {
    using T = decltype(number);
    Forward<T>{*image, Data<T>(x), scale.typed_data(), offset.typed_data(), static_cast<const T*>(side.data), epsilon,
               activation == kRelu, Data<T>(*y)}
        .Infer(mean.typed_data(), variance.typed_data());
  });
}

ffi::Error Gradient(ffi::AnyBuffer dy, ffi::AnyBuffer x, Vector scale, Vector mean, Vector variance,
                    ffi::RemainingArgs rest, ffi::Result<ffi::AnyBuffer> dx, ToVector d_scale, ToVector d_offset,
                    ffi::RemainingRets more, float epsilon, bool channels_first, bool is_training) {
  const char* what = "Gradient of batch normalisation";
  const auto image = ImageOf(x, channels_first);
  const Further y(rest, x), d_side(more, x);
  if (!image || !y.fits || !d_side.fits || !Alike(x, dy) || !Alike(x, *dx)) return Misfit(what);
  if (!HaveOneNumberAChannel(*image, {&scale, &mean, &variance, &*d_scale, &*d_offset})) return Misfit(what);
  return Typed(what, x, [&](auto number) {
    using T = decltype(number);
    Backward<T>{*image, Data<T>(dy), Data<T>(x), scale.typed_data(), mean.typed_data(),
                variance.typed_data(), static_cast<const T*>(y.data), epsilon, is_training, Data<T>(*dx),
                d_scale->typed_data(), d_offset->typed_data(), static_cast<T*>(d_side.data)}
        .Run();
  });
}

}  // namespace

MILLSTREAM_HANDLER(millstream_batch_norm, Training,
                   ffi::Ffi::Bind()
                       .Arg<ffi::AnyBuffer>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .RemainingArgs()
                       .Ret<ffi::AnyBuffer>()
                       .Ret<Vector>()
                       .Ret<Vector>()
                       .Ret<Vector>()
                       .Attr<float>("epsilon")
                       .Attr<bool>("channels_first")
                       .Attr<int64_t>("activation"));
MILLSTREAM_HANDLER(millstream_batch_norm_inference, Inference,
                   ffi::Ffi::Bind()
                       .Arg<ffi::AnyBuffer>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .RemainingArgs()
                       .Ret<ffi::AnyBuffer>()
                       .Attr<float>("epsilon")
                       .Attr<bool>("channels_first")
                       .Attr<int64_t>("activation"));
MILLSTREAM_HANDLER(millstream_batch_norm_gradient, Gradient,
                   ffi::Ffi::Bind()
                       .Arg<ffi::AnyBuffer>()
                       .Arg<ffi::AnyBuffer>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .Arg<Vector>()
                       .RemainingArgs()
                       .Ret<ffi::AnyBuffer>()
                       .Ret<Vector>()
                       .Ret<Vector>()
                       .RemainingRets()
                       .Attr<float>("epsilon")
                       .Attr<bool>("channels_first")
                       .Attr<bool>("is_training"));

}  // namespace millstream
