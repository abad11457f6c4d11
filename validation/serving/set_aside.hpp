#pragma once
// Rows that contradict themselves or later runs of the same deployment, each with the reason: kept
// out of fits and errors, listed by validation.
#include <filesystem>
#include <map>
#include <string>

namespace foretoken::validation::serving {

using SetAside = std::map<std::string, std::string>;  // id -> reason

// A CSV of id and reason; none if there is no such file. Throws InputError on a line without both.
SetAside read_set_aside(const std::filesystem::path& file);

std::string file_hash(const std::filesystem::path& file);

}  // namespace foretoken::validation::serving
