#include "analysis/study/aggregate.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace foretoken::analysis::study;

TEST_CASE("Student's t and the interval over repeats", "[study]") {
  CHECK(student_t(4) == Approx(2.776445).epsilon(1e-6));  // tables: t(0.975, 4)
  // 1, 2, 3: mean 2, s = 1, half-width = 4.302653 / sqrt(3).
  const Aggregate over = aggregate({1.0, 2.0, 3.0});
  CHECK(over.mean == 2.0);
  CHECK(over.half_width == Approx(4.302653 / std::sqrt(3.0)).epsilon(1e-6));
  CHECK(std::isnan(aggregate({5.0}).half_width));
  CHECK(aggregate({1.0, NAN}).n == 1);
}
