// Convolution over one to three spatial dimensions, with groups, and its two gradients, by oneDNN.
//
// Images are [batch, *spatial, channels]; filters are [*window, channels / groups, outputs], the outputs of a group
// next to each other. The work is cut into pieces, each a smaller convolution that one thread computes: some images,
// or, where there are few of them, some rows of an image ("rows" are what the first spatial dimension counts).
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "native/engine.h"
#include "native/ffi.h"
#include "native/vectors.h"

namespace millstream {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using DataType = memory::data_type;

enum Direction : int64_t { kForward, kByImages, kByFilters };
enum Activation : int64_t { kLinear, kRelu, kRelu6 };

// One convolution, in the terms of the call.
struct Problem {
  Direction direction = kForward;
  DataType type = DataType::undef;
  Dims images, filters, results;
  Dims strides, dilations, before, after;
  int64_t groups = 1;
  bool bias = false;
  int64_t activation = kLinear;

  size_t spatial() const { return strides.size(); }
  int64_t extent(size_t i) const { return (filters[i] - 1) * dilations[i] + 1; }

  // Whether the dimensions belong together: nothing else reaches oneDNN.
  bool IsSound() const {
    const size_t n = spatial();
    if (type == DataType::undef || n < 1 || n > 3) return false;
    if (dilations.size() != n || before.size() != n || after.size() != n) return false;
    if (images.size() != n + 2 || filters.size() != n + 2 || results.size() != n + 2) return false;
    for (const Dims* dims : {&images, &filters, &results, &strides, &dilations}) {
      for (int64_t dim : *dims) {
        if (dim <= 0 || dim > INT32_MAX) return false;
      }
    }
    if (groups <= 0 || groups > images[n + 1] || images[n + 1] != filters[n] * groups) return false;
    if (activation < kLinear || activation > kRelu6) return false;
    if (images[0] != results[0] || results[n + 1] != filters[n + 1] || results[n + 1] % groups) return false;
    for (size_t i = 0; i < n; ++i) {
      if (before[i] < 0 || after[i] < 0 || before[i] > INT32_MAX || after[i] > INT32_MAX) return false;
      const int64_t room = images[i + 1] + before[i] + after[i] - extent(i);
      if (room < 0 || room / strides[i] + 1 != results[i + 1]) return false;
    }
    return true;
  }

  // [batch, channels, *spatial], oneDNN's order of dimensions, with the channels last in memory.
  Layout Plain(const Dims& dims) const {
    static const memory::format_tag tags[] = {memory::format_tag::nwc, memory::format_tag::nhwc,
                                              memory::format_tag::ndhwc};
    Dims logical{dims[0], dims.back()};
    logical.insert(logical.end(), dims.begin() + 1, dims.end() - 1);
    return Layout(logical, type, tags[spatial() - 1]);
  }

  // [groups, outputs, channels, *window], without the groups where there is one.
  Dims FilterDims() const {
    const size_t n = spatial();
    Dims dims{filters[n + 1] / groups, filters[n]};
    dims.insert(dims.end(), filters.begin(), filters.begin() + n);
    if (groups > 1) dims.insert(dims.begin(), groups);
    return dims;
  }

  Layout GivenFilters() const {
    const size_t n = spatial();
    Dims steps{1, filters[n + 1]};
    if (groups > 1) steps.insert(steps.begin(), filters[n + 1] / groups);
    int64_t step = filters[n] * filters[n + 1];
    Dims window(n);
    for (size_t i = n; i-- > 0;) {
      window[i] = step;
      step *= filters[i];
    }
    steps.insert(steps.end(), window.begin(), window.end());
    return Layout(FilterDims(), type, steps);
  }

  // Gradients by filters are summed up in float32.
  Layout AnyFilters() const {
    return Layout(FilterDims(), direction == kByFilters ? DataType::f32 : type, memory::format_tag::any);
  }

  Layout Bias() const { return bias ? Layout({filters.back()}, type, memory::format_tag::x) : Layout(); }

  // oneDNN counts the points between those of a filter.
  Dims Gaps() const {
    Dims gaps = dilations;
    for (int64_t& gap : gaps) --gap;
    return gaps;
  }

  Key MakeKey(int64_t threads) const {
    Key key;
    key.Add(direction).Add(static_cast<int64_t>(type)).Add(groups).Add(bias).Add(threads);
    for (const Dims* dims : {&images, &filters, &results, &strides, &dilations, &before, &after}) key.AddAll(*dims);
    return key;
  }
};

// --- Primitives -----------------------------------------------------------------------------------------------

dnnl::primitive_attr Attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// `optional`: gives an empty description, rather than throwing, where oneDNN has no kernel.
dnnl::convolution_forward::primitive_desc Forward(const Problem& p, const Layout& filters, bool optional = false) {
  return dnnl::convolution_forward::primitive_desc(
      Engine(), prop_kind::forward_training, algorithm::convolution_direct, p.Plain(p.images), filters, p.Bias(),
      p.Plain(p.results), p.strides, p.Gaps(), p.before, p.after, Attributes(), optional);
}

// Reordering the filters takes longer than it saves where each of them meets few patches: so many, by measurement.
constexpr int64_t kFewPatches = 512;

bool HasFewPatches(const Problem& p) {
  int64_t patches = 1;
  for (size_t i = 0; i <= p.spatial(); ++i) patches *= p.results[i];
  return patches <= kFewPatches;
}

// A primitive with the layouts that it works on.
struct Prepared {
  dnnl::primitive primitive;
  Layout images, filters, results, scratchpad;
  bool is_reference;

  template <typename Primitive, typename Description>
  static Prepared Of(const Problem& p, const Description& made, const Layout& filters) {
    return {Primitive(made), p.Plain(p.images), filters, p.Plain(p.results), made.scratchpad_desc(),
            IsReference(made)};
  }
};

// `plain`: whether the filters should be used as they are given, if there is a good kernel for that.
Prepared Prepare(const Problem& p, bool plain) {
  const Layout images = p.Plain(p.images), results = p.Plain(p.results), filters = p.AnyFilters();
  if (p.direction == kForward) {
    if (plain) {
      auto made = Forward(p, p.GivenFilters(), true);
      if (made && std::string(made.impl_info_str()).rfind("brgconv", 0) == 0) {
        return Prepared::Of<dnnl::convolution_forward>(p, made, made.weights_desc());
      }
    }
    auto made = Forward(p, filters);
    return Prepared::Of<dnnl::convolution_forward>(p, made, made.weights_desc());
  }
  Problem forward = p;
  forward.direction = kForward;
  const auto hint = Forward(forward, forward.AnyFilters());
  if (p.direction == kByImages) {
    dnnl::convolution_backward_data::primitive_desc made(Engine(), algorithm::convolution_direct, images, filters,
                                                         results, p.strides, p.Gaps(), p.before, p.after, hint,
                                                         Attributes());
    return Prepared::Of<dnnl::convolution_backward_data>(p, made, made.weights_desc());
  }
  dnnl::convolution_backward_weights::primitive_desc made(Engine(), algorithm::convolution_direct, images, filters,
                                                          results, p.strides, p.Gaps(), p.before, p.after, hint,
                                                          Attributes());
  return Prepared::Of<dnnl::convolution_backward_weights>(p, made, made.diff_weights_desc());
}

// --- Pieces ---------------------------------------------------------------------------------------------------

// Where a piece lies: images, and rows of them and of the results; and how much is added to its rows.
struct Cut {
  int64_t image, images;
  int64_t row, rows;
  int64_t result_row, result_rows;
  int64_t before, after;

  auto shape() const { return std::make_tuple(images, rows, result_rows, before, after); }

  Problem Of(Problem p) const {
    p.images[0] = p.results[0] = images;
    p.images[1] = rows;
    p.results[1] = result_rows;
    p.before[0] = before;
    p.after[0] = after;
    return p;
  }
};

constexpr int64_t kLeastWork = 4'000'000;  // multiplications of a piece: some 30 microseconds
constexpr int64_t kLeastPoints = 128;      // of the results of a piece, where there are more pieces than threads
constexpr int64_t kMostSums = 128 << 20;   // bytes of filters' gradients that are summed up afterwards

// Into how many pieces a problem is best cut.
int64_t CountPieces(const Problem& p) {
  const int64_t threads = ThreadCount();
  if (threads == 1) return 1;
  double points = 1, filter = p.filters.back() * sizeof(float);
  for (size_t i = 0; i <= p.spatial(); ++i) points *= p.results[i];
  for (size_t i = 0; i <= p.spatial(); ++i) filter *= p.filters[i];
  int64_t most = std::min<double>(4 * threads, points * filter / sizeof(float) / kLeastWork);
  if (p.direction == kByFilters) most = std::min<int64_t>(most, std::max<int64_t>(kMostSums / filter, 1));
  if (most > threads) most = std::max(threads, std::min<int64_t>(most, points / kLeastPoints));
  return std::max<int64_t>(most, 1);
}

// The number of pieces near `wanted` that has pieces of one size, if there is one.
int64_t Even(int64_t count, int64_t wanted) {
  for (int64_t pieces = wanted; pieces <= std::min(2 * wanted, count); ++pieces) {
    if (count % pieces == 0) return pieces;
  }
  return wanted;
}

// Rows a … b of the results, or, where images are computed, of the images, with the rows that they depend on.
std::optional<Cut> CutRows(const Problem& p, int64_t image, int64_t a, int64_t b) {
  const int64_t stride = p.strides[0], extent = p.extent(0), before = p.before[0];
  Cut cut{image, 1, 0, 0, 0, 0, 0, 0};
  if (p.direction == kByImages) {
    const int64_t reach = a + before - extent + 1;
    const int64_t first = reach <= 0 ? 0 : (reach + stride - 1) / stride;
    const int64_t last = std::min(p.results[1], (b - 1 + before) / stride + 1);
    cut.row = a;
    cut.rows = b - a;
    cut.result_row = first;
    cut.result_rows = last - first;
    cut.before = a + before - first * stride;
    cut.after = std::max<int64_t>((cut.result_rows - 1) * stride + extent - cut.before - cut.rows, 0);
  } else {
    const int64_t start = a * stride - before, end = (b - 1) * stride - before + extent;
    cut.row = std::max<int64_t>(start, 0);
    cut.rows = std::min(end, p.images[1]) - cut.row;
    cut.result_row = a;
    cut.result_rows = b - a;
    cut.before = cut.row - start;
    cut.after = std::max<int64_t>(end - p.images[1], 0);
  }
  if (cut.rows <= 0 || cut.result_rows <= 0 || cut.before < 0 || !cut.Of(p).IsSound()) return std::nullopt;
  return cut;
}

std::vector<Cut> CutProblem(const Problem& p, int64_t pieces) {
  const int64_t batch = p.images[0], rows = p.direction == kByImages ? p.images[1] : p.results[1];
  std::vector<Cut> cuts;
  if (batch < pieces) {  // rows of each image
    const int64_t parts = std::min((pieces + batch - 1) / batch, rows);
    for (int64_t image = 0; image < batch; ++image) {
      for (int64_t part = 0; part < parts; ++part) {
        const auto cut = CutRows(p, image, rows * part / parts, rows * (part + 1) / parts);
        if (!cut) return CutProblem(p, 1);
        cuts.push_back(*cut);
      }
    }
    return cuts;
  }
  const int64_t size = (batch + Even(batch, pieces) - 1) / Even(batch, pieces);
  for (int64_t first = 0; first < batch; first += size) {
    cuts.push_back({first, std::min(size, batch - first), 0, p.images[1], 0, p.results[1], p.before[0], p.after[0]});
  }
  return cuts;
}

// --- Activations ----------------------------------------------------------------------------------------------
// oneDNN's own make 0 of what is not a number.

MILLSTREAM_CLONES void Activate(float* values, int64_t count, float most) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = values[i] < 0 ? 0.f : values[i];
    values[i] = value > most ? most : value;
  }
}

MILLSTREAM_CLONES void Activate(BFloat16* values, int64_t count, float most) {
  for (int64_t i = 0; i < count; ++i) {
    float value = Load<float>(values + i);
    value = value < 0 ? 0.f : value;
    Store(values + i, value > most ? most : value);
  }
}

void Activate(int64_t activation, DataType type, char* values, size_t bytes) {
  if (activation == kLinear) return;
  const float most = activation == kRelu6 ? 6.f : std::numeric_limits<float>::infinity();
  if (type == DataType::f32) {
    Activate(reinterpret_cast<float*>(values), bytes / sizeof(float), most);
  } else {
    Activate(reinterpret_cast<BFloat16*>(values), bytes / sizeof(BFloat16), most);
  }
}

// --- Plans ----------------------------------------------------------------------------------------------------

// How a problem is computed.
class Plan {
 public:
  explicit Plan(const Problem& p) : problem_(p), given_(p.GivenFilters()) {
    const Alone alone;
    CutInto(CountPieces(p));
    // Gradients can be summed up in one layout only.
    if (p.direction == kByFilters && layouts_.size() > 1) CutInto(1);
    for (const Layout& layout : layouts_) {
      const bool by_filters = p.direction == kByFilters;
      reorders_.emplace_back();
      offsets_.push_back(bytes_);
      if (layout == given_) continue;
      reorders_.back() = dnnl::reorder(dnnl::reorder::primitive_desc(Engine(), by_filters ? layout : given_, Engine(),
                                                                     by_filters ? given_ : layout));
      bytes_ += Aligned(layout.get_size());
    }
  }

  bool IsReference() const {
    return std::any_of(prepared_.begin(), prepared_.end(), [](const Prepared& p) { return p.is_reference; });
  }

  void Run(char* images, char* filters, char* bias, char* results, int64_t activation) const {
    const Alone alone;
    if (problem_.direction == kByFilters) return SumFilters(images, filters, results);
    char* copies = bytes_ ? static_cast<char*>(Scratch(Use::kCall, bytes_)) : nullptr;
    for (size_t i = 0; i < layouts_.size(); ++i) {
      if (reorders_[i]) Reorder(reorders_[i], given_, filters, layouts_[i], copies + offsets_[i]);
    }
    RunParts(pieces_.size(), [&](int64_t i) {
      const size_t layout = layout_of_[pieces_[i].prepared];
      RunPiece(pieces_[i], images, reorders_[layout] ? copies + offsets_[layout] : filters, bias, results);
      Activate(activation, problem_.type, results + pieces_[i].results, prepared_[pieces_[i].prepared].results.get_size());
    });
  }

 private:
  struct Piece {
    size_t prepared;
    int64_t images, results;  // where it starts, in bytes
  };

  static size_t Aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

  void CutInto(int64_t pieces) {
    prepared_.clear();
    pieces_.clear();
    layouts_.clear();
    layout_of_.clear();
    std::map<decltype(Cut{}.shape()), size_t> shapes;
    for (const Cut& cut : CutProblem(problem_, pieces)) {
      const auto [found, is_new] = shapes.emplace(cut.shape(), prepared_.size());
      if (is_new) {
        prepared_.push_back(Prepare(cut.Of(problem_), HasFewPatches(problem_)));
        const auto known = std::find(layouts_.begin(), layouts_.end(), prepared_.back().filters);
        layout_of_.push_back(known - layouts_.begin());
        if (known == layouts_.end()) layouts_.push_back(prepared_.back().filters);
      }
      pieces_.push_back({found->second, Offset(problem_.images, cut.image, cut.row),
                         Offset(problem_.results, cut.image, cut.result_row)});
    }
  }

  int64_t Offset(const Dims& dims, int64_t image, int64_t row) const {
    int64_t numbers = image * dims[1] + row;
    for (size_t i = 2; i < dims.size(); ++i) numbers *= dims[i];
    return numbers * static_cast<int64_t>(memory::data_type_size(problem_.type));
  }

  static void Reorder(const dnnl::reorder& reorder, const Layout& from, char* source, const Layout& to, char* target) {
    memory a = MemoryOf(from, source), b = MemoryOf(to, target);
    reorder.execute(Stream(), a, b);
    Stream().wait();
  }

  void RunPiece(const Piece& piece, char* images, char* filters, char* bias, char* results) const {
    const Alone alone;
    const Prepared& prepared = prepared_[piece.prepared];
    const Direction direction = problem_.direction;
    std::unordered_map<int, memory> arguments{
        {direction == kByImages ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, MemoryOf(prepared.images, images + piece.images)},
        {direction == kByFilters ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, MemoryOf(prepared.filters, filters)},
        {direction == kForward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, MemoryOf(prepared.results, results + piece.results)},
    };
    if (bias) arguments.emplace(DNNL_ARG_BIAS, MemoryOf(problem_.Bias(), bias));
    if (const size_t size = prepared.scratchpad.get_size()) {
      arguments.emplace(DNNL_ARG_SCRATCHPAD, MemoryOf(prepared.scratchpad, Scratch(Use::kPart, size)));
    }
    prepared.primitive.execute(Stream(), arguments);
    Stream().wait();
  }

  // The gradient of each piece on its own, then their sum.
  void SumFilters(char* images, char* filters, char* results) const {
    const Layout& used = layouts_.front();
    const size_t bytes = Aligned(used.get_size());
    const int64_t numbers = used.get_size() / sizeof(float), count = pieces_.size();
    const bool direct = count == 1 && !reorders_.front();
    char* sums = direct ? filters : static_cast<char*>(Scratch(Use::kCall, bytes * count));
    RunParts(count, [&](int64_t i) { RunPiece(pieces_[i], images, sums + bytes * i, nullptr, results); });
    if (count > 1) {
      constexpr int64_t kGrain = 1 << 15;
      ParallelFor(numbers, kGrain / count + 1, [&](int64_t begin, int64_t end) {
        auto* total = reinterpret_cast<float*>(sums);
        for (int64_t k = 1; k < count; ++k) {
          const auto* term = reinterpret_cast<const float*>(sums + bytes * k);
          for (int64_t i = begin; i < end; ++i) total[i] += term[i];
        }
      });
    }
    if (reorders_.front()) {
      Reorder(reorders_.front(), used, sums, given_, filters);
    } else if (!direct) {
      std::copy_n(sums, used.get_size(), filters);
    }
  }

  Problem problem_;
  Layout given_;
  std::vector<Prepared> prepared_;
  std::vector<Piece> pieces_;
  std::vector<size_t> layout_of_;        // of the filters of each primitive, among these:
  std::vector<Layout> layouts_;
  std::vector<dnnl::reorder> reorders_;  // between the given layout and each of those; empty where it is the same
  std::vector<size_t> offsets_;          // of the filters in each of them, in memory of so many bytes
  size_t bytes_ = 0;
};

std::shared_ptr<const Plan> FindPlan(const Problem& p) {
  static auto* plans = new Plans<Plan>;  // kernels may still run while the process ends
  return plans->FindOrMake(p.MakeKey(ThreadCount()), [&] { return std::make_shared<const Plan>(p); });
}

// --- Calls ----------------------------------------------------------------------------------------------------

Dims ToDims(Numbers numbers) { return Dims(numbers.begin(), numbers.end()); }

DataType ToDataType(ffi::DataType type) {
  if (type == ffi::DataType::F32) return DataType::f32;
  return type == ffi::DataType::BF16 ? DataType::bf16 : DataType::undef;
}

struct Slide {
  Numbers strides, dilations, before, after;
  int64_t groups;
};

// Runs one of the three; `bias` may be null.
ffi::Error Run(const char* what, Direction direction, const ffi::AnyBuffer& images, const ffi::AnyBuffer& filters,
               const ffi::AnyBuffer* bias, const ffi::AnyBuffer& results, const Slide& slide, int64_t activation) {
  return Guarded(what, [&] {
    Problem p{direction, ToDataType(images.element_type()), ToDims(images.dimensions()), ToDims(filters.dimensions()),
              ToDims(results.dimensions()), ToDims(slide.strides), ToDims(slide.dilations), ToDims(slide.before),
              ToDims(slide.after), slide.groups, bias != nullptr, activation};
    for (const ffi::AnyBuffer* other : {&filters, &results, bias ? bias : &images}) {
      if (other->element_type() != images.element_type()) return Misfit(what);
    }
    if (!p.IsSound() || (bias && ToDims(bias->dimensions()) != Dims{p.filters.back()})) return Misfit(what);
    const auto data = [](const ffi::AnyBuffer& buffer) { return static_cast<char*>(buffer.untyped_data()); };
    FindPlan(p)->Run(data(images), data(filters), bias ? data(*bias) : nullptr, data(results), activation);
    return ffi::Error::Success();
  });
}

ffi::Error Convolution(ffi::AnyBuffer images, ffi::AnyBuffer filters, ffi::RemainingArgs rest,
                       ffi::Result<ffi::AnyBuffer> results, Numbers strides, Numbers dilations, Numbers before,
                       Numbers after, int64_t groups, int64_t activation) {
  std::optional<ffi::AnyBuffer> bias;
  if (rest.size() > 1) return Misfit("Convolution");
  if (rest.size()) {
    auto found = rest.get<ffi::AnyBuffer>(0);
    if (!found.has_value()) return Misfit("Convolution");
    bias = *found;
  }
  return Run("Convolution", kForward, images, filters, bias ? &*bias : nullptr, *results,
             {strides, dilations, before, after, groups}, activation);
}

ffi::Error ByImages(ffi::AnyBuffer filters, ffi::AnyBuffer gradient, ffi::Result<ffi::AnyBuffer> images,
                    Numbers strides, Numbers dilations, Numbers before, Numbers after, int64_t groups) {
  return Run("Gradient of a convolution by its images", kByImages, *images, filters, nullptr, gradient,
             {strides, dilations, before, after, groups}, kLinear);
}

ffi::Error ByFilters(ffi::AnyBuffer images, ffi::AnyBuffer gradient, ffi::Result<ffi::AnyBuffer> filters,
                     Numbers strides, Numbers dilations, Numbers before, Numbers after, int64_t groups) {
  return Run("Gradient of a convolution by its filters", kByFilters, images, *filters, nullptr, gradient,
             {strides, dilations, before, after, groups}, kLinear);
}

// The attributes that all three have.
template <typename Binding>
auto Sliding(Binding binding) {
  return std::move(binding)
      .template Attr<Numbers>("strides")
      .template Attr<Numbers>("dilations")
      .template Attr<Numbers>("before")
      .template Attr<Numbers>("after")
      .template Attr<int64_t>("groups");
}

// Threads for which a plan is made before XLA calls.
class ThreadsToCome : public Helpers {
 public:
  int Count() const override { return millstream_threads(); }
  void Schedule(std::function<void()> task) const override { task(); }
};

// Reads the lists of a flat description one after the other.
class Reader {
 public:
  explicit Reader(const int64_t* at) : at_(at) {}
  int64_t Next() { return *at_++; }
  Dims List(size_t size) {
    at_ += size;
    return Dims(at_ - size, at_);
  }

 private:
  const int64_t* at_;
};

}  // namespace

// Whether there is a good kernel for a problem: direction, whether it is of bfloat16 rather than float32, spatial
// dimensions, groups, whether there is a bias, then the dimensions of images, filters and results, then strides,
// dilations, padding before and after.
extern "C" MILLSTREAM_EXPORT int millstream_convolution_serves(const int64_t* description) {
  Reader reader(description);
  Problem p;
  p.direction = static_cast<Direction>(reader.Next());
  p.type = reader.Next() ? DataType::bf16 : DataType::f32;
  const size_t spatial = reader.Next();
  p.groups = reader.Next();
  p.bias = reader.Next();
  for (Dims* dims : {&p.images, &p.filters, &p.results}) *dims = reader.List(spatial + 2);
  for (Dims* dims : {&p.strides, &p.dilations, &p.before, &p.after}) *dims = reader.List(spatial);
  const ThreadsToCome threads;
  const WithHelpers helpers(&threads);
  try {
    return p.IsSound() && !FindPlan(p)->IsReference();
  } catch (const std::exception&) {
    return false;
  }
}

MILLSTREAM_HANDLER(
    millstream_convolution, Convolution,
    Sliding(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().RemainingArgs().Ret<ffi::AnyBuffer>())
        .Attr<int64_t>("activation"));
MILLSTREAM_HANDLER(
    millstream_convolution_by_images, ByImages,
    Sliding(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));
MILLSTREAM_HANDLER(
    millstream_convolution_by_filters, ByFilters,
    Sliding(ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()));

}  // namespace millstream
