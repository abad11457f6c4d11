#include "scenarios/loader/scenario_text.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

namespace foretoken::scenarios::loader {
namespace {

std::filesystem::path quickstart() {
  return std::filesystem::path(FORETOKEN_SOURCE_DIR) / "scenarios" / "quickstart.yaml";
}

std::string quickstart_text() {
  std::ifstream stream(quickstart());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST_CASE("scenario text: what a file would be if it held it") {
  const Catalogue catalogue(FORETOKEN_SOURCE_DIR);
  const Scenario of_file = load_scenario(quickstart(), catalogue);
  const Scenario of_text = load_scenario_text(quickstart_text(), quickstart(), catalogue);
  CHECK(of_text.name == of_file.name);
  CHECK(of_text.input_hashes == of_file.input_hashes);
  CHECK(of_text.resolved.size() == of_file.resolved.size());
}

TEST_CASE("scenario text: problems carry the file's name and their place") {
  const Catalogue catalogue(FORETOKEN_SOURCE_DIR);
  std::string text = quickstart_text();
  text.replace(text.find("replicas:"), 9, "replica: ");
  try {
    (void)load_scenario_text(text, "some/where.yaml", catalogue);
    FAIL("was accepted");
  } catch (const sim::core::InputError& error) {
    REQUIRE_FALSE(error.diagnostics().empty());
    CHECK(error.diagnostics()[0].file == "some/where.yaml");
    CHECK(error.diagnostics()[0].line > 0);
  }
}

}  // namespace
}  // namespace foretoken::scenarios::loader
