#include "validation/power/states.hpp"

#include <catch2/catch.hpp>
#include <cmath>

namespace foretoken::validation::power {
namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

TEST_CASE("states of an H100 that no fit has seen") {
  const scenarios::loader::Catalogue catalogue(kRoot);
  const auto rows = validate_states(catalogue, kRoot / "validation/measurements/power");
  REQUIRE(rows.size() == 40);
  double sum = 0.0;
  int n = 0;
  for (const auto& row : rows) {
    INFO(row.state);
    CHECK(row.gpu == "h100-sxm");
    CHECK(row.predicted_w.has_value() == row.refused.empty());
    if (!row.predicted_w) continue;
    sum += std::abs(*row.predicted_w / row.measured_w - 1.0);
    ++n;
  }
  // What says nothing of how busy the SMs were: no context, pauses, two copies over PCIe.
  CHECK(n == 36);
  CHECK(sum / n < 0.10);
}

}  // namespace
}  // namespace foretoken::validation::power
