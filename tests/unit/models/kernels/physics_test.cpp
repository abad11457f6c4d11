#include "models/kernels/physics.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>

using namespace foretoken::models;
using namespace foretoken::models::kernels;

TEST_CASE("between two calls in an engine weights and KV leave the cache, activations stay") {
  Machine alone;
  alone.architecture = "ada";
  alone.sms = 128;
  alone.bandwidth = 1e12;
  alone.l2 = 72e6;
  alone.peak[static_cast<std::size_t>(hardware::DType::bf16)] = 165e12;
  Machine inside = alone;
  inside.timed_in_engine = true;
  const llm::GemmOp weights{1, 2048, 4096, llm::WeightFormat::bf16};  // 17 MB
  CHECK(physical_seconds(weights, "", alone) < 1.4 * 17e6 / 1e12);
  CHECK(physical_seconds(weights, "", inside) > physical_seconds(weights, "", alone));
  CHECK(physical_seconds(weights, "", inside) > 17e6 / 1e12);
  const llm::ElementwiseOp pass{34e6, 1};
  CHECK(physical_seconds(pass, "", inside) == physical_seconds(pass, "", alone));

  std::map<std::string, double> kept;
  store_machine("gpu", inside, kept);
  Machine back;
  REQUIRE(load_machine("gpu", kept, back));
  CHECK(back.timed_in_engine);
}
