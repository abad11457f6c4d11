#include "validation/claims/claims_page.hpp"

#include <catch2/catch.hpp>
#include <limits>

#include "validation/claims/claim_text.hpp"
#include "validation/claims/verdict.hpp"

namespace foretoken::validation::claims {
namespace {

Claim claim() {
  Claim c;
  c.id = "T1";
  c.article = "T";
  c.says = {"a <b> & c", "甲"};
  Check check;
  check.says = {"watts", "功率"};
  check.formula = "1200";
  check.low = "300";
  check.unit = "W";
  check.within = 0.1;
  check.why = {"because", "因为"};
  judge(check, {});
  c.checks.push_back(check);
  return c;
}

TEST_CASE("the page holds both languages, escapes text and needs no script") {
  Claim untestable;
  untestable.id = "T2";
  untestable.untestable = {"practice", "管理实践"};
  const std::string page = claims_page({claim(), untestable});
  for (const char* part : {"off by 4 x", "相差 4 倍", "a &lt;b&gt; &amp; c", "甲", "because",
                           "因为", "not testable here", "此处无法检验", "管理实践", "id=\"T1\"",
                           "id=\"T2\"", "2 claims: 1 off by a factor, 1 not testable here."})
    CHECK_THAT(page, Catch::Contains(part));
  CHECK_THAT(page, !Catch::Contains("<script"));
  CHECK_THAT(page, !Catch::Contains("a <b>"));
}

TEST_CASE("figures as people read them") {
  CHECK(number_text(15768.0) == "15,768");
  CHECK(number_text(1092000.4) == "1,092,000");
  CHECK(number_text(-9150.0) == "-9,150");
  CHECK(number_text(3.127) == "3.13");
  CHECK(number_text(0.00004) == "4e-05");
  CHECK(number_text(std::numeric_limits<double>::infinity()) == "never");
  Check check = claim().checks[0];
  CHECK(claimed_text(check) == "300 W");
  CHECK(predicted_text(check) == "1,200 W");
  CHECK(outcome_text(check) == "off by 4 x");
  check.comparison = Comparison::at_least;
  CHECK(claimed_text(check) == "at least 300 W");
}

}  // namespace
}  // namespace foretoken::validation::claims
