#pragma once
// A run's folder, opened.
#include <filesystem>
#include <string>

namespace foretoken::analysis::exporters {

struct SavedRun {
  std::filesystem::path folder;
  std::string kind;  // serving, training, traffic
  std::string name;
  std::string summary, manifest;  // the files' text, known to be JSON objects
};

// InputError, saying what a run is, when the folder is none or is damaged.
SavedRun open_run(const std::filesystem::path& folder);

}  // namespace foretoken::analysis::exporters
