// Scenario files of all three kinds: YAML to typed spec, with the cards of the catalogue.
#include "scenarios/loader/scenario.hpp"

#include "scenarios/loader/scenario_training.hpp"
#include "scenarios/loader/traffic_scenario.hpp"
#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".yaml");
  static const scenarios::loader::Catalogue catalogue(FORETOKEN_SOURCE_DIR);
  const std::filesystem::path& path = file.write(data, size);
  tests::fuzz::expect_answer([&] {
    if (scenarios::loader::is_training_scenario(path))
      scenarios::loader::load_training_scenario(path, catalogue);
    else if (scenarios::loader::is_traffic_scenario(path))
      scenarios::loader::load_traffic(path, catalogue);
    else
      scenarios::loader::load_scenario(path, catalogue);
  });
  return 0;
}
