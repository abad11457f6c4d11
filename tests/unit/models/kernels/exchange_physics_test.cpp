#include "models/kernels/exchange_physics.hpp"

#include <catch2/catch.hpp>

#include "models/kernels/physics.hpp"

using namespace foretoken::models;
using kernels::exchange_seconds;
using kernels::ExchangeParameters;
using kernels::Machine;
using llm::ExpertExchangeOp;

namespace {

// H800: 200 GB/s of NVLink in one direction, a 400 Gb/s card for each of 8 GPUs.
Machine h800() {
  Machine machine;
  machine.architecture = "hopper";
  machine.sms = 132;
  machine.clock = 1.755e9;
  machine.scale_up = 200e9;
  machine.node_gpus = 8;
  machine.network = 50e9;
  machine.network_latency_s = 2e-6;
  return machine;
}

// DeepSeek-V3: hidden 7,168, 8 of 256 experts, at most 4 nodes a token, fp8 out and bf16 back.
ExpertExchangeOp v3(bool low_latency, bool combine, int ranks, std::int64_t tokens) {
  ExpertExchangeOp op;
  op.low_latency = low_latency;
  op.combine = combine;
  op.tokens = tokens;
  op.hidden = 7168;
  op.top_k = 8;
  op.experts = 256;
  op.ranks = ranks;
  op.group_limit = low_latency ? 0 : 4;
  op.payload = combine ? hardware::DType::bf16 : hardware::DType::fp8;
  return op;
}

double microseconds(const ExpertExchangeOp& op) {
  return exchange_seconds(op, h800(), ExchangeParameters{}) * 1e6;
}

}  // namespace

TEST_CASE("low latency as DeepEP publishes it: one share of the network rate for all") {
  // deepseek-ai/DeepEP, docs/legacy.md: H800, CX7 400 Gb/s, 128 tokens, us by expert ranks.
  struct Published {
    int ranks;
    double dispatch, combine;
  };
  const Published published[] = {{8, 77, 114},   {16, 118, 195},  {32, 155, 273},
                                 {64, 173, 314}, {128, 192, 369}, {256, 194, 360}};
  for (const auto& row : published) {
    CAPTURE(row.ranks);
    CHECK(microseconds(v3(true, false, row.ranks, 128)) == Approx(row.dispatch).epsilon(0.2));
    CHECK(microseconds(v3(true, true, row.ranks, 128)) == Approx(row.combine).epsilon(0.2));
  }
}

TEST_CASE("normal kernels as DeepEP publishes them") {
  // The same page: 4,096 tokens. One node: 153 and 158 GB/s of what the link brings, own rank
  // included. A token needs 8 (1 - C(224,8)/C(256,8)) = 5.30 of 8 ranks: 4,096 x 5.30 x 7,392 B
  // (scales included) = 160 MB take 1,049 us; 4,096 x 5.30 x 14,336 B take 1,970 us.
  CHECK(microseconds(v3(false, false, 8, 4096)) == Approx(1049).epsilon(0.2));
  CHECK(microseconds(v3(false, true, 8, 4096)) == Approx(1970).epsilon(0.2));
  // More nodes: 43, 58 and 51 GB/s of what the network would bring if the own node counted. A token
  // goes to 2, 4 and 4 nodes: 4,096 x 2 x 7,392 B = 60.6 MB and twice that.
  CHECK(microseconds(v3(false, false, 16, 4096)) == Approx(60.6e6 / 43e9 * 1e6).epsilon(0.25));
  CHECK(microseconds(v3(false, false, 32, 4096)) == Approx(121.1e6 / 58e9 * 1e6).epsilon(0.25));
  CHECK(microseconds(v3(false, false, 64, 4096)) == Approx(121.1e6 / 51e9 * 1e6).epsilon(0.25));
}

TEST_CASE("an exchange never beats its wire and grows with its tokens") {
  double before = 0;
  for (std::int64_t tokens = 1; tokens <= 65536; tokens *= 4) {
    for (const bool low_latency : {false, true}) {
      const auto op = v3(low_latency, false, 32, tokens);
      CHECK(exchange_seconds(op, h800(), {}) >= kernels::least_exchange_seconds(op, h800()));
    }
    const double now = microseconds(v3(true, false, 32, tokens));
    CHECK(now >= before);
    before = now;
  }
  CHECK(microseconds(v3(true, false, 32, 0)) == 0);
}

TEST_CASE("fewer SMs copy more slowly until the link is the bound") {
  auto op = v3(false, false, 8, 8192);
  op.sms = 4;
  const double four = microseconds(op);
  op.sms = 8;
  const double eight = microseconds(op);
  CHECK(eight < four);
  CHECK(eight > four / 2.001);
}
