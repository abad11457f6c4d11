#include "validation/cases/run_cases.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "sim/core/error.hpp"

using namespace foretoken::validation::cases;

namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

}  // namespace

TEST_CASE("A case holds within its limit; a gain must also have the right sign") {
  CaseRow row;
  row.head.limit = 10;
  row.head.measured = 100;
  CHECK_FALSE(row.holds());  // refused
  row.predicted = 105;
  row.error = 5;
  CHECK(row.holds());
  row.error = 11;
  CHECK_FALSE(row.holds());
  row.head = {};
  row.head.points = true;
  row.head.limit = 10;
  row.head.measured = 4;
  row.predicted = -3;
  row.error = 7;
  CHECK_FALSE(row.holds());
  row.predicted = 3;
  row.error = 1;
  CHECK(row.holds());
}

TEST_CASE("An id that no file has is answered with the nearest") {
  const foretoken::scenarios::loader::Catalogue catalogue(kRoot);
  CaseOptions options{kRoot / "validation/cases", {}, {"profile-decoed"}};
  CHECK_THROWS_WITH(run_cases(catalogue, options),
                    Catch::Contains("did you mean 'profile-decode'"));
}

TEST_CASE("A point is asked for by its own name, or with all of its file") {
  const foretoken::scenarios::loader::Catalogue catalogue(kRoot);
  CaseOptions options{kRoot / "validation/cases", {}, {"h100-memory-prefill-1x8192"}};
  const auto one = run_cases(catalogue, options);
  REQUIRE(one.size() == 1);
  CHECK(one[0].head.id == "h100-memory-prefill-1x8192");
  CHECK(one[0].holds());
  options.only = {"h100-memory"};
  CHECK(run_cases(catalogue, options).size() == 5);
  options.only = {"h100-memory-prefill-1x8191"};
  CHECK_THROWS_WITH(run_cases(catalogue, options), Catch::Contains("prefill-1x8192"));
}
