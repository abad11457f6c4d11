#pragma once
// One traffic of a run in words: what it took, where it lost time, and to whom.
#include <filesystem>
#include <string>

namespace foretoken::analysis {

// From the run.h5 of a traffic run, or of a deployment with a network. InputError if the file is
// none, or has no traffic of that name (the message lists what it has).
std::string traffic_story(const std::filesystem::path& tables, const std::string& name);

}  // namespace foretoken::analysis
