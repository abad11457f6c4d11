#include "models/serving/router.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <set>

#include "sim/core/error.hpp"

using namespace foretoken::models::serving;
using foretoken::sim::core::Duration;

namespace {

std::uint32_t ask(Router& router, std::uint32_t request, std::int64_t tokens = 1,
                  std::int64_t session = -1, std::int64_t now_ps = 0) {
  return router.route({request, tokens, session, now_ps});
}

}  // namespace

TEST_CASE("Round robin needs no news and passes over what is out of service") {
  const auto router = make_router({"round_robin", {}, 1}, 3);
  CHECK_FALSE(router->needs_feedback());
  for (const std::uint32_t expected : {0U, 1U, 2U, 0U, 1U}) CHECK(ask(*router, 0) == expected);
  router->set_service(1, false);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 4; ++i) seen.insert(ask(*router, 0));
  CHECK(seen == std::set<std::uint32_t>{0, 2});
  router->set_service(1, true);
  seen.clear();
  for (int i = 0; i < 3; ++i) seen.insert(ask(*router, 0));
  CHECK(seen.size() == 3);
}

TEST_CASE("Least requests: the emptiest, the lowest number among equals") {
  const auto router = make_router({"least_requests", {}, 1}, 3);
  CHECK(router->needs_feedback());
  for (const std::uint32_t expected : {0U, 1U, 2U, 0U}) CHECK(ask(*router, 0) == expected);
  router->done(2, 1);  // open: 2, 1, 0
  CHECK(ask(*router, 0) == 2);
  CHECK(ask(*router, 0) == 1);  // 1 and 2 hold one each
  router->done(0, 1);
  router->done(0, 1);
  CHECK(ask(*router, 0) == 0);
  router->set_service(0, false);
  CHECK(ask(*router, 0) == 2);
}

TEST_CASE("Least tokens goes by what requests hold, not by how many there are") {
  const auto router = make_router({"least_tokens", {}, 1}, 2);
  CHECK(ask(*router, 0, 1000) == 0);
  for (int i = 0; i < 5; ++i) CHECK(ask(*router, 1, 100) == 1);
  router->done(0, 1000);
  CHECK(ask(*router, 2, 1) == 0);
}

// Loads seen at 0 ms hold until 10 ms: all four requests go to the replica that was empty then.
TEST_CASE("A router that looks at old loads herds") {
  const auto router = make_router({"least_requests", Duration::from_seconds(0.01), 1}, 2);
  CHECK(ask(*router, 0) == 0);
  for (std::uint32_t i = 1; i < 4; ++i) CHECK(ask(*router, i, 1, -1, 9'000'000'000) == 0);
  CHECK(ask(*router, 4, 1, -1, 10'000'000'000) == 1);
}

// Of two replicas both are drawn, so that power of two is least requests.
TEST_CASE("Power of two picks the less loaded of the drawn") {
  const auto router = make_router({"power_of_two", {}, 7}, 2);
  for (std::uint32_t i = 0; i < 10; ++i) ask(*router, i);
  CHECK(router->open_requests(0) == 5);
  CHECK(router->open_requests(1) == 5);
  const auto many = make_router({"power_of_two", {}, 7}, 16);
  for (std::uint32_t i = 0; i < 160; ++i) ask(*many, i);
  for (std::uint32_t i = 0; i < 16; ++i) CHECK(many->open_requests(i) <= 14);
}

TEST_CASE("Random is the same for the same seed and reaches everyone") {
  const auto a = make_router({"random", {}, 3}, 4), b = make_router({"random", {}, 3}, 4);
  std::array<int, 4> count{};
  for (std::uint32_t i = 0; i < 400; ++i) {
    const auto chosen = ask(*a, i);
    CHECK(chosen == ask(*b, i));
    ++count[chosen];
  }
  for (const int n : count) CHECK(n > 60);  // 100 expected, standard deviation 8.7
}

TEST_CASE("A session stays; when its replica leaves, only its own sessions move") {
  const auto router = make_router({"session_affinity", {}, 5}, 5);
  std::array<std::uint32_t, 50> home{};
  for (std::uint32_t s = 0; s < 50; ++s) home[s] = ask(*router, s, 1, s);
  for (std::uint32_t s = 0; s < 50; ++s) CHECK(ask(*router, 100 + s, 1, s) == home[s]);
  router->set_service(2, false);
  for (std::uint32_t s = 0; s < 50; ++s) {
    const auto now = ask(*router, 200 + s, 1, s);
    CHECK(now != 2);
    if (home[s] != 2) CHECK(now == home[s]);
  }
}

// 33 requests of one session and none elsewhere: 33 - 0 > 32 and more than 1.1 times as many.
TEST_CASE("Prefix-aware leaves a session's replica once it is much busier") {
  const auto router = make_router({"prefix_aware", {}, 5}, 2);
  const auto home = ask(*router, 0, 1, 42);
  for (std::uint32_t i = 1; i < 33; ++i) CHECK(ask(*router, i, 1, 42) == home);
  CHECK(ask(*router, 33, 1, 42) != home);
}

TEST_CASE("An unknown router is refused by name, with the names there are") {
  CHECK_THROWS_WITH(make_router({"fastest", {}, 1}, 2), Catch::Contains("power_of_two"));
  for (const RouterInfo& policy : router_policies())
    CHECK_NOTHROW(make_router({std::string(policy.name), {}, 1}, 2));
}
