#include "validation/serving/serving_fit.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "sim/core/error.hpp"

using namespace foretoken::validation::serving;

namespace {

ServedRow row(const char* model, const char* version) {
  ServedRow r;
  r.engine = "vllm";
  r.engine_version = version;
  r.source = "nvidia";
  r.gpu = "h100_sxm";
  r.model = model;
  return r;
}

}  // namespace

TEST_CASE("A family nobody has seen falls back to its version, then its engine") {
  FitSet set;
  set.protocol["vllm|0.12|nvidia|h100_sxm|A"] = 1;
  set.protocol["vllm|0.12|nvidia"] = 2;
  set.protocol["vllm"] = 3;
  CHECK(set.protocol_of(row("A", "0.12")) == 1);
  CHECK(set.protocol_of(row("B", "0.12")) == 2);
  CHECK(set.protocol_of(row("B", "0.99")) == 3);
  ServedRow stated = row("A", "0.12");
  stated.source = "inferencex";
  CHECK(set.protocol_of(stated) == 0);
  CHECK(set.clock_of(row("A", "0.12")).seconds == 0);
}

TEST_CASE("Settings of a row: its engine's factors, then its family's protocol") {
  FitSet set;
  set.engines["vllm"] = {{"gemm", 0.5}, {"low_output", 0.7}};
  set.protocol["vllm"] = 2;
  const Settings settings = settings_of(set, row("A", ""));
  CHECK(settings.at("gemm") == 0.5);
  CHECK(settings.at("low_output") == 0.8);  // the protocol's
}

TEST_CASE("At most a dozen parameters an engine, each with room around its start") {
  CHECK(fitted_parameters().size() + 1 <= 12);  // and the kernel slack
  for (const auto& p : fitted_parameters()) {
    CHECK(p.low <= p.start);
    CHECK(p.start <= p.high);
  }
}

TEST_CASE("A fit goes to its file and back; a damaged file says what to do") {
  const auto file = std::filesystem::temp_directory_path() / "foretoken-serving-fit.json";
  ServingFit fit;
  fit.rows_hash = "abc";
  fit.all.engines["vllm"] = {{"gemm", 0.5}};
  fit.folds[3].clock["vllm"] = {0.03, 9};
  fit.folds[2].protocol["vllm"] = 1;
  write_serving_fit(file, fit);
  const ServingFit back = read_serving_fit(file);
  CHECK(back.rows_hash == "abc");
  CHECK(back.all.engines.at("vllm").at("gemm") == 0.5);
  CHECK(back.folds[3].clock.at("vllm").tokens == 9);
  CHECK(back.folds[3].clock.at("vllm").seconds == Approx(0.03));
  CHECK(back.folds[2].protocol.at("vllm") == 1);
  std::ofstream(file) << "{\"rows_hash\": 3}";
  CHECK_THROWS_WITH(read_serving_fit(file), Catch::Contains("calibrate serving"));
}
