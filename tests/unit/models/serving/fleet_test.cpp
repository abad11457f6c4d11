#include "models/serving/fleet.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::serving;
using Stage = Fleet::Stage;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000'000;

PoolPlan pool(PoolRole role, std::uint32_t replicas) {
  PoolPlan plan;
  plan.role = role;
  plan.replicas = replicas;
  return plan;
}

}  // namespace

TEST_CASE("Replicas are numbered pool by pool; each stage routes over its own") {
  Fleet fleet({pool(PoolRole::prefill, 2), pool(PoolRole::decode, 3)}, {}, {});
  CHECK(fleet.size() == 5);
  CHECK(fleet.first_of(1) == 2);
  CHECK(fleet.pool_of(4) == 1);
  CHECK(fleet.needs_feedback());
  CHECK(fleet.route(Stage::entry, {}) == 0);
  CHECK(fleet.route(Stage::entry, {}) == 1);
  for (const std::uint32_t expected : {2U, 3U, 4U, 2U})
    CHECK(fleet.route(Stage::decode, {}) == expected);
  CHECK(fleet.open_requests() == 6);
  CHECK(fleet.open_in(1) == 4);
  fleet.done(2, 0);
  CHECK(fleet.open_in(1) == 3);
  CHECK(fleet.open_per_replica(Stage::entry) == Approx(1.0));
}

TEST_CASE("In service while wanted and not known to be down") {
  Fleet fleet({pool(PoolRole::whole, 3)}, {}, {});
  fleet.want(0, 2, 0);
  fleet.set_health(0, false);
  for (int i = 0; i < 3; ++i) CHECK(fleet.route(Stage::entry, {}) == 1);
  fleet.want(0, 0, kSecond);
  CHECK_FALSE(fleet.can_route(Stage::entry));
  fleet.set_health(0, true);
  CHECK_FALSE(fleet.can_route(Stage::entry));
  fleet.want(0, 1, 2 * kSecond);
  CHECK(fleet.route(Stage::entry, {}) == 0);
}

// Three replicas for 10 s, one for 20 s, two for 5 s: 30 + 20 + 10 replica-seconds.
TEST_CASE("Replica-seconds follow the size of the pool") {
  Fleet fleet({pool(PoolRole::whole, 3)}, {}, {});
  fleet.want(0, 1, 10 * kSecond);
  fleet.want(0, 2, 30 * kSecond);
  CHECK(fleet.wanted_seconds(0, 35 * kSecond) == Approx(60.0));
}
