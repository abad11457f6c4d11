#include "models/serving/expert_balance.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

namespace foretoken::models::serving {
namespace {

// 256 experts, 8 a token, on 64 ranks that exchange tokens.
DeploymentSpec wide(double skew) {
  DeploymentSpec d;
  d.model.layers = 2;
  d.model.moe.emplace();
  d.model.moe->experts = 256;
  d.model.moe->top_k = 8;
  d.model.moe->intermediate = 2048;
  d.layout.data_attention = d.layout.expert = 64;
  d.layout.all_to_all = true;
  d.expert_skew = skew;
  return d;
}

}  // namespace

TEST_CASE("expert balance: nothing is uneven without experts, ranks or skew") {
  DeploymentSpec dense = wide(1.0);
  dense.model.moe.reset();
  CHECK(expert_balance(dense, 4096).busiest == 1.0);
  CHECK(expert_popularity(dense, 4096).empty());
  CHECK(expert_balance(wide(0.0), 4096).by_chance == 1.0);
  CHECK(expert_popularity(wide(0.0), 4096) == std::vector<double>{1.0});
  DeploymentSpec one = wide(1.0);
  one.layout.expert = 1;
  CHECK(expert_balance(one, 4096).busiest == Approx(1.0));
  CHECK(expert_balance(wide(1.0), 0).busiest == 1.0);
}

TEST_CASE("expert balance: rebalancing evens the ranks out, and drift takes part of it back") {
  DeploymentSpec d = wide(0.9);
  const ExpertBalance blind = expert_balance(d, 4096);
  CHECK(blind.busiest == blind.by_chance);
  CHECK(blind.busiest > 1.5);
  d.layout.redundant_experts = 32;
  const double chance = expert_balance(d, 4096).by_chance;
  d.expert_parallel.rebalanced = true;
  const ExpertBalance placed = expert_balance(d, 4096);
  CHECK(placed.by_chance == chance);
  CHECK(placed.busiest < 0.7 * chance);
  // A quarter of the traffic has moved: three parts as placed, one as by chance.
  d.expert_parallel.drift = 0.25;
  CHECK(expert_balance(d, 4096).busiest == Approx(0.75 * placed.busiest + 0.25 * chance));
}

// 32 ranks on 4 nodes are loaded as 4 ranks would be: b of the mean on the busiest. A token with 8
// experts passes a node with a quarter of the pairs by with 0.75^8, the busiest with (1 - b / 4)^8.
TEST_CASE("expert balance: nodes that nearly every token goes to are loaded nearly alike") {
  DeploymentSpec d = wide(0.9);
  d.layout.expert = 4;
  const double pairs = expert_balance(d, 4096).busiest;
  // On one node the same holds of ranks.
  const double once = (1 - std::pow(1 - pairs / 4, 8)) / (1 - std::pow(0.75, 8));
  CHECK(expert_balance(d, 4096).busiest_place == Approx(once));
  d.layout.expert = 32;
  d.layout.gpus_per_node = 8;
  const ExpertBalance balance = expert_balance(d, 4096);
  CHECK(balance.busiest_place == Approx(once));
  CHECK(balance.busiest_place < balance.busiest);
  // Two of the four nodes for each token: two draws.
  d.expert_parallel.token_nodes = 2;
  CHECK(expert_balance(d, 4096).busiest_place ==
        Approx((1 - std::pow(1 - pairs / 4, 2)) / (1 - std::pow(0.75, 2))));
  CHECK(expert_balance(wide(0.0), 4096).busiest_place == 1.0);
  d.layout.expert = 28;  // four nodes, the last half full
  d.expert_parallel.token_nodes = 0;
  CHECK(expert_balance(d, 4096).busiest_place > 1.0);
  CHECK(expert_balance(d, 4096).busiest_place < 1.2);
}

TEST_CASE("expert balance: experts that gather their tokens are not rebalanced") {
  DeploymentSpec d = wide(0.9);
  d.layout.all_to_all = false;
  d.expert_parallel.rebalanced = true;
  const ExpertBalance balance = expert_balance(d, 4096);
  CHECK(balance.busiest == balance.by_chance);
}

TEST_CASE("expert balance: two micro-batches halve the tokens of the kind that overlaps") {
  DeploymentSpec d = wide(0.9);
  d.expert_parallel.overlap_decode = true;
  CHECK(micro_batch_tokens(d, 101, false) == 51);
  CHECK(micro_batch_tokens(d, 101, true) == 101);
}

TEST_CASE("expert balance: popularity falls and its mean is 1") {
  const auto load = expert_popularity(wide(1.0), 4096);
  REQUIRE(load.size() == 32);
  CHECK(std::is_sorted(load.rbegin(), load.rend()));
  CHECK(std::accumulate(load.begin(), load.end(), 0.0) / 32 == Approx(1.0));
  // A token takes eight different experts: none gets more than every token, 256 / 8 = 32 times.
  CHECK(load.front() <= 32.0 + 1e-9);
  CHECK(load.front() > 3.0);
}

}  // namespace foretoken::models::serving
