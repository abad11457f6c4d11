#include "models/hardware/hardware.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::hardware;

TEST_CASE("number formats: names parse back and sizes are their bit widths") {
  // Bit widths by definition: 32, 32 (tf32 is stored as fp32), 16, 16, 8, 8, 4, 4.
  const std::pair<DType, double> sizes[] = {
      {DType::fp32, 4.0}, {DType::tf32, 4.0}, {DType::bf16, 2.0}, {DType::fp16, 2.0},
      {DType::fp8, 1.0},  {DType::int8, 1.0}, {DType::fp4, 0.5},  {DType::int4, 0.5}};
  for (const auto& [dtype, bytes] : sizes) {
    CHECK(bytes_per_element(dtype) == bytes);
    CHECK(parse_dtype(to_string(dtype)) == dtype);
  }
}

TEST_CASE("number formats: the names of configs and tables") {
  CHECK(parse_dtype("bfloat16") == DType::bf16);
  CHECK(parse_dtype("float8_e4m3fn") == DType::fp8);
  CHECK(parse_dtype("half") == DType::fp16);
  CHECK_FALSE(parse_dtype("bf17").has_value());
  CHECK_FALSE(parse_dtype("").has_value());
}

TEST_CASE("a socket as a device: cores for SMs, cache for L2, socket links for NVLink") {
  CpuSpec cpu;
  cpu.name = "socket";
  cpu.cores = 40;
  cpu.cache = Bytes(60e6);
  cpu.memory_bandwidth = BytesPerSecond(200e9);
  cpu.socket_bandwidth = BytesPerSecond(67e9);
  cpu.peak[DType::fp32] = FlopsPerSecond(6e12);
  const GpuSpec device = device_of(cpu);
  CHECK(device.processor == Processor::cpu);
  CHECK(device.sm_count == 40);
  CHECK(device.l2_cache.value() == 60e6);
  CHECK(device.memory_bandwidth.value() == 200e9);
  CHECK(device.scale_up_bandwidth.value() == 67e9);
  CHECK(device.peak.at(DType::fp32).value() == 6e12);
  CHECK(device.tables.empty());
}
