#include "sim/core/time.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

namespace foretoken::sim::core {

Duration Duration::from_seconds(double seconds) {
  const double ps = seconds * 1e12;
  // 2^63 is exact in double; anything below it in magnitude rounds into range.
  constexpr double kLimit = 9223372036854775808.0;
  if (!(std::abs(ps) < kLimit)) {
    throw std::range_error("a duration of " + std::to_string(seconds) +
                           " s cannot be represented: simulated time is limited to 106 days");
  }
  return Duration(std::llround(ps));
}

}  // namespace foretoken::sim::core
