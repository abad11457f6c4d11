#include "validation/claims/claim_file.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "sim/core/error.hpp"
#include "validation/claims/run_claims.hpp"

namespace foretoken::validation::claims {
namespace {

namespace fs = std::filesystem;
const fs::path kRoot = FORETOKEN_SOURCE_DIR;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "foretoken-claims-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }

 private:
  fs::path path_;
};

constexpr const char* kClaim = R"(claim: T1
article: T
says: {en: "an A100 has 400 W", zh: "A100 为 400 瓦"}
quantities:
  tdp: {card: a100-80gb-sxm, figure: tdp}
  twice: {formula: 2 * tdp}
checks:
  - says: {en: watts, zh: 功率}
    predicted: twice / 2
    claimed: 600
    unit: W
    within: 5%
    why: {en: "{tdp:.0f} W", zh: "{tdp:.0f} 瓦"}
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string problems(const std::string& text) {
  const Folder folder;
  const scenarios::loader::Catalogue catalogue(kRoot);
  Workshop workshop(catalogue, kRoot / "validation/calibrate/calibration.h5");
  try {
    (void)read_claim(folder.write("T1.yaml", text), workshop);
    return "";
  } catch (const sim::core::InputError& error) {
    return error.what();
  }
}

TEST_CASE("a claim file is read, run and judged") {
  const Folder folder;
  folder.write("T1.yaml", kClaim);
  const scenarios::loader::Catalogue catalogue(kRoot);
  const auto claims = run_claims(catalogue, {folder.path(), {}, {}, {}});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].verdict() == "off by 1.5 x");
  CHECK(claims[0].why().en == "400 W");
  CHECK(claims[0].worst()->predicted.value.value == 400.0);
}

TEST_CASE("mistakes of a claim file are named with their place") {
  CHECK_THAT(problems(with(kClaim, "twice / 2", "thrice / 2")),
             Catch::Contains("nothing is called 'thrice'"));
  CHECK_THAT(problems(with(kClaim, "figure: tdp", "figure: tpd")),
             Catch::Contains("did you mean 'tdp'?"));
  CHECK_THAT(problems(with(kClaim, "card: a100-80gb-sxm", "card: a100-80gb-smx")),
             Catch::Contains("did you mean 'a100-80gb-sxm'?"));
  CHECK_THAT(problems(with(kClaim, "{tdp:.0f} W", "{tpd:.0f} W")), Catch::Contains("{tpd:.0f} W"));
  CHECK_THAT(problems(with(kClaim, "    claimed: 600\n", "")),
             Catch::Contains("missing key 'claimed'"));
  CHECK_THAT(problems(with(kClaim, "claim: T1", "claim: T2")), Catch::Contains("make them equal"));
  CHECK_THAT(problems(with(kClaim, "{card: a100-80gb-sxm, figure: tdp}", "{figure: tdp}")),
             Catch::Contains("no kind of quantity"));
  CHECK_THAT(
      problems(with(kClaim, "predicted: twice / 2", "predicted: twice / 2\n    possible: 1")),
      Catch::Contains("give one of predicted, possible and consistent"));
}

TEST_CASE("claims come in the order of the articles, all 33 of them") {
  const auto files = claim_files(kRoot / "scenarios/claims");
  REQUIRE(files.size() == 33);
  CHECK(files[0].stem() == "A1");
  CHECK(files[9].stem() == "A10");
  CHECK(files[17].stem() == "A18");
  CHECK(files[18].stem() == "B1");
  CHECK(files[32].stem() == "B15");
}

TEST_CASE("every shipped claim reads without a problem, and at most six cannot be tested") {
  const scenarios::loader::Catalogue catalogue(kRoot);
  Workshop workshop(catalogue, kRoot / "validation/calibrate/calibration.h5");
  int untestable = 0;
  for (const auto& file : claim_files(kRoot / "scenarios/claims")) {
    INFO(file);
    const Claim claim = read_claim(file, workshop);
    untestable += claim.checks.empty() ? 1 : 0;
  }
  CHECK(untestable <= 6);
}

TEST_CASE("an id that no file has is answered with those there are") {
  const scenarios::loader::Catalogue catalogue(kRoot);
  CHECK_THROWS_WITH(run_claims(catalogue, {kRoot / "scenarios/claims", {}, {"C1"}, {}}),
                    Catch::Contains("no claim 'C1'"));
}

}  // namespace
}  // namespace foretoken::validation::claims
