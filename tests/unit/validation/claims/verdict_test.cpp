#include "validation/claims/verdict.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

namespace foretoken::validation::claims {
namespace {

Values values(double predicted, double error = 0.0) {
  Values v;
  v["x"] = {predicted, error, Provenance::analytical, {}};
  return v;
}

Check figure(const std::string& claimed, double within) {
  Check check;
  check.formula = "x";
  check.low = claimed;
  check.within = within;
  check.why = {"{x:.1f} of {claimed:.0f}", "{x:.1f} / {claimed:.0f}"};
  return check;
}

Check judged(Check check, const Values& v) {
  judge(check, v);
  return check;
}

TEST_CASE("a figure holds within its tolerance or its own error, else is off by a factor") {
  CHECK(judged(figure("100", 0.1), values(109)).outcome == Outcome::holds);
  CHECK(judged(figure("100", 0.1), values(140, 0.25)).outcome == Outcome::holds);  // 105 to 175
  const Check off = judged(figure("100", 0.1), values(300));
  CHECK(off.outcome == Outcome::off);
  CHECK(off.factor == Approx(3.0));
  CHECK(judged(figure("100", 0.1), values(25)).factor == Approx(4.0));
  CHECK(off.because.en == "300.0 of 100");
}

TEST_CASE("ranges and one-sided claims") {
  Check range = figure("10", 0.0);
  range.high = "20";
  CHECK(judged(range, values(15)).outcome == Outcome::holds);
  CHECK(judged(range, values(40)).factor == Approx(2.0));
  Check least = figure("20", 0.0);
  least.comparison = Comparison::at_least;
  CHECK(judged(least, values(500)).outcome == Outcome::holds);
  CHECK(judged(least, values(5)).factor == Approx(4.0));
  Check most = figure("1.2", 0.0);
  most.comparison = Comparison::at_most;
  CHECK(judged(most, values(0.1)).outcome == Outcome::holds);
  CHECK(judged(most, values(2.4)).factor == Approx(2.0));
}

TEST_CASE("what cannot run, or gives nothing, is impossible") {
  Values v = values(0.0);
  CHECK(judged(figure("100", 0.1), v).outcome == Outcome::impossible);
  v["x"].infeasible = "48 GB are too few";
  const Check check = judged(figure("100", 0.1), v);
  CHECK(check.outcome == Outcome::impossible);
  CHECK_THAT(check.because.en, Catch::Contains("48 GB are too few"));
  Check possible = figure("", 0.0);
  possible.kind = Check::Kind::possible;
  CHECK(judged(possible, values(1)).outcome == Outcome::holds);
  CHECK(judged(possible, values(0)).outcome == Outcome::impossible);
}

TEST_CASE("an article's own figures agree or contradict each other") {
  // 3 kW x 8,760 h x 0.6 = 15,768, not 25,000.
  Check check = figure("25000", 0.1);
  check.kind = Check::Kind::consistent;
  check.formula = "3 * 8760 * 0.6";
  const Check done = judged(check, values(1));
  CHECK(done.outcome == Outcome::contradicts);
  CHECK(done.factor == Approx(25000.0 / 15768.0));
  check.low = "15700";
  CHECK(judged(check, values(1)).outcome == Outcome::holds);
}

TEST_CASE("a claim's verdict is that of its worst part") {
  Claim claim;
  CHECK(claim.verdict() == "not testable here");
  claim.checks = {judged(figure("100", 0.1), values(100)), judged(figure("100", 0.1), values(310))};
  CHECK(claim.verdict() == "off by 3.1 x");
  claim.checks.push_back(judged(figure("100", 0.1), values(1600)));
  CHECK(claim.verdict() == "off by 16 x");
  Check possible = figure("", 0.0);
  possible.kind = Check::Kind::possible;
  claim.checks.push_back(judged(possible, values(0)));
  CHECK(claim.verdict() == "impossible");
}

TEST_CASE("sentences name quantities that are there") {
  CHECK(filled("{x:.2f}", values(1.234), {}) == "1.23");
  CHECK(filled("it {x?fits|does not fit}", values(1.0), {}) == "it fits");
  CHECK(filled("它{x?可行|不可行}", values(0.0), {}) == "它不可行");
  CHECK_THROWS_AS(filled("{y?a|b}", values(1.0), {}), sim::core::InputError);
  CHECK_THROWS_AS(filled("{y:.2f}", values(1.0), {}), sim::core::InputError);
}

}  // namespace
}  // namespace foretoken::validation::claims
