#include "models/hardware/load_time.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

namespace foretoken::models::hardware {
namespace {

StorageSpec disk(double bytes_per_s, bool networked = false) {
  StorageSpec storage;
  storage.name = "disk";
  storage.read_bandwidth = BytesPerSecond(bytes_per_s);
  storage.networked = networked;
  return storage;
}

NodeSpec node() {
  NodeSpec node;
  node.gpus = 8;
  node.gpu.pcie_bandwidth = BytesPerSecond(64e9);
  node.nics = 1;
  node.nic_bandwidth = BytesPerSecond(125e6);
  node.nic_efficiency = 0.8;
  return node;
}

TEST_CASE("350 GB from a local drive at 7 GB/s take 50 s; the GPUs' copies go on beside it") {
  // 350e9 / 7e9 = 50 s. PCIe: 350e9 / 8 GPUs / (0.86 x 64e9) = 0.795 s.
  const LoadTime load = load_time(node(), disk(7e9), Bytes(350e9), Bytes(350e9 / 8));
  CHECK(load.seconds == Approx(50.0));
  CHECK(load.bottleneck == "storage disk");
  REQUIRE(load.stages.size() == 2);
  CHECK(load.stages[1].seconds == Approx(350e9 / 8 / (0.86 * 64e9)));
}

TEST_CASE("over gigabit Ethernet the network is the bottleneck") {
  // 350e9 / (0.8 x 125e6) = 3,500 s.
  const LoadTime load = load_time(node(), disk(25e9, true), Bytes(350e9), Bytes(350e9 / 8));
  CHECK(load.seconds == Approx(3500.0));
  CHECK(load.bottleneck == "network");
}

TEST_CASE("nodes share one networked store, and each has its own local one") {
  NodeSpec fast = node();
  fast.nic_bandwidth = BytesPerSecond(1e12);
  CHECK(load_time(fast, disk(10e9, true), Bytes(100e9), Bytes(0), 4).seconds == Approx(40.0));
  CHECK(load_time(fast, disk(10e9), Bytes(100e9), Bytes(0), 4).seconds == Approx(10.0));
}

TEST_CASE("the first access is waited for, and a CPU needs no copy over PCIe") {
  StorageSpec slow = disk(1e9);
  slow.latency_s = 0.5;
  NodeSpec cpu = node();
  cpu.gpu.processor = Processor::cpu;
  cpu.gpu.pcie_bandwidth = BytesPerSecond(1.0);
  CHECK(load_time(cpu, slow, Bytes(1e9), Bytes(1e9)).seconds == Approx(1.5));
}

TEST_CASE("a rate of zero is an error that names the stage") {
  CHECK_THROWS_WITH(load_time(node(), disk(0), Bytes(1), Bytes(1)),
                    Catch::Contains("the rate of storage disk is zero"));
}

}  // namespace
}  // namespace foretoken::models::hardware
