#include "analysis/app/saved_scenario.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "analysis/run_documents.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {

namespace fs = std::filesystem;
using sim::core::InputError;

std::optional<scenarios::loader::Scenario> load_again(const std::string& text, const fs::path& home,
                                                      std::string& why) {
  const auto manifest = nlohmann::json::parse(text);
  std::vector<std::string> overrides;
  if (manifest.contains("overrides")) overrides = manifest["overrides"];
  const fs::path here = fs::current_path(), root = fs::absolute(home);
  try {
    // Paths in --set count from where the run was started.
    if (manifest.contains("directory")) fs::current_path(manifest["directory"].get<std::string>());
    auto scenario = scenarios::loader::load_scenario(manifest["scenario"].get<std::string>(),
                                                     scenarios::loader::Catalogue(root), overrides);
    fs::current_path(here);
    const std::string hash = fmt::format("fnv1a64:{:016x}", scenario_hash(scenario));
    if (hash == manifest["scenario_hash"]) return scenario;
    why = "the scenario or a file it names has changed since";
  } catch (const InputError&) {
    why = "the scenario can no longer be read";
  } catch (const fs::filesystem_error&) {
    why = "the folder it was started in is gone";
  }
  std::error_code code;
  fs::current_path(here, code);
  return std::nullopt;
}

}  // namespace foretoken::analysis::app
