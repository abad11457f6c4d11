#include "models/serving/result.hpp"

#include <algorithm>

namespace foretoken::models::serving {

std::optional<std::size_t> RequestTable::row_of(std::int64_t request) const {
  if (number.empty())
    return request >= 0 && request < static_cast<std::int64_t>(size())
               ? std::optional(static_cast<std::size_t>(request))
               : std::nullopt;
  const auto found = std::lower_bound(number.begin(), number.end(), request);
  if (found == number.end() || *found != request) return std::nullopt;
  return static_cast<std::size_t>(found - number.begin());
}

}  // namespace foretoken::models::serving
