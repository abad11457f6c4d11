#include "models/serving/prefix_cache.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "sim/core/random.hpp"

using namespace foretoken::models::serving;
using Id = PrefixCache::BlockId;

TEST_CASE("A prompt finds the leading blocks that an earlier one left") {
  PrefixCache cache({100});
  CHECK(cache.use(std::vector<Id>{1, 2, 3}).blocks == 0);
  CHECK(cache.use(std::vector<Id>{1, 2, 9, 3}).blocks == 2);  // 3 is there, but not behind 2
  CHECK(cache.use(std::vector<Id>{7, 1}).blocks == 0);
  CHECK(cache.use(std::vector<Id>{1, 2, 9, 3, 4}).blocks == 4);
  CHECK(cache.looked_up() == 14);
  CHECK(cache.found() == 6);
}

// Two blocks in the first tier, three in the second: what is used longest ago sinks, then goes.
TEST_CASE("Blocks sink through the tiers and rise when used") {
  PrefixCache cache({2, 3});
  for (Id id = 1; id <= 5; ++id) cache.use(std::vector<Id>{id});
  CHECK(cache.size(0) == 2);  // 4 and 5
  CHECK(cache.size(1) == 3);  // 1, 2 and 3
  const auto hit = cache.use(std::vector<Id>{1});
  CHECK(hit.from_tiers == std::vector<std::int64_t>{0, 1});
  cache.use(std::vector<Id>{6});                     // 2 goes out
  CHECK(cache.use(std::vector<Id>{2}).blocks == 0);  // and comes back, 3 goes
  CHECK(cache.use(std::vector<Id>{1}).blocks == 1);
  CHECK(cache.use(std::vector<Id>{3}).blocks == 0);
}

namespace {

// Brute force: a list, most recently used first, searched from the front.
std::int64_t replay(std::vector<Id>& list, std::size_t capacity, const std::vector<Id>& prompt) {
  std::int64_t hits = 0;
  for (const Id id : prompt) {
    if (std::find(list.begin(), list.end(), id) == list.end()) break;
    ++hits;
  }
  for (auto it = prompt.rbegin(); it != prompt.rend(); ++it) {
    const auto at = std::find(list.begin(), list.end(), *it);
    if (at != list.end()) list.erase(at);
    list.insert(list.begin(), *it);
    if (list.size() > capacity) list.pop_back();
  }
  return hits;
}

}  // namespace

// Prompts as trees make them: a shared system prompt, branches, a tail of their own.
TEST_CASE("Hit counts equal a brute-force replay") {
  foretoken::sim::core::Random random(11, 0, 0);
  for (const std::size_t capacity : {5U, 40U, 400U}) {
    PrefixCache one({static_cast<std::int64_t>(capacity)});
    PrefixCache two({static_cast<std::int64_t>(capacity / 2),
                     static_cast<std::int64_t>(capacity - capacity / 2)});
    std::vector<Id> list;
    for (int i = 0; i < 600; ++i) {
      std::vector<Id> prompt{1};
      const Id branch = random.below(12);
      const auto depth = random.below(6);
      for (Id k = 0; k < depth; ++k) prompt.push_back(100 + 10 * branch + k);
      if (random.chance(0.5)) prompt.push_back(10'000 + static_cast<Id>(i));
      const std::int64_t expected = replay(list, capacity, prompt);
      REQUIRE(one.use(prompt).blocks == expected);
      REQUIRE(two.use(prompt).blocks == expected);  // tiers hold what one cache would
    }
    CHECK(one.found() > 0);
  }
}
