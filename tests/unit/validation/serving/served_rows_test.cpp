#include "validation/serving/served_rows.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "sim/core/error.hpp"

using namespace foretoken::validation::serving;

namespace {

const char* const kHead =
    "id,source,model,gpu,engine,engine_version,precision,gemm_dtype,moe_dtype,input_tokens,"
    "output_tokens,concurrency,tp,pp,attention_dp,moe_tp,moe_ep,ttft_ms,tpot_ms\n";

std::vector<ServedRow> read(const std::string& text) {
  const auto file = std::filesystem::temp_directory_path() / "foretoken-served-rows.csv";
  std::ofstream(file) << text;
  return read_served_rows(file);
}

}  // namespace

TEST_CASE("A row of served measurements: milliseconds become seconds, blanks one") {
  const auto rows = read(std::string(kHead) +
                         "a,inferencex,M,h200_sxm,vllm,0.19,fp8,fp8,,1024,512,8,2,1,,1,1,200,20\n");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].unusable.empty());
  CHECK(rows[0].ttft_s == Approx(0.2));
  CHECK(rows[0].tpot_s == Approx(0.02));
  CHECK(rows[0].attention_dp == 1);
  CHECK_FALSE(rows[0].peer_ttft_s);
}

TEST_CASE("A value that makes no sense keeps its row, with the reason") {
  const auto rows = read(std::string(kHead) +
                         "a,s,M,g,vllm,,,,,1024,512,-8,2,1,,1,1,200,20\n"
                         "b,s,M,g,vllm,,,,,1024,512,8,2,1,,1,1,,20\n"
                         "c,s,M,g,vllm,,,,,1024\n");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].unusable == "line 2: concurrency is '-8', not a whole number of at least 1");
  CHECK(rows[1].unusable == "line 3: ttft_ms is '', not a time in milliseconds");
  CHECK(rows[2].unusable == "line 4 has 10 cells, the header 19");
}

TEST_CASE("A file without a needed column, or without rows, is refused") {
  CHECK_THROWS_WITH(read("id,source\na,b\n"), Catch::Contains("no column model"));
  CHECK_THROWS_WITH(read(kHead), Catch::Contains("no rows"));
  CHECK_THROWS_WITH(read(""), Catch::Contains("is empty"));
}

TEST_CASE("A curve stays in one fold over its concurrencies") {
  const std::string row = ",s,M,g,vllm,,,,,";
  const auto rows =
      read(std::string(kHead) + "a" + row + "1024,512,8,2,1,,1,1,200,20\n" + "b" + row +
           "1024,512,64,2,1,,1,1,200,20\n" + "c" + row + "8192,512,8,2,1,,1,1,200,20\n");
  CHECK(fold_of(rows[0]) == fold_of(rows[1]));
  CHECK(rows[0].curve_key() == rows[1].curve_key());
  CHECK(rows[0].curve_key() != rows[2].curve_key());
  CHECK(rows[0].deployment_key() == rows[2].deployment_key());
  for (const auto& r : rows) CHECK((fold_of(r) >= 0 && fold_of(r) < kFolds));
}
