#include "models/serving/faults.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::serving;
using foretoken::sim::core::Duration;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000'000;

FaultEvent event(FaultKind kind, int unit, double at_s, double lasts_s) {
  return {kind, 0, unit, Duration::from_seconds(at_s), Duration::from_seconds(lasts_s), 2.0};
}

}  // namespace

// Four replicas of two GPUs lie on one node of eight; replicas of 16 GPUs take two nodes each.
TEST_CASE("What a failing unit takes with it") {
  const PoolShape small{8, 2, 8}, large{3, 16, 8};
  CHECK(small.nodes() == 2);
  CHECK(large.nodes() == 6);
  const auto gpu = small.hit_by(FaultKind::gpu, 5);
  CHECK((gpu.first == 2 && gpu.last == 3));
  const auto node = small.hit_by(FaultKind::node, 1);
  CHECK((node.first == 4 && node.last == 8));
  const auto link = large.hit_by(FaultKind::link, 3);
  CHECK((link.first == 1 && link.last == 2));
}

// Eight replicas of two GPUs on two nodes; three of 16 on six nodes, four nodes a switch: the first
// takes nodes 0 to 3, replicas 0 and 1; the second nodes 4 and 5, replica 2.
TEST_CASE("A leaf switch takes the replicas of all nodes behind it") {
  const PoolShape small{8, 2, 8, 2}, large{3, 16, 8, 4}, odd{3, 16, 8, 3};
  const auto all = small.hit_by(FaultKind::leaf_switch, 0);
  CHECK((all.first == 0 && all.last == 8));
  const auto first = large.hit_by(FaultKind::leaf_switch, 0);
  CHECK((first.first == 0 && first.last == 2));
  const auto second = large.hit_by(FaultKind::leaf_switch, 1);
  CHECK((second.first == 2 && second.last == 3));
  const auto none = large.hit_by(FaultKind::leaf_switch, 1'000'000'000);
  CHECK(none.first >= none.last);
  // Nodes 0 to 2: half of the second replica's, which is enough.
  const auto half = odd.hit_by(FaultKind::leaf_switch, 0);
  CHECK((half.first == 0 && half.last == 2));
}

TEST_CASE("Storage and router are down as stated, whatever pool the event names, and at random") {
  FaultSpec faults;
  faults.events = {event(FaultKind::storage, 0, 1, 2), event(FaultKind::router, 0, 5, 1)};
  const auto storage = outages_of(faults, FaultKind::storage, 100 * kSecond, 1);
  REQUIRE(storage.size() == 1);
  CHECK(storage[0].from_ps == kSecond);
  CHECK(storage[0].to_ps == 3 * kSecond);
  CHECK(outages_of(faults, FaultKind::router, 100 * kSecond, 1).size() == 1);
  CHECK(outages_of(faults, 0, {4, 8, 8}, 100 * kSecond, 1)[0].empty());
  faults.events.clear();
  faults.mean_between_s[static_cast<int>(FaultKind::router)] = 10;
  faults.mean_repair_s[static_cast<int>(FaultKind::router)] = 1;
  CHECK(outages_of(faults, FaultKind::router, 1000 * kSecond, 1).size() > 50);
}

TEST_CASE("Failures that overlap are one; a straggler is slow, not down") {
  FaultSpec faults;
  faults.events = {event(FaultKind::gpu, 0, 10, 5), event(FaultKind::node, 0, 12, 10),
                   event(FaultKind::straggler, 1, 3, 4)};
  const auto outages = outages_of(faults, 0, {2, 1, 8}, 100 * kSecond, 1);
  REQUIRE(outages.size() == 2);
  REQUIRE(outages[0].size() == 1);
  CHECK(outages[0][0].from_ps == 10 * kSecond);
  CHECK(outages[0][0].to_ps == 22 * kSecond);
  CHECK(outages[0][0].down());
  REQUIRE(outages[1].size() == 2);  // slow from 3 to 7, down with the node from 12 to 22
  CHECK(outages[1][0].slowdown == 2.0);
  CHECK_FALSE(outages[1][0].down());
  CHECK(outages[1][1].down());
}

// Mean time up 100 s and down 25 s: down a fifth of the time.
TEST_CASE("Random faults have the stated means and follow the seed") {
  FaultSpec faults;
  faults.mean_between_s[static_cast<int>(FaultKind::node)] = 100;
  faults.mean_repair_s[static_cast<int>(FaultKind::node)] = 25;
  const PoolShape shape{200, 8, 8};
  const auto horizon = 10'000 * kSecond;
  const auto a = outages_of(faults, 0, shape, horizon, 1);
  double down = 0;
  for (const auto& replica : a)
    for (const Outage& outage : replica)
      down += static_cast<double>(outage.to_ps - outage.from_ps) / kSecond;
  CHECK(down / (200 * 10'000.0) == Approx(0.2).margin(0.01));
  const auto b = outages_of(faults, 0, shape, horizon, 1);
  const auto c = outages_of(faults, 0, shape, horizon, 2);
  REQUIRE((!a[0].empty() && !c[0].empty()));
  CHECK(a[0][0].from_ps == b[0][0].from_ps);
  CHECK(a[0][0].from_ps != c[0][0].from_ps);
}
