#include "models/llm/expert_load.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

using namespace foretoken::models::llm;

namespace {

MoeOp moe(std::int64_t tokens, int experts, int top_k, int ranks, double skew) {
  MoeOp op;
  op.tokens = tokens;
  op.hidden = 7168;
  op.intermediate = 2048;
  op.top_k = top_k;
  op.experts = experts;
  op.expert = ranks;
  op.skew = skew;
  return op;
}

}  // namespace

TEST_CASE("balanced routing") {
  // 128 tokens x 8 over 256 experts on 8 ranks: 1024 pairs, 128 a rank, 4 an expert, all 32 touched
  const auto even = expert_load(moe(128, 256, 8, 8, 0));
  CHECK(even.routed_tokens == 128);
  CHECK(even.experts_touched == 32);
  CHECK(even.largest_expert == 4);
  // one token: 8 experts on 1 rank; on 8 ranks one each
  CHECK(expert_load(moe(1, 256, 8, 1, 0)).experts_touched == 8);
  CHECK(expert_load(moe(1, 256, 8, 8, 0)).experts_touched == 1);
}

TEST_CASE("skewed routing loads one rank more and touches fewer experts") {
  const auto even = expert_load(moe(4096, 256, 8, 8, 0));
  const auto mild = expert_load(moe(4096, 256, 8, 8, 0.6));
  const auto strong = expert_load(moe(4096, 256, 8, 8, 1.2));
  CHECK(mild.routed_tokens > even.routed_tokens);
  CHECK(strong.routed_tokens > mild.routed_tokens);
  CHECK(strong.largest_expert > mild.largest_expert);
  // on one rank nothing is slower than the rest, but cold experts stay untouched
  const auto alone = expert_load(moe(64, 256, 8, 1, 1.2));
  CHECK(alone.routed_tokens == Approx(512));
  CHECK(alone.experts_touched < 256);
}

TEST_CASE("one expert a rank: the busiest rank holds the most popular expert") {
  const auto load = expert_load(moe(1000, 128, 4, 128, 1.2));
  CHECK(load.routed_tokens == Approx(load.largest_expert));
}

TEST_CASE("redundant copies and placement even out the ranks") {
  // Skewed, placed blindly: one rank holds well over the mean. Rebalanced: the mean, unless one
  // expert alone holds more; copies cut that one.
  auto op = moe(4096, 256, 8, 128, 1.2);
  const double mean = 4096 * 8 / 128.0;
  const auto blind = expert_load(op);
  op.rebalanced = true;
  const auto placed = expert_load(op);
  CHECK(placed.routed_tokens < blind.routed_tokens);
  CHECK(placed.routed_tokens == Approx(std::max(mean, placed.largest_expert)));
  op.slots = 384;
  const auto copied = expert_load(op);
  CHECK(copied.largest_expert < placed.largest_expert);
  CHECK(copied.held == 3);
}

TEST_CASE("tiles pad each expert by itself") {
  // 64 tokens x 1 over 4 experts: 16 rows each fill a quarter of a tile of 64, so 4 tiles.
  CHECK(expert_load(moe(64, 4, 1, 1, 0)).tiles64 == 4);
}

TEST_CASE("loads stay within what routing allows") {
  CHECK(rc::check("bounds", [] {
    const int ranks = 1 << *rc::gen::inRange(0, 6);
    const int experts = ranks * *rc::gen::inRange(1, 9);
    const int top_k = *rc::gen::inRange(1, std::min(experts, 8) + 1);
    const std::int64_t tokens = *rc::gen::inRange(1, 20000);
    const double skew = *rc::gen::inRange(0, 16) / 10.0;
    const auto load = expert_load(moe(tokens, experts, top_k, ranks, skew));
    const double pairs = static_cast<double>(tokens) * top_k;
    RC_ASSERT(load.routed_tokens >= pairs / ranks * (1 - 1e-9));
    RC_ASSERT(load.routed_tokens <= pairs * (1 + 1e-9));
    RC_ASSERT(load.largest_expert <= static_cast<double>(tokens) * (1 + 1e-9));
    RC_ASSERT(load.experts_touched <= static_cast<double>(experts) / ranks * (1 + 1e-9));
    RC_ASSERT(load.experts_touched > 0);
  }));
}
