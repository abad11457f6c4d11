#include "sim/core/error.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::sim::core;

TEST_CASE("a diagnostic shows its place, the line and a caret") {
  const Diagnostic d{"a.yaml", 3, 9, "unknown key 'tensr'; did you mean 'tensor'?",
                     "\tpar: {tensr: 8}"};
  CHECK(to_string(d) ==
        "a.yaml:3:9: error: unknown key 'tensr'; did you mean 'tensor'?\n"
        "  \tpar: {tensr: 8}\n"
        "  \t       ^");
}

TEST_CASE("a diagnostic without a place is only its message") {
  CHECK(to_string(Diagnostic{"", 0, 0, "no work", "", true}) == "warning: no work");
}

TEST_CASE("an input error lists every problem") {
  const InputError error({{"f", 1, 2, "one", ""}, {"f", 4, 0, "two", ""}});
  CHECK(std::string(error.what()) == "f:1:2: error: one\nf:4: error: two");
  CHECK(error.diagnostics().size() == 2);
}

TEST_CASE("a failed assertion says what went wrong in words") {
  CHECK_THROWS_WITH([] { SIM_ASSERT(1 == 2, "the sky has fallen"); }(),
                    Catch::Contains("the sky has fallen") && Catch::Contains("1 == 2"));
}
