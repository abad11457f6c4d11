#include "scenarios/loader/calibration_file.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

using foretoken::models::kernels::Calibration;
using foretoken::models::kernels::Table;
using foretoken::scenarios::loader::read_calibration;
using foretoken::scenarios::loader::TemporaryFolder;
using foretoken::scenarios::loader::write_calibration;
namespace fs = std::filesystem;

namespace {

Calibration two_gpus() {
  Calibration calibration;
  calibration.source_hash = "abc";
  for (const char* gpu : {"a100_sxm", "h200_sxm"}) {
    Table table;
    table.gpu = gpu;
    table.op = "gemm";
    table.engine = "vllm";
    table.version = "0.19.0";
    table.columns = {"gemm_dtype", "m"};
    table.labels["gemm_dtype"] = {"bfloat16", "fp8"};
    table.values = {{0.0F, 1.0F}, {1.0F, 64.0F}};
    table.seconds = {3e-6F, 5e-6F};
    calibration.tables.push_back(table);
  }
  calibration.parameters = {{"error/gemm/measured", 0.05}, {"physics/x", 2.5}};
  return calibration;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a calibration comes back as it was written") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  write_calibration(file, two_gpus());
  const auto read = read_calibration(file);
  CHECK(read->source_hash == "abc");
  CHECK(read->parameters == two_gpus().parameters);
  REQUIRE(read->tables.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const Table want = two_gpus().tables[i];
    const Table& got = read->tables[i];
    CHECK(got.gpu == want.gpu);
    CHECK(got.op == want.op);
    CHECK(got.engine == want.engine);
    CHECK(got.version == want.version);
    CHECK(got.columns == want.columns);
    CHECK(got.labels == want.labels);
    CHECK(got.values == want.values);
    CHECK(got.seconds == want.seconds);
  }
}

TEST_CASE("equal calibrations make equal bytes") {
  const TemporaryFolder folder;
  write_calibration(folder.path() / "a.h5", two_gpus());
  write_calibration(folder.path() / "b.h5", two_gpus());
  CHECK(bytes_of(folder.path() / "a.h5") == bytes_of(folder.path() / "b.h5"));
}

TEST_CASE("another format version, or a damaged file, is refused") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "c.h5";
  Calibration newer = two_gpus();
  ++newer.format_version;
  write_calibration(file, newer);
  CHECK_THROWS_WITH(read_calibration(file), Catch::Contains("version"));
  write_calibration(file, two_gpus());
  fs::resize_file(file, fs::file_size(file) / 2);
  CHECK_THROWS_AS(read_calibration(file), foretoken::sim::core::InputError);
  CHECK_THROWS_AS(read_calibration(folder.path() / "missing.h5"), foretoken::sim::core::InputError);
}
