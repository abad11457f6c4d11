// A serving run returns the same bytes whatever ran it.
#include <catch2/catch.hpp>

#include "tests/determinism/serving_cases.hpp"

using namespace foretoken::models::serving::testing;
using foretoken::sim::engine::ExecutorKind;
using foretoken::sim::engine::RunOptions;

TEST_CASE("Serial and threaded runs return the same bytes") {
  for (const Case& c : serving_cases()) {
    const auto serial = run_case(c, {});
    CHECK(serial.conservation_errors.empty());
    REQUIRE(serial.completed + serial.rejected == serial.arrived);
    const std::uint64_t expected = digest(serial);
    for (const int threads : {1, 2, 4})
      for (const bool always : {false, true}) {
        RunOptions options;
        options.executor = ExecutorKind::threads;
        options.threads = threads;
        options.always_windows = always;
        options.shuffle_mailboxes = static_cast<std::uint64_t>(threads);
        INFO(c.name << ", " << threads << " threads");
        CHECK(digest(run_case(c, options)) == expected);
      }
  }
}

TEST_CASE("A run stopped at a time returns the same bytes") {
  std::int64_t unfinished = 0;
  for (const Case& c : serving_cases()) {
    RunOptions options;
    options.until = foretoken::sim::core::Time::from_ps(17'123'456'789'012);
    const auto serial = run_case(c, options);
    CHECK(serial.conservation_errors.empty());
    unfinished += serial.unfinished;
    options.executor = ExecutorKind::threads;
    options.threads = 3;
    options.always_windows = true;
    INFO(c.name);
    CHECK(digest(run_case(c, options)) == digest(serial));
  }
  CHECK(unfinished > 0);  // some case was stopped in the middle
}

TEST_CASE("Cases preempt and refuse, and seeds matter") {
  std::int64_t preempted = 0;
  for (Case c : serving_cases()) {
    const auto first = run_case(c, {});
    preempted += first.preemptions;
    c.spec.seed = 2;
    CHECK(digest(run_case(c, {})) != digest(first));
  }
  CHECK(preempted > 0);
}
