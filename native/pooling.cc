// Max and average pooling over one to three spatial dimensions, and their gradients.
//
// Images are [batch, *spatial, channels] or [batch, channels, *spatial]. The loops work on eight channels at once, in
// float32. Where images have that many next to each other they are used as they are; all else is copied to tiles
// [points, 8] of eight channels, of one image or of several.
#include <algorithm>
#include <array>
#include <optional>

#include "native/ffi.h"
#include "native/threads.h"
#include "native/vectors.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // vectors are passed between inlined functions only

// A function that is compiled for several processors with all that it calls.
#define MILLSTREAM_FLAT_CLONES MILLSTREAM_CLONES __attribute__((flatten))

namespace millstream {
namespace {

constexpr int64_t kLeastWork = 1 << 14;  // numbers for which another thread is worth its while

using Places = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

enum class Kind { kMax, kAverage, kMaxGradient, kMaxReluGradient, kAverageGradient };

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// One spatial dimension.
struct Axis {
  int64_t size = 1, window = 1, stride = 1, before = 0, count = 1;

  // What is inside of the image of a window.
  Range Window(int64_t place) const {
    const int64_t start = place * stride - before;
    return {std::max<int64_t>(start, 0), std::min(start + window, size)};
  }

  // Whether each point is in exactly one window.
  bool IsTiled() const { return stride == window && count * stride - before >= size; }
};

// As many of them as there may be; those that an image lacks have the size 1.
using Axes = std::array<Axis, 3>;

// --- The loops over one image or tile -------------------------------------------------------------------------------

// What the loops go over: eight channels, or a multiple of that, of one image.
template <typename T>
struct Image {
  const T* images;  // [points]
  const T* grads;   // [windows]
  T* results;       // [points] or [windows]
  int64_t step;     // from a point, or window, to the next
  int64_t blocks;   // of kLanes channels
  const Axes& axes;
  int64_t* offsets;  // memory for the places of a window's points
};

// Sets where the points of a window of this extent are from its first one on. Returns how many there are.
template <typename T>
inline int64_t SetOffsets(const Image<T>& image, const std::array<int64_t, 3>& extent) {
  int64_t taps = 0;
  for (int64_t i = 0; i < extent[0]; ++i) {
    for (int64_t j = 0; j < extent[1]; ++j) {
      const int64_t row = (i * image.axes[1].size + j) * image.axes[2].size;
      for (int64_t k = 0; k < extent[2]; ++k) image.offsets[taps++] = (row + k) * image.step;
    }
  }
  return taps;
}

// Calls visit(point, window, taps) for each window and block of channels, with where the window's first point is, where
// the window is, and how many points it has. Before the windows that end in a row it calls reach(the row after it).
template <typename T, typename Reach, typename Visit>
inline void Slide(const Image<T>& image, const Reach& reach, const Visit& visit) {
  const auto& [x, y, z] = image.axes;
  std::array<int64_t, 3> extent{};
  int64_t taps = 0, window = 0;
  for (int64_t i = 0; i < x.count; ++i) {
    const Range a = x.Window(i);
    reach(a.end);
    for (int64_t j = 0; j < y.count; ++j) {
      const Range b = y.Window(j);
      for (int64_t k = 0; k < z.count; ++k, window += image.step) {
        const Range c = z.Window(k);
        if (extent != std::array{a.size(), b.size(), c.size()}) {
          extent = {a.size(), b.size(), c.size()};
          taps = SetOffsets(image, extent);
        }
        const int64_t point = ((a.begin * y.size + b.begin) * z.size + c.begin) * image.step;
        for (int64_t block = 0; block < image.blocks * kLanes; block += kLanes) {
          visit(point + block, window + block, taps);
        }
      }
    }
  }
}

// A number that is not one wins for good.
template <typename T>
inline void Max(const Image<T>& image) {
  Slide(image, [](int64_t) {}, [&](int64_t point, int64_t window, int64_t taps) {
    const T* first = image.images + point;
    Floats best = Load<Floats>(first);
    for (int64_t tap = 1; tap < taps; ++tap) {
      const Floats next = Load<Floats>(first + image.offsets[tap]);
      best = next > best ? next : best;
      best = next != next ? next : best;
    }
    Store(image.results + window, best);
  });
}

template <typename T>
inline void Average(const Image<T>& image) {
  Slide(image, [](int64_t) {}, [&](int64_t point, int64_t window, int64_t taps) {
    const T* first = image.images + point;
    Floats sum = Load<Floats>(first);
    for (int64_t tap = 1; tap < taps; ++tap) sum += Load<Floats>(first + image.offsets[tap]);
    Store(image.results + window, sum / static_cast<float>(taps));
  });
}

// Calls spread(point, window, taps, add) for each window: add(offset, lanes) adds to a gradient.
template <bool tiled, typename T, typename Spread>
inline void SpreadOver(const Image<T>& image, const Spread& spread) {
  const int64_t row = image.axes[1].size * image.axes[2].size;
  int64_t cleared = 0;
  // Memory is cleared shortly before it is used, while it is near.
  const auto clear = [&](int64_t end) {
    for (; !tiled && cleared < end * row; ++cleared) {
      T* point = image.results + cleared * image.step;
      for (int64_t block = 0; block < image.blocks; ++block) Store(point + block * kLanes, Floats{});
    }
  };
  Slide(image, clear, [&](int64_t point, int64_t window, int64_t taps) {
    T* first = image.results + point;
    spread(point, window, taps, [&](int64_t offset, const Floats& lanes) {
      Store(first + offset, tiled ? lanes : Load<Floats>(first + offset) + lanes);
    });
  });
  clear(image.axes[0].size);
}

// The gradient goes to the first of the greatest numbers; with relu only where that is positive.
template <bool tiled, bool relu, typename T>
inline void MaxGradient(const Image<T>& image) {
  SpreadOver<tiled>(image, [&](int64_t point, int64_t window, int64_t taps, const auto& add) {
    const T* first = image.images + point;
    Floats best = Load<Floats>(first);
    Places place{};
    for (int64_t tap = 1; tap < taps; ++tap) {
      const Floats next = Load<Floats>(first + image.offsets[tap]);
      const Places keep = best >= next;
      best = keep ? best : next;
      place = keep ? place : Places{} + static_cast<int32_t>(tap);
    }
    Floats grad = Load<Floats>(image.grads + window);
    if (relu) grad = best > 0.f ? grad : Floats{};
    for (int64_t tap = 0; tap < taps; ++tap) {
      add(image.offsets[tap], place == static_cast<int32_t>(tap) ? grad : Floats{});
    }
  });
}

template <bool tiled, typename T>
inline void AverageGradient(const Image<T>& image) {
  SpreadOver<tiled>(image, [&](int64_t, int64_t window, int64_t taps, const auto& add) {
    const Floats share = Load<Floats>(image.grads + window) / static_cast<float>(taps);
    for (int64_t tap = 0; tap < taps; ++tap) add(image.offsets[tap], share);
  });
}

template <typename T>
MILLSTREAM_FLAT_CLONES void Run(Kind kind, bool tiled, const Image<T>& image) {
  switch (kind) {
    case Kind::kMax:
      return Max(image);
    case Kind::kAverage:
      return Average(image);
    case Kind::kMaxGradient:
      return tiled ? MaxGradient<true, false>(image) : MaxGradient<false, false>(image);
    case Kind::kMaxReluGradient:
      return tiled ? MaxGradient<true, true>(image) : MaxGradient<false, true>(image);
    case Kind::kAverageGradient:
      return tiled ? AverageGradient<true>(image) : AverageGradient<false>(image);
  }
}

// --- Tiles ----------------------------------------------------------------------------------------------------------

// Where the channels of a tile are in an array; there are `used` of them, what is beyond is in the tile only.
struct Lines {
  int64_t used;
  int64_t step;  // from a point to the next
  std::array<int64_t, kLanes> starts;

  bool AreNeighbours() const { return used == kLanes && starts[kLanes - 1] == starts[0] + kLanes - 1; }
};

template <typename T>
MILLSTREAM_FLAT_CLONES void CopyToTile(const T* from, const Lines& lines, int64_t points, float* tile) {
  const bool neighbours = lines.AreNeighbours();
  for (int64_t point = 0; point < points; ++point, from += lines.step, tile += kLanes) {
    if (neighbours) {
      Store(tile, Load<Floats>(from + lines.starts[0]));
    } else {
      for (int64_t lane = 0; lane < kLanes; ++lane) tile[lane] = Load<float>(from + lines.starts[lane]);
    }
  }
}

template <typename T>
MILLSTREAM_FLAT_CLONES void CopyFromTile(const float* tile, const Lines& lines, int64_t points, T* to) {
  const bool neighbours = lines.AreNeighbours();
  for (int64_t point = 0; point < points; ++point, to += lines.step, tile += kLanes) {
    if (neighbours) {
      Store(to + lines.starts[0], Load<Floats>(tile));
    } else {
      for (int64_t lane = 0; lane < lines.used; ++lane) Store(to + lines.starts[lane], tile[lane]);
    }
  }
}

// --- The whole batch ------------------------------------------------------------------------------------------------

// One call. Images or gradients are null where the kind has none.
struct Problem {
  Kind kind;
  bool bfloat16, channels_first;
  int64_t batch, channels;
  Axes axes;
  const void* images;
  const void* grads;
  void* results;

  int64_t points() const { return axes[0].size * axes[1].size * axes[2].size; }
  int64_t windows() const { return axes[0].count * axes[1].count * axes[2].count; }
  bool is_gradient() const { return kind != Kind::kMax && kind != Kind::kAverage; }
  int64_t results_of_channel() const { return is_gradient() ? points() : windows(); }
  bool tiled() const {
    return std::all_of(axes.begin(), axes.end(), [](const Axis& axis) { return axis.IsTiled(); });
  }
  // The most taps that a window has.
  int64_t taps() const {
    int64_t taps = 1;
    for (const Axis& axis : axes) taps *= std::min(axis.window, axis.size);
    return taps;
  }
  // How many channels of an image are used where they are.
  int64_t in_place() const {
    const bool rounds = bfloat16 && is_gradient() && !tiled();  // after each addition
    return channels_first || rounds ? 0 : channels / kLanes * kLanes;
  }

  // Eight of the channels that are copied, counted through the batch, in an array of images of so many points.
  Lines Copied(int64_t first, int64_t points) const {
    const int64_t copied = channels - in_place();
    Lines lines;
    lines.used = std::min(kLanes, batch * copied - first);
    lines.step = channels_first ? 1 : channels;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t line = first + std::min(lane, lines.used - 1);
      const int64_t channel = in_place() + line % copied;
      lines.starts[lane] = line / copied * points * channels + channel * (channels_first ? points : 1);
    }
    return lines;
  }
};

// Calls work(item) for all items.
template <typename Work>
void ForItems(int64_t items, int64_t numbers_of_item, const Work& work) {
  ParallelFor(items, kLeastWork / std::max<int64_t>(numbers_of_item, 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) work(item);
  });
}

template <typename T>
void PoolInPlace(const Problem& p) {
  const int64_t points = p.points(), windows = p.windows(), blocks = p.in_place() / kLanes;
  if (!blocks) return;
  // A few images are divided among the threads by their channels.
  const int64_t parts = p.batch >= 4 * ThreadCount() ? 1 : std::min<int64_t>(blocks, ThreadCount());
  ForItems(p.batch * parts, points * p.in_place() / parts, [&](int64_t item) {
    auto* offsets = static_cast<int64_t*>(Scratch(Use::kPart, p.taps() * sizeof(int64_t)));
    const int64_t first = item % parts * blocks / parts, end = (item % parts + 1) * blocks / parts;
    const auto start = [&](int64_t size) { return item / parts * size * p.channels + first * kLanes; };
    Run<T>(p.kind, p.tiled(),
           {p.images ? static_cast<const T*>(p.images) + start(points) : nullptr,
            p.grads ? static_cast<const T*>(p.grads) + start(windows) : nullptr,
            static_cast<T*>(p.results) + start(p.results_of_channel()), p.channels, end - first, p.axes,
            offsets});
  });
}

template <typename T>
void PoolInTiles(const Problem& p) {
  const int64_t points = p.points(), windows = p.windows(), results = p.results_of_channel();
  const int64_t lines = p.batch * (p.channels - p.in_place());
  if (!lines) return;
  const int64_t size = points + windows + results;
  ForItems((lines + kLanes - 1) / kLanes, points * kLanes, [&](int64_t item) {
    auto* images = static_cast<float*>(
        Scratch(Use::kPart, size * sizeof(Floats) + p.taps() * sizeof(int64_t)));
    float* grads = images + points * kLanes;
    float* made = grads + windows * kLanes;
    const int64_t first = item * kLanes;
    if (p.images) CopyToTile(static_cast<const T*>(p.images), p.Copied(first, points), points, images);
    if (p.grads) CopyToTile(static_cast<const T*>(p.grads), p.Copied(first, windows), windows, grads);
    auto* offsets = reinterpret_cast<int64_t*>(images + size * kLanes);
    Run<float>(p.kind, p.tiled(), {images, grads, made, kLanes, 1, p.axes, offsets});
    CopyFromTile(made, p.Copied(first, results), results, static_cast<T*>(p.results));
  });
}

template <typename T>
void PoolBatch(const Problem& p) {
  PoolInPlace<T>(p);
  PoolInTiles<T>(p);
}

// --- The border -----------------------------------------------------------------------------------------------------

// The attributes of a call.
struct Window {
  Numbers size, strides, before, after;
  bool channels_first;

  // The problem that images and what is pooled from them make; none where they do not fit.
  std::optional<Problem> ProblemOf(Numbers images, Numbers pooled) const {
    const size_t n = size.size();
    if (n < 1 || n > 3 || strides.size() != n || before.size() != n || after.size() != n) return {};
    if (images.size() != n + 2 || pooled.size() != n + 2) return {};
    const size_t channel = channels_first ? 1 : n + 1;
    Problem p{};
    p.channels_first = channels_first;
    p.batch = images[0];
    p.channels = images[channel];
    if (pooled[0] != p.batch || pooled[channel] != p.channels || p.batch <= 0 || p.channels <= 0) return {};
    for (size_t i = 0; i < n; ++i) {
      for (int64_t number : {size[i], strides[i], before[i], after[i]}) {
        if (number < 0 || number > INT32_MAX) return {};
      }
      const size_t spatial = i + (channels_first ? 2 : 1);
      const Axis axis{images[spatial], size[i], strides[i], before[i], pooled[spatial]};
      const int64_t room = axis.size + before[i] + after[i] - axis.window;
      if (axis.size <= 0 || axis.window == 0 || axis.stride == 0 || room < 0) return {};
      if (axis.count != room / axis.stride + 1) return {};
      // No window is empty.
      if (axis.before >= axis.window || (axis.count - 1) * axis.stride - axis.before >= axis.size) return {};
      // The first axis is the longest way through memory also where there are less than three.
      p.axes[i == 0 ? 0 : i + 3 - n] = axis;
    }
    return p;
  }
};

// Runs a problem on images, gradients of what is pooled, and results, of which one of the first two may be absent.
ffi::Error Pool(const char* what, Kind kind, std::optional<Problem> problem, const ffi::AnyBuffer* images,
                const ffi::AnyBuffer* grads, const ffi::AnyBuffer& results) {
  const ffi::DataType type = results.element_type();
  const bool one_type = (!images || images->element_type() == type) && (!grads || grads->element_type() == type);
  if (!problem || !one_type || (type != ffi::DataType::F32 && type != ffi::DataType::BF16)) return Misfit(what);
  problem->kind = kind;
  problem->bfloat16 = type == ffi::DataType::BF16;
  problem->images = images ? images->untyped_data() : nullptr;
  problem->grads = grads ? grads->untyped_data() : nullptr;
  problem->results = results.untyped_data();
  return Guarded(what, [&] {
    problem->bfloat16 ? PoolBatch<BFloat16>(*problem) : PoolBatch<float>(*problem);
    return ffi::Error::Success();
  });
}

ffi::Error MaxPool(ffi::AnyBuffer images, ffi::Result<ffi::AnyBuffer> results, Numbers size, Numbers strides,
                   Numbers before, Numbers after, bool channels_first) {
  const Window window{size, strides, before, after, channels_first};
  return Pool("Max pooling", Kind::kMax, window.ProblemOf(images.dimensions(), results->dimensions()), &images, nullptr,
              *results);
}

ffi::Error AveragePool(ffi::AnyBuffer images, ffi::Result<ffi::AnyBuffer> results, Numbers size, Numbers strides,
                       Numbers before, Numbers after, bool channels_first) {
  const Window window{size, strides, before, after, channels_first};
  return Pool("Average pooling", Kind::kAverage, window.ProblemOf(images.dimensions(), results->dimensions()), &images,
              nullptr, *results);
}

ffi::Error MaxPoolGradient(ffi::AnyBuffer images, ffi::AnyBuffer grads, ffi::Result<ffi::AnyBuffer> results,
                           Numbers size, Numbers strides, Numbers before, Numbers after, bool channels_first,
                           bool relu) {
  const char* what = "Gradient of max pooling";
  const Numbers dims = images.dimensions(), wanted = results->dimensions();
  if (!std::equal(dims.begin(), dims.end(), wanted.begin(), wanted.end())) return Misfit(what);
  const Window window{size, strides, before, after, channels_first};
  return Pool(what, relu ? Kind::kMaxReluGradient : Kind::kMaxGradient,
              window.ProblemOf(images.dimensions(), grads.dimensions()), &images, &grads, *results);
}

ffi::Error AveragePoolGradient(ffi::AnyBuffer grads, ffi::Result<ffi::AnyBuffer> results, Numbers size,
                               Numbers strides, Numbers before, Numbers after, bool channels_first) {
  const Window window{size, strides, before, after, channels_first};
  return Pool("Gradient of average pooling", Kind::kAverageGradient,
              window.ProblemOf(results->dimensions(), grads.dimensions()), nullptr, &grads, *results);
}

// The attributes that all have.
template <typename Binding>
auto Windowed(Binding binding) {
  return std::move(binding)
      .template Attr<Numbers>("window")
      .template Attr<Numbers>("strides")
      .template Attr<Numbers>("before")
      .template Attr<Numbers>("after")
      .template Attr<bool>("channels_first");
}

}  // namespace

MILLSTREAM_HANDLER(millstream_max_pool, MaxPool,
                   Windowed(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));
MILLSTREAM_HANDLER(millstream_avg_pool, AveragePool,
                   Windowed(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));
MILLSTREAM_HANDLER(
    millstream_max_pool_gradient, MaxPoolGradient,
    Windowed(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()).Attr<bool>("relu"));
MILLSTREAM_HANDLER(millstream_avg_pool_gradient, AveragePoolGradient,
                   Windowed(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));

}  // namespace millstream
