#include "validation/claims/quantity.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

namespace foretoken::validation::claims {
namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

// The value of `text` as a quantity, beside the shipped claims.
Value value_of(const std::string& text, const Values& values = {}) {
  const scenarios::loader::Catalogue catalogue(kRoot);
  Workshop workshop(catalogue, kRoot / "validation/calibrate/calibration.h5");
  auto file = scenarios::loader::YamlFile::parse("q: " + text + "\n", "quantity.yaml");
  const auto compute =
      read_quantity({file, file.root().required_child("q"), kRoot / "scenarios/claims", workshop});
  file.finish();
  return compute(values);
}

TEST_CASE("figures of cards and prices") {
  CHECK(value_of("{card: a100-80gb-sxm, figure: peak_fp16}").value == 312.0);
  CHECK(value_of("{card: infiniband-ndr, figure: bandwidth}").value == 400.0);
  CHECK(value_of("{card: 980-pro, figure: capacity}").value == 2000.0);
  // (8 x 400 W + 1,700 W) / 0.94.
  CHECK(value_of("{card: hgx-a100-80gb, figure: full_load}").value == Approx(4900.0 / 0.94));
  CHECK(value_of("{price: article-a, gpu: rtx-4090}").value == 13000.0);
  CHECK(value_of("{price: article-a, gpu: rtx-4090}").provenance == Provenance::user);
  CHECK(value_of("{price: list, node: dgx-h100}").provenance == Provenance::assumed);
  CHECK(value_of("{parameters: deepseek-r1}").value == Approx(671.0).epsilon(0.01));
}

TEST_CASE("what is stated and what is assumed") {
  CHECK(value_of("{given: 3}").provenance == Provenance::user);
  const Value assumed = value_of("{given: 3, error: 10%, assumed: nobody measured it}");
  CHECK(assumed.provenance == Provenance::assumed);
  CHECK(assumed.relative_error == Approx(0.1));
}

TEST_CASE("memory of a model: weights, and whether it fits") {
  // 7.6B parameters at 2 bytes.
  CHECK(value_of("{memory: runs/7b-a100.yaml, figure: weights}").value ==
        Approx(15.23).epsilon(0.01));
  CHECK(value_of("{memory: runs/40b-a100.yaml, figure: fits}").value == 0.0);
  CHECK(value_of("{memory: runs/33b-a100.yaml, figure: fits}").value == 1.0);
}

TEST_CASE("loading 349 GB over one port of 1 Gb/s takes its bytes over its rate") {
  // 349.4 GB x 8 / (1 Gb/s x 0.941) = 2,970 s.
  CHECK(value_of("{load: runs/175b-one-port.yaml, set: [hardware.nic=ethernet-1g]}").value ==
        Approx(2970.0).epsilon(0.01));
}

TEST_CASE("what cannot run is a value with a reason") {
  const Value value = value_of(
      "{step: runs/40b-a100.yaml, decode: {sequences: 1, context: 128}, figure: tokens_per_s}");
  CHECK(value.value == 0.0);
  CHECK_THAT(value.infeasible, Catch::Contains("does not fit"));
}

TEST_CASE("a ledger takes figures of other quantities, and their errors") {
  Values values;
  values["watts"] = {4800.0, 0.1, Provenance::analytical, {}};
  // Twice the 2,400 W of the file: electricity doubles to 50,457.60 CNY a year.
  const Value value = value_of(
      "{ledger: runs/tco-4xa100.yaml, with: {node_power: watts}, figure: electricity_year}",
      values);
  CHECK(value.value == Approx(50457.60));
  CHECK(value.relative_error == Approx(0.1));
  CHECK(value.provenance == Provenance::user);
}

TEST_CASE("mistakes") {
  CHECK_THROWS_WITH(value_of("{given: 3, formula: 2}"), Catch::Contains("of one kind"));
  CHECK_THROWS_WITH(value_of("{price: article-a, gpu: h20}"), Catch::Contains("no such price"));
  CHECK_THROWS_WITH(value_of("{step: runs/7b-a100.yaml, figure: seconds}"),
                    Catch::Contains("give one of prefill"));
  CHECK_THROWS_WITH(
      value_of("{ledger: runs/tco-4xa100.yaml, with: {node_powre: 1}, figure: total}"),
      Catch::Contains("no figure 'node_powre'"));
}

}  // namespace
}  // namespace foretoken::validation::claims
