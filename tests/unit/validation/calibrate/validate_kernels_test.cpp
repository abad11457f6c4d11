#include "validation/calibrate/validate_kernels.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/kernels/kernel_model.hpp"
#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "validation/calibrate/build_calibration.hpp"

using namespace foretoken;
using namespace foretoken::validation::calibrate;
using models::kernels::Calibration;
using models::kernels::Machine;

namespace {

// Round figures: 2 TB/s, 500 TFLOP/s at bf16, 100 units at 1.755 GHz.
Machine machine(double bandwidth = 2e12) {
  Machine m;
  m.architecture = "hopper";
  m.sms = 100;
  m.clock = 1.755e9;
  m.sustained = 0.87;
  m.bandwidth = bandwidth;
  m.l2 = 50e6;
  m.scale_up = 450e9;
  m.peak[static_cast<std::size_t>(models::hardware::DType::bf16)] = 500e12;
  return m;
}

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / "foretoken-validate-kernels-test") {
    std::filesystem::remove_all(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  // A gemm table: `factor` times what the physical model says, at every m, n, k.
  void gemm(const std::string& gpu, const Machine& m, const std::vector<int>& sizes,
            double factor) const {
    std::filesystem::create_directories(path / gpu);
    std::ofstream out(path / gpu / "gemm.vllm-1.0.csv");
    out << "gemm_dtype,m,n,k,latency\n";
    for (int rows = 1; rows <= 4096; rows *= 2)
      for (const int n : sizes)
        for (const int k : sizes) {
          const models::llm::GemmOp op{rows, n, k, models::llm::WeightFormat::bf16};
          out << "bfloat16," << rows << ',' << n << ',' << k << ','
              << 1e3 * factor * models::kernels::physical_seconds(op, "", m) << '\n';
        }
  }
  std::filesystem::path path;
};

Calibration measured(const Folder& folder, const TableGpus& gpus, CalibrationReport& report) {
  return read_measurements(folder.path, gpus, report);
}

const KernelGroup& family(const KernelValidation& v, const std::string& name) {
  for (const auto& group : v.groups)
    if (group.key.size() == 1 && group.key.at("operator") == name) return group;
  FAIL("no group " << name);
  return v.groups.front();
}

}  // namespace

TEST_CASE("a table that is a constant times the physical model is predicted exactly") {
  const Folder folder;
  folder.gemm("own", machine(), {512, 1024, 2048, 4096}, 1.3);
  CalibrationReport report;
  const auto data = measured(folder, {{"own", machine()}}, report);
  CHECK(report.ok());
  const auto v = validate_kernels(data, data);
  CHECK(v.rows == 13 * 16);
  CHECK(v.predicted == v.rows);
  CHECK(family(v, "gemm").latency.mape < 0.1);
  CHECK(family(v, "gemm").latency_interpolate->mape < 0.1);
}

TEST_CASE("a GPU left out is predicted as a run without its tables would") {
  // Known: one GPU 1.3 times slower than the physical model. Left out: another, of half its
  // bandwidth, 1.69 times slower. The known one's factor is carried over, 1.3 / 1.69 = -23 %.
  const Folder folder;
  folder.gemm("known", machine(), {512, 1024, 2048, 4096}, 1.3);
  folder.gemm("other", machine(1e12), {512, 1024, 2048, 4096}, 1.69);
  CalibrationReport report;
  const auto data = measured(folder, {{"known", machine()}, {"other", machine(1e12)}}, report);
  KernelValidationOptions options;
  options.leave_out_gpu = "other";
  const auto v = validate_kernels(data, data, options);
  CHECK(family(v, "gemm").latency.bias == Approx(100 * (1.3 / 1.69 - 1)).margin(0.2));

  // The same figure from a kernel model of a node with that GPU and no tables of its own.
  models::hardware::NodeSpec node;
  node.gpus = 1;
  node.gpu.architecture = "hopper";
  node.gpu.sm_count = 100;
  node.gpu.boost_clock = sim::core::Hertz(1.755e9);
  node.gpu.sustained_compute = 0.87;
  node.gpu.memory_bandwidth = models::hardware::BytesPerSecond(1e12);
  node.gpu.l2_cache = models::hardware::Bytes(50e6);
  node.gpu.peak[models::hardware::DType::bf16] = models::hardware::FlopsPerSecond(500e12);
  auto known = std::make_shared<Calibration>(data);
  std::erase_if(known->tables, [](const auto& table) { return table.gpu == "other"; });
  const models::kernels::KernelModel model(node, {"vllm", "1.0"}, known);
  const models::llm::GemmOp op{512, 2048, 2048, models::llm::WeightFormat::bf16};
  CHECK(model.time(op).seconds ==
        Approx(1.3 * models::kernels::physical_seconds(op, "", machine(1e12))).epsilon(1e-3));
  CHECK(model.time(op).provenance == sim::core::Provenance::analytical);
}

TEST_CASE("passes through memory learn nothing from other operators") {
  const Folder folder;
  folder.gemm("own", machine(), {512, 1024, 2048, 4096}, 1.3);
  std::ofstream out(folder.path / "own" / "elementwise.vllm-1.0.csv");
  out << "op_name,num_tokens,width,bytes,kernels,latency\n";
  for (int tokens = 1; tokens <= 4096; tokens *= 2) {
    const models::llm::ElementwiseOp op{4096.0 * tokens, 1};
    out << "rope," << tokens << ",2048," << op.bytes << ",1,"
        << 1e3 * models::kernels::physical_seconds(op, "", machine()) << '\n';
  }
  out.close();
  CalibrationReport report;
  const auto data = measured(folder, {{"own", machine()}}, report);
  CHECK(family(validate_kernels(data, data), "elementwise").latency.mape < 0.1);
}

TEST_CASE("more files of the same columns are predicted with their own keys left out") {
  const Folder known_folder;
  known_folder.gemm("own", machine(), {512, 1024, 2048}, 1.3);
  CalibrationReport report;
  const auto known = measured(known_folder, {{"own", machine()}}, report);
  known_folder.gemm("own", machine(), {768, 1536}, 1.3);
  const auto held_back = measured(known_folder, {{"own", machine()}}, report);
  const auto v = validate_kernels(held_back, known);
  CHECK(v.predicted == 13 * 4);
  CHECK(family(v, "gemm").latency.mape < 0.5);
}

TEST_CASE("rows that beat a physical peak are set aside and listed") {
  // 4,096^3 x 2 / 500 TFLOP/s = 275 us at the least: 0.1 times the model is impossible there.
  const Folder folder;
  folder.gemm("own", machine(), {512, 4096}, 0.1);
  CalibrationReport report;
  const auto data = measured(folder, {{"own", machine()}}, report);
  REQUIRE(report.set_aside.size() == 1);
  CHECK(report.set_aside[0].rows > 0);
  CHECK(report.set_aside[0].worst_ratio > 1);
  CHECK(report.keys + report.set_aside[0].rows == 13 * 4);
}

TEST_CASE("a folder that no card names is refused, the others are used") {
  const Folder folder;
  folder.gemm("own", machine(), {512, 1024}, 1.3);
  folder.gemm("unknown", machine(), {512, 1024}, 1.3);
  CalibrationReport report;
  const auto data = measured(folder, {{"own", machine()}}, report);
  CHECK(data.tables.size() == 1);
  CHECK_FALSE(report.ok());
  REQUIRE(report.diagnostics.size() == 1);
  CHECK(report.diagnostics[0].message.find("no GPU card") != std::string::npos);
}

TEST_CASE("--only takes a family or an operator") {
  const Folder folder;
  folder.gemm("own", machine(), {512, 1024}, 1.3);
  CalibrationReport report;
  const auto data = measured(folder, {{"own", machine()}}, report);
  KernelValidationOptions options;
  options.only = "gemm";
  CHECK(validate_kernels(data, data, options).predicted == 13 * 4);
  options.only = "moe";
  CHECK(validate_kernels(data, data, options).predicted == 0);
}

TEST_CASE("error figures of four errors") {
  // -10, 10, 20, 40 %: mean of sizes 20, median 15, bias 15, 95th percentile 20 + 0.85 x 20 = 37.
  const auto figures = error_figures({-0.1, 0.1, 0.2, 0.4});
  CHECK(figures.n == 4);
  CHECK(figures.mape == Approx(20));
  CHECK(figures.median_ape == Approx(15));
  CHECK(figures.bias == Approx(15));
  CHECK(figures.p95_ape == Approx(37));
}
