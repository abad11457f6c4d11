#include "validation/claims/formula.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::validation::claims {
namespace {

Values values() {
  Values v;
  v["a"] = {8.0, 0.03, Provenance::calibrated, {}};
  v["b"] = {2.0, 0.04, Provenance::analytical, {}};
  v["none"] = {0.0, 0.0, Provenance::analytical, "does not fit"};
  return v;
}

TEST_CASE("a ratio has both errors and the weaker provenance") {
  // 8 / 2 = 4; errors 3 % of the numerator and 4 % of the denominator (1 / 1.04 - 1 = -3.85 %).
  const Value v = evaluate("a / b", values());
  CHECK(v.value == 4.0);
  CHECK(v.relative_error == Approx(std::sqrt(0.03 * 0.03 + 0.0384615 * 0.0384615)).epsilon(1e-4));
  CHECK(v.provenance == Provenance::analytical);
}

TEST_CASE("a difference of near numbers is worth little") {
  // 8 - 3 x 2 = 2 with 0.24 and 0.24 of error: 17 %.
  CHECK(evaluate("a - 3 * b", values()).relative_error == Approx(std::sqrt(2.0) * 0.12));
}

TEST_CASE("comparisons, ceil and choices") {
  CHECK(evaluate("a > b", values()).value == 1.0);
  CHECK(evaluate("ceil(a / 3)", values()).value == 3.0);
  CHECK(evaluate("a < b ? 1 : 7", values()).value == 7.0);
  CHECK(evaluate("2 + 3 * 4", values()).provenance == Provenance::user);
}

TEST_CASE("what rests on something that cannot run cannot be had") {
  CHECK(evaluate("a + none", values()).infeasible == "does not fit");
}

TEST_CASE("names and mistakes") {
  CHECK(variables_of("a / (b + a)") == std::vector<std::string>{"a", "b"});
  CHECK_THROWS_WITH(evaluate("a / c", values()), Catch::Contains("nothing is called 'c'"));
  CHECK_THROWS_WITH(variables_of("a +* b"), Catch::Contains("formula 'a +* b'"));
}

}  // namespace
}  // namespace foretoken::validation::claims
