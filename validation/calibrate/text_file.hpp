#pragma once
#include <filesystem>
#include <string>

namespace foretoken::validation::calibrate {

// The text of a file, unpacked if its name ends in .gz. Throws InputError on a file that is
// missing, damaged or cut short.
std::string read_text(const std::filesystem::path& file);

}  // namespace foretoken::validation::calibrate
