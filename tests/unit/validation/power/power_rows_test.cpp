#include "validation/power/power_rows.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "sim/core/error.hpp"
#include "validation/power/validate_power.hpp"

namespace foretoken::validation::power {
namespace {

namespace fs = std::filesystem;
const fs::path kFolder = fs::path(FORETOKEN_SOURCE_DIR) / "validation/measurements/power";

fs::path write(const std::string& text) {
  std::string name = (fs::temp_directory_path() / "foretoken-power-XXXXXX").string();
  const int file = mkstemp(name.data());
  REQUIRE(file >= 0);
  close(file);
  std::ofstream(name) << text;
  return name;
}

constexpr const char* kHeader =
    "model,task,prec,mean_batch,output_tokens,gpu_watts_total,joules_per_token,"
    "output_tokens_per_s,accelerator,gpus,tp,ep,dp\n";

TEST_CASE("our own rows: 116 of them, what is not data-parallel attention is tensor-parallel") {
  const auto rows =
      read_power_rows(kFolder / "ml-energy.csv", read_prompt_lengths(kFolder / "prompts.csv"));
  REQUIRE(rows.size() == 116);
  CHECK(rows[0].model == "DeepSeek-R1-0528");
  CHECK(rows[0].tensor == 8);  // tp 1, ep 8, dp 1 on eight GPUs
  CHECK(rows[0].expert == 8);
  CHECK(rows[0].watts == 4278);
  // Groups are whole in a fold.
  for (const auto& a : rows)
    for (const auto& b : rows)
      if (a.key() == b.key()) CHECK(fold_of(a.key()) == fold_of(b.key()));
}

TEST_CASE("a row that makes no sense is kept and says why; a file without a column is refused") {
  const PromptLengths prompts{{"other", 200.0}};
  const auto file = write(std::string(kHeader) +
                          "m,t,fp8,8,100,900,1,900,h100,2,2,1,1\n"
                          "m,t,fp8,8,100,-5,1,900,h100,2,2,1,1\n"
                          "m,t,fp8,8,100,900,1,900,h100,3,1,1,2\n");
  const auto rows = read_power_rows(file, prompts);
  fs::remove(file);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].unusable.empty());
  CHECK_FALSE(rows[1].unusable.empty());
  CHECK_THAT(rows[2].unusable, Catch::Contains("not a multiple of dp 2"));
  const auto bare = write("model,accelerator\nm,h100\n");
  CHECK_THROWS_WITH(read_power_rows(bare, prompts), Catch::Contains("no column"));
  fs::remove(bare);
}

TEST_CASE("errors as figures, by hand") {
  // -10 %, +10 %, +30 %: mean 16.7 %, median 10 %, bias +10 %.
  const Figures f = figures_of({-0.1, 0.1, 0.3});
  CHECK(f.n == 3);
  CHECK(f.mape == Approx(50.0 / 3));
  CHECK(f.median_ape == Approx(10.0));
  CHECK(f.bias == Approx(10.0));
  CHECK(f.p95_ape == Approx(28.0));
}

}  // namespace
}  // namespace foretoken::validation::power
