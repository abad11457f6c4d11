// Scenario files: YAML to typed spec, with the cards of the catalogue.
#include "scenarios/loader/scenario.hpp"

#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".yaml");
  static const scenarios::loader::Catalogue catalogue(FORETOKEN_SOURCE_DIR);
  tests::fuzz::expect_answer(
      [&] { scenarios::loader::load_scenario(file.write(data, size), catalogue); });
  return 0;
}
