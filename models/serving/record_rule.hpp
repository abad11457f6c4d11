#pragma once
// Which requests a run keeps a record of: all, none, or one of each N in a row, drawn by the seed.
// A draw depends on nothing else, so the sample is the same on any number of threads and ranks.
#include <cstddef>
#include <cstdint>

#include "sim/core/random.hpp"

namespace foretoken::models::serving {

class RecordRule {
 public:
  RecordRule() = default;  // all
  // One of each `one_in` in a row; 1 keeps all, 0 none.
  RecordRule(std::int64_t one_in, std::uint64_t seed) : one_in_(one_in), seed_(seed) {}

  [[nodiscard]] std::int64_t one_in() const { return one_in_; }
  [[nodiscard]] bool all() const { return one_in_ == 1; }
  [[nodiscard]] bool keeps(std::uint32_t request) const {
    if (one_in_ <= 1) return one_in_ == 1;
    return number_of(row_of(request)) == request;
  }
  // Place of a kept request among those that are kept.
  [[nodiscard]] std::size_t row_of(std::uint32_t request) const {
    return request / static_cast<std::size_t>(one_in_);
  }
  // The inverse: which request a row is of.
  [[nodiscard]] std::int64_t number_of(std::size_t row) const {
    const auto first = static_cast<std::int64_t>(row) * one_in_;
    if (one_in_ == 1) return first;
    sim::core::Random random(seed_, static_cast<std::uint32_t>(row), kPurpose);
    return first + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(one_in_)));
  }

 private:
  static constexpr std::uint32_t kPurpose = 0x5245434f;  // random stream of the draws
  std::int64_t one_in_ = 1;
  std::uint64_t seed_ = 1;
};

}  // namespace foretoken::models::serving
