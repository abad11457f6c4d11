#include "models/serving/router.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

using namespace foretoken::models::serving;

TEST_CASE("Round robin needs no news") {
  const auto router = make_router("round_robin", 3);
  CHECK_FALSE(router->needs_feedback());
  for (const std::uint32_t expected : {0U, 1U, 2U, 0U, 1U}) CHECK(router->route() == expected);
}

TEST_CASE("Least requests: the emptiest, the lowest number among equals") {
  const auto router = make_router("least_requests", 3);
  CHECK(router->needs_feedback());
  for (const std::uint32_t expected : {0U, 1U, 2U, 0U}) CHECK(router->route() == expected);
  router->done(2);  // open: 2, 1, 0
  CHECK(router->route() == 2);
  CHECK(router->route() == 1);  // 1 and 2 hold one each
  router->done(0);
  router->done(0);
  CHECK(router->route() == 0);
}

TEST_CASE("An unknown router is refused by name") {
  CHECK_THROWS_AS(make_router("fastest", 2), foretoken::sim::core::InputError);
}
