// What of an operator goes between nodes: by hand, and against the operator on half the network.
#include "models/kernels/network_part.hpp"

#include <catch2/catch.hpp>

#include "models/kernels/collective_physics.hpp"
#include "models/kernels/exchange_physics.hpp"
#include "models/kernels/physics.hpp"

using namespace foretoken::models::kernels;
namespace llm = foretoken::models::llm;

namespace {

Machine machine() {
  Machine m;
  m.scale_up = 450e9;
  m.pcie = 50e9;
  m.node_gpus = 8;
  m.network = 40e9;
  m.network_latency_s = 5e-6;
  return m;
}

llm::CollectiveOp sum_over(int gpus) {
  return {llm::CollectiveKind::all_reduce, 1e8, gpus, llm::DType::bf16, gpus > 8};
}

llm::ExpertExchangeOp exchange(bool low_latency, int ranks) {
  llm::ExpertExchangeOp op;
  op.low_latency = low_latency;
  op.tokens = low_latency ? 128 : 4096;
  op.hidden = 7168;
  op.top_k = 8;
  op.experts = 256;
  op.ranks = ranks;
  return op;
}

}  // namespace

// 16 GPUs on two nodes: a GPU's eighth of the buffer, 12.5 MB, goes round a ring of two: 2 x 1/2.
TEST_CASE("a sum over two nodes sends every GPU's share once") {
  const PhysicalParameters p;
  const NetworkPart part = network_part(llm::OperatorShape(sum_over(16)), machine(), p);
  CHECK(part.bytes == Approx(12.5e6));
  CHECK(part.wire_s == Approx(12.5e6 / (p.collective.network_efficiency * 40e9)));
  CHECK(network_part(llm::OperatorShape(sum_over(8)), machine(), p).bytes == 0.0);
  CHECK(network_part(llm::OperatorShape(llm::ElementwiseOp{1e6, 1}), machine(), p).bytes == 0.0);
}

TEST_CASE("half a network adds what it is said to add") {
  const PhysicalParameters p;
  Machine half = machine();
  half.network /= 2;
  for (const int gpus : {16, 32, 64}) {
    const auto op = sum_over(gpus);
    CHECK(collective_seconds(op, "", half, p.collective) -
              collective_seconds(op, "", machine(), p.collective) ==
          Approx(network_part(op, machine(), p.collective).added_s));
  }
  for (const bool low_latency : {false, true})
    for (const int ranks : {16, 64}) {
      const auto op = exchange(low_latency, ranks);
      const NetworkPart part = network_part(op, machine(), p.exchange);
      const double alone = exchange_seconds(op, machine(), p.exchange);
      CHECK(exchange_seconds(op, half, p.exchange) - alone == Approx(part.added_s));
      CHECK(part.added_s > 0.0);
      CHECK(part.wire_s <= alone);
      CHECK(part.bytes / part.wire_s <= machine().network);  // nothing beats the wire
    }
  CHECK(network_part(exchange(true, 8), machine(), p.exchange).bytes == 0.0);
}
