#include "sim/engine/gate.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using foretoken::sim::engine::Gate;

TEST_CASE("nobody works outside an open window, and nothing is left when it closes") {
  constexpr int kWindows = 3000;
  constexpr int kParts = 8;
  Gate gate;
  std::atomic<int> left{0};  // parts of the window that are not claimed
  std::atomic<bool> open{false};
  std::atomic<int> outside{0};  // work done while the gate was closed
  int done = 0;                 // not atomic: the gate must order it
  std::atomic<int> claimed{0};
  const auto work = [&] {
    if (!open.load()) ++outside;
    while (left.fetch_sub(1) > 0) ++claimed;
    if (!open.load()) ++outside;
  };
  std::vector<std::thread> helpers;
  for (int i = 0; i < 3; ++i) helpers.emplace_back([&] { gate.help(work); });
  for (int w = 0; w < kWindows; ++w) {
    left.store(kParts);
    open.store(true);
    gate.open();
    work();
    gate.close();
    open.store(false);
    done += claimed.exchange(0);
    REQUIRE(done == (w + 1) * kParts);
    if (w % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // they sleep
  }
  gate.end();
  for (std::thread& helper : helpers) helper.join();
  CHECK(outside == 0);
}

TEST_CASE("a helper that comes after the end returns at once") {
  Gate gate;
  gate.open();
  gate.close();
  gate.end();
  int worked = 0;
  gate.help([&] { ++worked; });
  CHECK(worked == 0);
  gate.reset();
  gate.end();
  gate.help([&] { ++worked; });
  CHECK(worked == 0);
}
