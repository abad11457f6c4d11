#include <catch2/catch.hpp>

#include "models/llm/operators.hpp"

using namespace foretoken::models;
using namespace foretoken::models::llm;

namespace {

constexpr MlaSpec kV3{1536, 512, 128, 64, 128};

MlaBlockOp block(bool prefill, std::int64_t batch, std::int64_t tokens, double context) {
  MlaBlockOp op;
  op.prefill = prefill;
  op.batch = batch;
  op.tokens = tokens;
  op.context = context;
  op.hidden = 7168;
  op.heads = 128;
  op.dims = kV3;
  return op;
}

}  // namespace

TEST_CASE("a decoding block does the products of a DeepSeek-V3 attention layer") {
  // One token: 7,168 x 2,112 in, 1,536 x 24,576 queries, 2 x 128 x 512 x 128 absorbed, 16,384 x
  // 7,168 out = 187.1 M weights, 374.2 MFLOP; the core over 1,000 tokens: 2 x 128 x (2 x 512 + 64)
  // x 1,000 = 278.5 MFLOP.
  const double weights = 7168.0 * 2112 + 1536.0 * 24576 + 2.0 * 128 * 512 * 128 + 16384.0 * 7168;
  CHECK(weights == Approx(187.1e6).epsilon(1e-3));
  CHECK(flops(block(false, 1, 1, 1000)).value() == Approx(2 * weights + 278.5e6).epsilon(1e-3));
  // It reads at least its weights and the cache: 1,000 x 576 x 2 B = 1.15 MB.
  CHECK(bytes_moved(block(false, 1, 1, 1000)).value() >= 2 * weights + 1.15e6);
}

TEST_CASE("a prefilling block expands cached tokens too") {
  // 100 new over 50 cached: kv_b for 150 tokens, 2 x 150 x 512 x 32,768 FLOP; without the cached
  // ones a third less.
  const double with = flops(block(true, 1, 100, 50)).value();
  const double without = flops(block(true, 1, 100, 0)).value();
  const double kv_b = 2 * 50.0 * 512 * 128 * 256;
  const double core = 2 * 100.0 * 50 * 128 * (128 + 64 + 128);
  CHECK(with - without == Approx(kv_b + core).epsilon(1e-9));
}

TEST_CASE("a token goes to each rank and node that holds one of its experts") {
  ExpertExchangeOp op;
  op.tokens = 1000;
  op.hidden = 1024;
  op.top_k = 2;
  op.experts = 4;
  op.ranks = 2;
  // 2 of 4 experts, 2 a rank: a rank is missed with C(2,2)/C(4,2) = 1/6, so 2 x 5/6 ranks.
  CHECK(exchange_traffic(op, 8).messages == Approx(1000 * 2 * 5 / 6.0));
  CHECK(exchange_traffic(op, 8).node_messages == Approx(1000));
  CHECK(exchange_traffic(op, 1).node_messages == Approx(1000 * 2 * 5 / 6.0));
  CHECK(exchange_traffic(op, 8).message_bytes == 2 * 1024 + 16);
  op.payload = DType::fp8;
  CHECK(exchange_traffic(op, 8).message_bytes == 1024 + 8 * 4 + 16);
  op.low_latency = true;
  CHECK(exchange_traffic(op, 8).messages == 2000);
  // DeepSeek-V3 on 8 nodes, at most 4 of them: 4 nodes a token when 8 experts are picked.
  ExpertExchangeOp v3;
  v3.tokens = 1;
  v3.top_k = 8;
  v3.experts = 256;
  v3.ranks = 64;
  v3.group_limit = 4;
  CHECK(exchange_traffic(v3, 8).node_messages == 4);
  CHECK(exchange_traffic(v3, 8).messages < 8);
  CHECK(exchange_traffic(v3, 8).messages > 4);
}
