#pragma once
// Tables of step costs that fill themselves on first use. Look-ups are lock-free and independent
// of the order of filling, so replicas on several threads may share a table.
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace foretoken::models::serving {

// What a part of a step is made of, before an engine's corrections: for each family of operators
// the time it takes alone, the least it can take (limits of memory, arithmetic and wire), and how
// many kernels that is.
struct RawCell {
  enum Field : std::uint8_t {
    gemm,
    gemm_least,
    attention,
    attention_least,
    experts,
    experts_least,
    communication,
    wire,
    elementwise,
    kernels,
    elementwise_kernels,
    collectives,  // each (1 - 1 / ranks), see InSitu::rank_skew_s
    tensor,
    memory,
    link,
    network,  // added by a network half as fast, see kernels::NetworkPart
    network_wire,
    network_bytes,
    kFields
  };
  std::array<double, kFields> v{};

  void add_scaled(const RawCell& o, double f) {
    for (std::size_t i = 0; i < kFields; ++i) v[i] += o.v[i] * f;
  }
};

// One entry: total seconds, seconds by family, busy seconds at peak rates (see StepCost), and what
// goes between nodes.
struct Cell {
  enum Field : std::uint8_t {
    total,
    gemm,
    attention,
    experts,
    communication,
    elementwise,
    tensor,
    memory,
    link,
    network,
    network_wire,
    network_bytes,
    kFields
  };
  std::array<double, kFields> v{};

  Cell& operator+=(const Cell& o) {
    for (std::size_t i = 0; i < kFields; ++i) v[i] += o.v[i];
    return *this;
  }
  void add_scaled(const Cell& o, double f) {
    for (std::size_t i = 0; i < kFields; ++i) v[i] += o.v[i] * f;
  }
};

struct GridPoint {  // between node index and index + 1
  std::size_t index = 0;
  double fraction = 0.0;
};

// Nodes 2^e (1 + i / 2^Bits): every integer up to 2^(Bits+1), then equal ratios on average. The
// position of x >= 1 is read off the bits of its floating-point form.
template <int Bits>
class LogAxis {
 public:
  explicit LogAxis(double largest) : size_(locate(largest).index + 2) {}
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] static double node(std::size_t index) {
    return std::bit_cast<double>((static_cast<std::uint64_t>(index) + kFirst) << kShift);
  }
  [[nodiscard]] static GridPoint locate(double x) {
    const auto bits = std::bit_cast<std::uint64_t>(x < 1.0 ? 1.0 : x);
    constexpr std::uint64_t kMask = (std::uint64_t{1} << kShift) - 1;
    return {static_cast<std::size_t>((bits >> kShift) - kFirst),
            static_cast<double>(bits & kMask) / static_cast<double>(kMask + 1)};
  }

 private:
  static constexpr int kShift = 52 - Bits;
  static constexpr std::uint64_t kFirst = std::bit_cast<std::uint64_t>(1.0) >> kShift;
  std::size_t size_;
};

template <class C>
class LazyCellsOf {
 public:
  explicit LazyCellsOf(std::size_t size)
      : cells_(size), ready_(std::make_unique<std::atomic<bool>[]>(size)) {}

  template <class Fill>
  const C& at(std::size_t index, const Fill& fill) const {
    if (!ready_[index].load(std::memory_order_acquire)) [[unlikely]] {
      const std::lock_guard lock(*mutex_);
      if (!ready_[index].load(std::memory_order_relaxed)) {
        cells_[index] = fill(index);
        ready_[index].store(true, std::memory_order_release);
      }
    }
    return cells_[index];
  }
  [[nodiscard]] std::size_t size() const { return cells_.size(); }

 private:
  mutable std::vector<C> cells_;
  std::unique_ptr<std::atomic<bool>[]> ready_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
};
using LazyCells = LazyCellsOf<Cell>;

}  // namespace foretoken::models::serving
