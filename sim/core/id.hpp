#pragma once
#include <compare>
#include <cstdint>

namespace foretoken::sim::core {

// Index with a type: an EntityId is not a PartitionId.
template <class Tag>
struct Id {
  std::uint32_t value = UINT32_MAX;
  constexpr auto operator<=>(const Id&) const = default;
  [[nodiscard]] constexpr bool valid() const { return value != UINT32_MAX; }
};

}  // namespace foretoken::sim::core
