#include "sim/engine/horizon.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace foretoken::sim::engine;

namespace {

class Quiet final : public Process {
  void handle(Context&, const Event&) override {}
};

// `n` processes, each in a partition of its own.
Blueprint blueprint(std::uint32_t n) {
  Blueprint b;
  b.partitions = n;
  for (std::uint32_t i = 0; i < n; ++i) {
    b.processes.push_back(std::make_unique<Quiet>());
    b.partition_of.push_back(i);
    b.names.emplace_back();
  }
  return b;
}

constexpr std::uint64_t kNever = EventQueue::kNever;

std::vector<std::uint64_t> limits(const System& system, const std::vector<Outlook>& outlooks) {
  Horizon horizon(system);
  const auto l = horizon.limits(outlooks, horizon.earliest_arrival(outlooks));
  return {l.begin(), l.end()};
}

}  // namespace

TEST_CASE("a chain: nobody can reach its head, its tail waits for the middle") {
  // 0 -> 1 -> 2 with delays 10 and 5; next events at 100, 40, 0.
  Blueprint b = blueprint(3);
  b.channels = {{0, 1, 1, 10}, {1, 2, 1, 5}};
  const System system(b);
  const auto l = limits(system, {{100}, {40}, {0}});
  CHECK(l[0] == kNever);
  CHECK(l[1] == 110);  // 100 + 10
  CHECK(l[2] == 45);   // 40 + 5, before anything 0 sends can pass through 1 (115)
}

TEST_CASE("a star: an absolute promise of the centre lets every leaf run to it") {
  // Centre 0 and leaves 1, 2, each 20 away; the next arrival, promised, is at 500.
  Blueprint b = blueprint(3);
  b.channels = {{0, 1, 2, 20}, {1, 0, 1, 20}, {2, 0, 1, 20}};
  const System system(b);
  SECTION("without it a leaf may be answered to what the other sends") {
    // Leaf 1 acts at 100: at the centre 120, back at a leaf 140.
    const auto l = limits(system, {{500}, {100}, {300}});
    CHECK(l[1] == 140);
    CHECK(l[2] == 140);
    CHECK(l[0] == 120);
  }
  SECTION("with it both leaves run to 520") {
    const auto l = limits(system, {{500, 500, true}, {100}, {300}});
    CHECK(l[1] == 520);
    CHECK(l[2] == 520);
    CHECK(l[0] == 120);
  }
  SECTION("a promise that a message voids does not help") {
    const auto l = limits(system, {{500, 500, false}, {100}, {300}});
    CHECK(l[1] == 140);
  }
  SECTION("a leaf that promises to be silent lets the centre run") {
    const auto l = limits(system, {{500, 500, true}, {100, 250, true}, {300}});
    CHECK(l[0] == 270);  // 250 + 20
  }
}

TEST_CASE("partitions that hold a process that may stop the run hold the others") {
  class Stopper final : public Process {
    void handle(Context&, const Event&) override {}
    bool may_stop() const override { return true; }
  };
  Blueprint b = blueprint(2);
  b.processes[1] = std::make_unique<Stopper>();
  b.channels = {{0, 1, 1, 1000}, {1, 0, 1, 1000}};
  const System system(b);
  const auto l = limits(system, {{10}, {50}});
  CHECK(l[0] == 51);    // events at 50 still run
  CHECK(l[1] == 1010);  // its own turn is not held
}

TEST_CASE("with everyone connected only the first speaker is held by the second") {
  Blueprint b = blueprint(20);
  for (std::uint32_t i = 0; i < 20; ++i) b.channels.push_back({i, 0, 20, 10});
  const System system(b);
  REQUIRE(system.dense);
  std::vector<Outlook> outlooks(20, Outlook{200});
  outlooks[3].next = 100;
  outlooks[7].next = 105;
  const auto l = limits(system, outlooks);
  CHECK(l[0] == 110);
  CHECK(l[7] == 110);
  CHECK(l[3] == 115);  // 105 + 10; an answer to itself could come at 120
}
