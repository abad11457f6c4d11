#include "models/serving/cluster.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace foretoken::models::serving;

TEST_CASE("Every reason has words of its own, and `none` has none") {
  std::set<std::string> words;
  for (std::size_t r = 0; r < kReasons; ++r) words.insert(in_words(static_cast<RequestReason>(r)));
  CHECK(words.size() == kReasons);
  CHECK(std::string(in_words(RequestReason::none)).empty());
}

TEST_CASE("Faults are there if anything can break") {
  FaultSpec faults;
  CHECK_FALSE(faults.any());
  faults.mean_between_s[static_cast<int>(FaultKind::link)] = 1e6;
  CHECK(faults.any());
  faults = {};
  faults.events.push_back({});
  CHECK(faults.any());
}
