#include "models/kernels/calibration.hpp"

#include <catch2/catch.hpp>

#include "models/kernels/kernel_model.hpp"

namespace foretoken::models::kernels {
namespace {

Table gemm(std::vector<std::string> formats, std::vector<float> format, std::vector<float> m,
           std::vector<float> seconds) {
  Table table{"gpu", "gemm", "vllm", "0.19.0", {"gemm_dtype", "m", "n", "k"}, {}, {}, {}};
  table.labels["gemm_dtype"] = std::move(formats);
  const std::vector<float> rest(m.size(), 4096.0F);
  table.values = {std::move(format), std::move(m), rest, rest};
  table.seconds = std::move(seconds);
  return table;
}

TEST_CASE("own rows take the place of the product's, new ones and new labels join") {
  Calibration base, own;
  base.tables.push_back(gemm({"bfloat16"}, {0, 0}, {1, 64}, {1e-5F, 2e-5F}));
  base.parameters["error/gemm/measured"] = 0.05;
  own.tables.push_back(gemm({"bfloat16", "fp8"}, {0, 1}, {64, 64}, {4e-5F, 3e-5F}));
  own.parameters["error/gemm/measured"] = 0.5;
  const Calibration both = merged(base, own);
  REQUIRE(both.tables.size() == 1);
  CHECK(both.tables[0].seconds == std::vector<float>{1e-5F, 4e-5F, 3e-5F});
  CHECK(both.tables[0].labels.at("gemm_dtype") == std::vector<std::string>{"bfloat16", "fp8"});
  CHECK(both.tables[0].values[0] == std::vector<float>{0, 0, 1});
  CHECK(both.parameters.at("error/gemm/measured") == 0.05);
}

TEST_CASE("tables of another operator, engine or shape stand beside the product's") {
  Calibration base, own;
  base.tables.push_back(gemm({"bfloat16"}, {0}, {1}, {1e-5F}));
  own.tables = base.tables;
  own.tables[0].engine = "sglang";
  CHECK(merged(base, own).tables.size() == 2);
  own.tables[0].engine = "vllm";
  own.tables[0].columns[3] = "depth";
  CHECK(merged(base, own).tables.size() == 2);
}

TEST_CASE("own measurements change what is predicted, near them and not far away") {
  hardware::NodeSpec node;
  node.gpus = 1;
  node.gpu.tables = "gpu";
  node.gpu.architecture = "hopper";
  node.gpu.sm_count = 132;
  node.gpu.memory_bandwidth = hardware::BytesPerSecond(3.35e12);
  node.gpu.l2_cache = hardware::Bytes(50e6);
  node.gpu.peak[hardware::DType::bf16] = hardware::FlopsPerSecond(989e12);
  auto base = std::make_shared<Calibration>();
  base->tables.push_back(gemm({"bfloat16"}, {0, 0, 0}, {1, 64, 8192}, {1.5e-5F, 1.6e-5F, 5e-4F}));
  Calibration own;
  own.tables.push_back(gemm({"bfloat16"}, {0}, {64}, {3.2e-5F}));
  const KernelModel before(node, {"vllm", "0.19.0"}, base);
  const KernelModel after(node, {"vllm", "0.19.0"},
                          std::make_shared<const Calibration>(merged(*base, own)));
  const auto us = [](const KernelModel& model, std::int64_t m) {
    return model.time(llm::GemmOp{m, 4096, 4096, llm::WeightFormat::bf16}).seconds * 1e6;
  };
  CHECK(us(before, 64) == Approx(16).epsilon(0.05));
  CHECK(us(after, 64) == Approx(32).epsilon(0.05));
  CHECK(us(after, 8192) == Approx(us(before, 8192)).epsilon(0.2));
}

TEST_CASE("one own measurement is believed against a dense table that contradicts it") {
  hardware::NodeSpec node;
  node.gpus = 1;
  node.gpu.tables = "gpu";
  node.gpu.architecture = "hopper";
  node.gpu.sm_count = 132;
  node.gpu.memory_bandwidth = hardware::BytesPerSecond(3.35e12);
  node.gpu.l2_cache = hardware::Bytes(50e6);
  node.gpu.peak[hardware::DType::bf16] = hardware::FlopsPerSecond(989e12);
  // What the physical model itself says, over m and n: every neighbour agrees.
  const KernelModel physics(node, {"vllm", "0.19.0"}, std::make_shared<Calibration>());
  std::vector<float> m, n, seconds;
  for (float rows = 1; rows <= 4096; rows *= 2)
    for (float columns = 512; columns <= 16384; columns *= 2) {
      m.push_back(rows);
      n.push_back(columns);
      const llm::GemmOp op{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns),
                           4096, llm::WeightFormat::bf16};
      seconds.push_back(static_cast<float>(physics.time(op).seconds));
    }
  auto base = std::make_shared<Calibration>();
  base->tables.push_back(gemm({"bfloat16"}, std::vector<float>(m.size(), 0.0F), m, seconds));
  base->tables[0].values[2] = n;
  const llm::GemmOp measured{64, 4096, 4096, llm::WeightFormat::bf16};
  const double plain = physics.time(measured).seconds;
  Calibration own;
  own.tables.push_back(gemm({"bfloat16"}, {0}, {64}, {static_cast<float>(2 * plain)}));
  const KernelModel after(node, {"vllm", "0.19.0"},
                          std::make_shared<const Calibration>(merged(*base, own)));
  CHECK(after.time(measured).seconds == Approx(2 * plain).epsilon(0.05));
  const llm::GemmOp far{4096, 16384, 4096, llm::WeightFormat::bf16};
  CHECK(after.time(far).seconds == Approx(physics.time(far).seconds).epsilon(0.05));
}

}  // namespace
}  // namespace foretoken::models::kernels
