#include "analysis/exporters/saved_run.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/core/error.hpp"

namespace foretoken::analysis::exporters {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using sim::core::InputError;

std::string text_of(const fs::path& file, const fs::path& run) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    throw InputError(run.string() + " is not the folder of a run: it holds no " +
                     file.filename().string() + " (foretoken run makes one)");
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

SavedRun open_run(const fs::path& folder) {
  SavedRun run;
  run.folder = folder;
  run.manifest = text_of(folder / "manifest.json", folder);
  const Json manifest = Json::parse(run.manifest, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("scenario_hash"))
    throw InputError((folder / "manifest.json").string() + ": is not the manifest of a run");
  run.summary = text_of(folder / "summary.json", folder);
  if (!Json::parse(run.summary, nullptr, false).is_object())
    throw InputError((folder / "summary.json").string() + ": is damaged; run the scenario again");
  run.kind = manifest.value("kind", "serving");
  run.name = manifest.value("name", folder.filename().string());
  return run;
}

}  // namespace foretoken::analysis::exporters
