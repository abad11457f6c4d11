#include "analysis/web/run_job.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using web::RunJob;

std::vector<RunJob::Event> all_of(RunJob& job) {
  std::vector<RunJob::Event> events;
  for (int patience = 0; patience < 20;) {
    const auto event = job.next(events.size());
    if (!event) {
      ++patience;
      continue;
    }
    events.push_back(*event);
    if (event->name == "end") break;
  }
  return events;
}

TEST_CASE("lines become events: progress, messages, the end with its code") {
  RunJob job(
      {"/bin/sh", "-c",
       "echo '{\"progress\":{\"share\":0.5}}' >&2; echo 'a \"word\"' >&2; echo ignored; exit "
       "3"});
  const auto events = all_of(job);
  REQUIRE(events.size() == 3);
  CHECK(events[0].name == "progress");
  CHECK(events[0].data == "{\"share\":0.5}");
  CHECK(events[1].name == "message");
  CHECK(events[1].data == "\"a \\\"word\\\"\"");
  CHECK(events[2].data == "{\"exit_code\":3}");
  CHECK(job.ended());
}

TEST_CASE("an interrupt reaches it, also when nobody waits for it any more") {
  RunJob job({"/bin/sh", "-c", "exec sleep 30"});
  CHECK_FALSE(job.ended());
  job.interrupt();
  const auto events = all_of(job);
  REQUIRE(events.size() == 1);
  CHECK(events[0].data == "{\"exit_code\":130}");
  const RunJob forgotten({"/bin/sh", "-c", "exec sleep 30"});
}

TEST_CASE("what cannot be started is said so") {
  CHECK_THROWS_AS(RunJob({"/no/such/program"}), sim::core::InputError);
}

}  // namespace
}  // namespace foretoken::analysis
