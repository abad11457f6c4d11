#include "models/kernels/kernel_model.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

using namespace foretoken;
using namespace foretoken::models;
using kernels::Calibration;
using kernels::KernelModel;
using kernels::Table;
using sim::core::Provenance;

namespace {

// Round figures near those of a large GPU: 5 TB/s, 1,000 TFLOP/s at bf16, 100 units.
hardware::NodeSpec node() {
  hardware::NodeSpec node;
  node.name = "test";
  node.gpus = 8;
  node.scale_up = "nvswitch";
  node.scale_up_latency_s = 1e-6;
  auto& gpu = node.gpu;
  gpu.name = "test-gpu";
  gpu.architecture = "hopper";
  gpu.tables = "test_gpu";
  gpu.sm_count = 100;
  gpu.memory = hardware::Bytes(100e9);
  gpu.memory_bandwidth = hardware::BytesPerSecond(5e12);
  gpu.l2_cache = hardware::Bytes(50e6);
  gpu.peak[hardware::DType::bf16] = hardware::FlopsPerSecond(1e15);
  gpu.peak[hardware::DType::fp8] = hardware::FlopsPerSecond(2e15);
  gpu.scale_up_bandwidth = hardware::BytesPerSecond(450e9);
  gpu.pcie_bandwidth = hardware::BytesPerSecond(64e9);
  return node;
}

// One bf16 GEMM table of n = k = 4,096 at the given m.
std::shared_ptr<const Calibration> gemm_table(const std::vector<float>& m,
                                              const std::vector<float>& seconds) {
  Table table;
  table.gpu = "test_gpu";
  table.op = "gemm";
  table.engine = "vllm";
  table.version = "0.19.0";
  table.columns = {"gemm_dtype", "m", "n", "k"};
  table.labels["gemm_dtype"] = {"bfloat16"};
  table.values = {std::vector<float>(m.size(), 0.0F), m, std::vector<float>(m.size(), 4096.0F),
                  std::vector<float>(m.size(), 4096.0F)};
  table.seconds = seconds;
  auto calibration = std::make_shared<Calibration>();
  calibration->tables.push_back(table);
  calibration->parameters["error/gemm/measured"] = 0.05;
  calibration->parameters["error/gemm/analytical"] = 0.2;
  return calibration;
}

llm::GemmOp gemm(std::int64_t m) { return {m, 4096, 4096, llm::WeightFormat::bf16}; }

}  // namespace

TEST_CASE("a measured shape takes its measured time, and says whose it is") {
  // Weights of 4,096 x 4,096 x 2 B = 33.6 MB take 6.7 us at 5 TB/s; 2 x 4,096^3 = 137 GFLOP take
  // 137 us at 1,000 TFLOP/s. Measured: 9, 10 and 200 us, all slower than those limits.
  const KernelModel model(node(), {"vllm", "0.19.0"},
                          gemm_table({1, 64, 4096}, {9e-6F, 10e-6F, 200e-6F}));
  const auto small = model.time(gemm(1));
  CHECK(small.seconds == Approx(9e-6).epsilon(0.02));
  CHECK(small.provenance == Provenance::measured);
  CHECK(small.relative_error == 0.05);
  CHECK_THAT(small.source, Catch::Contains("test_gpu/gemm.vllm-0.19.0"));
  CHECK(model.time(gemm(4096)).seconds == Approx(200e-6).epsilon(0.02));
  // Between two measured shapes the time lies between theirs.
  const double between = model.time(gemm(512)).seconds;
  CHECK(between > 9e-6);
  CHECK(between < 200e-6);
}

TEST_CASE("nothing is faster than the memory that holds its weights") {
  // The table claims 1 us, seven times faster than 33.6 MB can be read at 5 TB/s (6.7 us).
  const KernelModel model(node(), {"vllm", "0.19.0"}, gemm_table({1, 64}, {1e-6F, 1e-6F}));
  CHECK(model.time(gemm(1)).seconds >= 33.5e6 / 5e12);
}

TEST_CASE("another version of the engine serves, named and trusted less") {
  const KernelModel model(node(), {"vllm", "0.14.0"},
                          gemm_table({1, 64, 4096}, {9e-6F, 10e-6F, 200e-6F}));
  const auto time = model.time(gemm(64));
  CHECK(time.seconds == Approx(10e-6).epsilon(0.02));
  CHECK(time.provenance != Provenance::measured);
  CHECK_THAT(time.source, Catch::Contains("0.19.0"));
}

TEST_CASE("a GPU without measurements is predicted from its card") {
  auto empty = std::make_shared<Calibration>();
  const KernelModel model(node(), {"vllm", "0.19.0"}, empty);
  double before = 0.0;
  for (std::int64_t m = 1; m <= 65536; m *= 4) {
    const auto time = model.time(gemm(m));
    CHECK(time.provenance == Provenance::analytical);
    CHECK(time.relative_error == 1.0);  // nobody validated it
    // Roofline: bytes of A, B and C at 5 TB/s, 2 m n k at 1,000 TFLOP/s. Real kernels stay within
    // 30 times of it even for tiny shapes, whose floor is a launch of a few microseconds.
    const double bytes = 2.0 * (4096.0 * 4096.0 + 2.0 * static_cast<double>(m) * 4096.0);
    const double flops = 2.0 * static_cast<double>(m) * 4096.0 * 4096.0;
    const double limit = std::max(bytes / 5e12, flops / 1e15);
    CHECK(time.seconds >= limit);
    CHECK(time.seconds < 3.0 * limit + 20e-6);
    CHECK(time.seconds >= before * 0.98);  // more rows never make it clearly faster
    before = time.seconds;
  }
}

TEST_CASE("a collective never beats the wire") {
  // All-reduce of 64 MB over 8 GPUs: 2 x 7/8 x 64 MB = 112 MB a GPU at 450 GB/s take 249 us;
  // in-switch reduction sends each byte once: 64 MB at 450 GB/s take 142 us.
  auto empty = std::make_shared<Calibration>();
  const KernelModel model(node(), {"vllm", "0.19.0"}, empty);
  const llm::CollectiveOp op{llm::CollectiveKind::all_reduce, 64e6, 8, hardware::DType::bf16,
                             false};
  const double seconds = model.time(op).seconds;
  CHECK(seconds >= 142e-6);
  CHECK(seconds < 1e-3);
}
