#include "models/serving/pools.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"
#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;

namespace {

ServingSpec pair() {
  ServingSpec spec = small_spec(64, 8);
  spec.deployment.model.attention = {
      .heads = 4, .kv_heads = 4, .head_dim = 8, .mla = {}, .sparse = {}};
  spec.deployment.model.layers = 2;
  spec.deployment.role = PoolRole::prefill;
  spec.pools.push_back(spec.deployment);
  spec.pools[0].role = PoolRole::decode;
  return spec;
}

}  // namespace

TEST_CASE("Equal pools can exchange KV; each difference is named") {
  const ServingSpec good = pair();
  CHECK(kv_exchange_errors(good.deployment, good.pools[0]).empty());
  CHECK_NOTHROW(check_pools(good));
  ServingSpec bad = pair();
  bad.pools[0].precision.kv = foretoken::models::hardware::DType::fp8;
  bad.pools[0].engine.kv_block_tokens = 16;
  bad.pools[0].layout.tensor = 2;
  bad.pools[0].layout.pipeline = 2;
  CHECK(kv_exchange_errors(bad.deployment, bad.pools[0]).size() == 4);
  CHECK_THROWS_AS(check_pools(bad), foretoken::sim::core::InputError);
}

TEST_CASE("A latent cache is whole on every tensor rank, so that tensor sizes may differ") {
  ServingSpec spec = pair();
  foretoken::models::llm::MlaSpec mla;
  mla.kv_lora_rank = 512;
  mla.qk_rope_head_dim = 64;
  spec.deployment.model.attention.mla = spec.pools[0].model.attention.mla = mla;
  spec.pools[0].layout.tensor = 4;
  CHECK(kv_exchange_errors(spec.deployment, spec.pools[0]).empty());
  // 576 elements of two bytes in each of two layers
  CHECK(kv_bytes_per_token(spec.pools[0]) == Approx(576 * 2 * 2));
}

// 2 layers x (keys + values) x 4 heads x 8 x 2 bytes, on one GPU or split over four.
TEST_CASE("Bytes of a token do not depend on how many GPUs hold them") {
  ServingSpec spec = pair();
  CHECK(kv_bytes_per_token(spec.deployment) == Approx(256));
  spec.deployment.layout.tensor = 4;
  CHECK(kv_bytes_per_token(spec.deployment) == Approx(256));
}

TEST_CASE("Prefill and decode come together, schedules in order") {
  ServingSpec alone = pair();
  alone.pools.clear();
  CHECK_THROWS_AS(check_pools(alone), foretoken::sim::core::InputError);
  ServingSpec mixed = pair();
  mixed.pools.push_back(mixed.deployment);
  mixed.pools.back().role = PoolRole::whole;
  CHECK_THROWS_AS(check_pools(mixed), foretoken::sim::core::InputError);
  ServingSpec backwards = small_spec(8, 8);
  backwards.deployment.schedule = {{Duration::from_seconds(9), 1}, {Duration::from_seconds(3), 1}};
  CHECK_THROWS_WITH(check_pools(backwards), Catch::Contains("order of time"));
  ServingSpec both = small_spec(8, 8);
  both.deployment.schedule = {{Duration(), 1}};
  both.deployment.autoscale.requests_per_replica = 4;
  both.deployment.autoscale.interval = Duration::from_seconds(1);
  CHECK_THROWS_WITH(check_pools(both), Catch::Contains("not by both"));
}
