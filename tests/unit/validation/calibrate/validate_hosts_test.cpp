// NCCL on servers known by their measurements alone.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "validation/calibrate/validate_exchange.hpp"

using namespace foretoken;
using namespace foretoken::validation::calibrate;

namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / "foretoken-validate-hosts-test") {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path / "box");
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const std::string& text) const {
    const gzFile file = gzopen((path / "box" / "send_recv.csv.gz").c_str(), "wb");
    REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) > 0);
    gzclose(file);
  }
  std::filesystem::path path;
};

// 100 GB/s between two GPUs of a server.
models::collective::Wire wire(int nics) {
  models::collective::Wire w;
  w.node_gpus = 2;
  w.scale_up_rate = 100e9;
  w.pcie_rate = 20e9;
  w.scale_up_latency_s = 1e-6;
  w.nics = nics;
  w.nic_rate = nics > 0 ? 25e9 : 0.0;
  return w;
}

// Ten sizes inside a node and two between nodes.
std::string rows() {
  std::string text = "num_workers,size,devices_per_node,time_stats.send_recv.median\n";
  for (int i = 1; i <= 10; ++i)
    text += "2," + std::to_string(i * 100'000'000) + ",2," + std::to_string(1.3 * i) + "\n";
  return text + "2,100000000,1,5.0\n2,200000000,1,10.0\n";
}

}  // namespace

TEST_CASE("rows between nodes whose NICs nobody knows are counted and left out") {
  const Folder folder;
  folder.write(rows());
  KernelValidation result;
  validate_hosts(folder.path, {{"box", wire(0)}}, result);
  REQUIRE(result.refused.size() == 1);
  CHECK(result.refused[0].id == "box/send_recv");
  CHECK(result.refused[0].rows == 2);
  REQUIRE(result.groups.size() == 2);
  CHECK(result.groups[1].n == 10);
  // With NICs they are rows like any other.
  KernelValidation joined;
  validate_hosts(folder.path, {{"box", wire(1)}}, joined);
  CHECK(joined.refused.empty());
  CHECK(joined.groups[1].n == 12);
}

TEST_CASE("a host without a card is refused by name") {
  const Folder folder;
  folder.write(rows());
  KernelValidation result;
  validate_hosts(folder.path, {}, result);
  REQUIRE(result.refused.size() == 1);
  CHECK(result.refused[0].reason == "no card describes this host");
  CHECK(result.groups.empty());
}
