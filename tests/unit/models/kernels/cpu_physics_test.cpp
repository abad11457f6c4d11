#include "models/kernels/cpu_physics.hpp"

#include <catch2/catch.hpp>

#include "models/kernels/kernel_model.hpp"

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

// Round numbers: 100 GB/s, 10 cores at 1 GHz, 1 TFLOP/s of vectors, AMX that is not the limit.
CpuMachine machine() {
  CpuMachine m;
  m.cores = 10;
  m.clock = 1e9;
  m.bandwidth = 100e9;
  m.vector_flops = 1e12;
  m.matrix_flops = 1e15;
  m.socket_bandwidth = 50e9;
  m.socket_latency_s = 1e-6;
  return m;
}

const CpuParameters kPlain{0.5, 1e-5, 100, 0.5, 8, 0.5, 2e-5, 0.2};

TEST_CASE("a matrix-vector product: launch, weights from memory, arithmetic, one after another") {
  // bytes: 1 x 1000 x 2 + 1 x 1000 x 2 + 1000 x 1000 x 2 = 2,004,000; at 50 GB/s 40.08 us.
  // flops: 2e6 at 100 a clock x 10 cores x 1 GHz = 1e12/s: 2 us. Launch 10 us.
  const llm::GemmOp op{1, 1000, 1000, WeightFormat::bf16};
  CHECK(cpu_seconds(op, machine(), 1, kPlain) == Approx(52.08e-6));
  // Two sockets: 10 + 42.08 / 2 = 31.04 us.
  CHECK(cpu_seconds(op, machine(), 2, kPlain) == Approx(31.04e-6));
}

TEST_CASE("8-bit integers multiply as they are, other narrow formats are widened first") {
  const auto seconds = [](WeightFormat format) {
    return cpu_seconds(llm::GemmOp{1, 1000, 1000, format}, machine(), 1, kPlain);
  };
  // int8: 1,004,000 B at 50 GB/s 20.08 us + 2 us + 10 us.
  CHECK(seconds(WeightFormat::int8_wo) == Approx(32.08e-6));
  // fp8: as many bytes, and 1e6 weights at 8 a clock x 10 cores x 1 GHz: 12.5 us.
  CHECK(seconds(WeightFormat::fp8) == Approx(44.58e-6));
}

TEST_CASE("without AMX the vector units multiply; with it their feed or its peak is the limit") {
  const llm::GemmOp op{1000, 1000, 1000, WeightFormat::bf16};  // 2e9 flops, 6e6 bytes
  CpuMachine m = machine();
  const double rest = 10e-6 + 6e6 / 50e9;
  CHECK(cpu_seconds(op, m, 1, kPlain) == Approx(rest + 2e9 / 1e12));
  m.matrix_flops = 0.25e12;
  CHECK(cpu_seconds(op, m, 1, kPlain) == Approx(rest + 2e9 / 0.25e12));
  m.matrix_flops = 0;
  CHECK(cpu_seconds(op, m, 1, kPlain) == Approx(rest + 2e9 / 0.5e12));
}

TEST_CASE("sockets reduce through shared memory, hosts and GPUs copy over PCIe") {
  // All-reduce of 1 MB between 2: two rounds of half the buffer at 25 GB/s: 40 us, 2 x 1 us, 10 us.
  const llm::CollectiveOp reduce{llm::CollectiveKind::all_reduce, 1e6, 2, DType::bf16, false};
  CHECK(cpu_seconds(reduce, machine(), 1, kPlain) == Approx(52e-6));
  // 1 MB at 0.86 x 32 GB/s = 36.34 us, and 20 us of driver.
  CHECK(host_copy_seconds(1e6, 32e9, kPlain) == Approx(20e-6 + 1e6 / 27.52e9));
}

hardware::CpuSpec socket() {
  hardware::CpuSpec cpu;
  cpu.name = "socket";
  cpu.cores = 32;
  cpu.clock = sim::core::Hertz(2e9);
  cpu.memory_bandwidth = hardware::BytesPerSecond(300e9);
  cpu.peak[DType::fp32] = hardware::FlopsPerSecond(4e12);
  cpu.peak[DType::bf16] = hardware::FlopsPerSecond(64e12);
  return cpu;
}

TEST_CASE("experts kept on the host take the time of its sockets, whatever the GPU") {
  hardware::NodeSpec node;
  node.gpus = 1;
  node.gpu.name = "gpu";
  node.gpu.sm_count = 128;
  node.gpu.memory_bandwidth = hardware::BytesPerSecond(1e12);
  node.gpu.pcie_bandwidth = hardware::BytesPerSecond(32e9);
  node.gpu.peak[DType::bf16] = hardware::FlopsPerSecond(165e12);
  node.cpu = socket();
  node.sockets = 2;
  const KernelModel model(node, {"vllm", "0.19.0"}, std::make_shared<Calibration>());
  llm::MoeOp op;
  op.tokens = 1;
  op.hidden = 7168;
  op.intermediate = 2048;
  op.top_k = 8;
  op.experts = 256;
  op.format = WeightFormat::int4_wo;
  const double on_gpu = model.time(op).seconds;
  op.on_host = true;
  const auto on_host = model.time(op);
  // 8 experts of 44,040,192 weights of 0.5195 B: 183 MB, at 0.85 x 600 GB/s 359 us; widened at
  // 8 x 64 cores x 2 GHz 344 us; 705 Mflop at 106 x 64 x 2e9 52 us; two launches of 28 us.
  CHECK(on_host.seconds == Approx(359e-6 + 344e-6 + 52e-6 + 56e-6).epsilon(0.01));
  CHECK(on_host.source == "CPU model");
  CHECK(on_host.seconds > on_gpu);
  const llm::CollectiveOp copy{llm::CollectiveKind::host_copy, 14336, 1, DType::bf16, false};
  CHECK(model.time(copy).seconds == Approx(host_copy_seconds(14336, 32e9)));
}

TEST_CASE("a node without GPUs takes the bandwidth that the scenario gave its device") {
  hardware::NodeSpec node;
  node.cpu = socket();
  node.sockets = node.gpus = 2;
  node.gpu = hardware::device_of(node.cpu);
  const llm::GemmOp op{1, 8192, 8192, WeightFormat::bf16};
  const auto seconds = [&] {
    return KernelModel(node, {"sglang", "0.5.9"}, std::make_shared<Calibration>()).time(op).seconds;
  };
  const double before = seconds();
  // 134 MB at 255 GB/s: 526 us and a launch.
  CHECK(before == Approx(28e-6 + 8192.0 * 8192 * 2 / 255e9).epsilon(0.05));
  node.gpu.memory_bandwidth = hardware::BytesPerSecond(600e9);
  CHECK(seconds() < 0.6 * before);
}

}  // namespace
}  // namespace foretoken::models::kernels
