#include "validation/serving/set_aside.hpp"

#include <fmt/format.h>

#include <sstream>

#include "scenarios/loader/content_hash.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::serving {

SetAside read_set_aside(const std::filesystem::path& file) {
  SetAside aside;
  if (!std::filesystem::exists(file)) return aside;
  std::istringstream text(calibrate::read_text(file));
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (number == 1 || line.empty()) continue;
    const auto comma = line.find(',');
    if (comma == std::string::npos || comma == 0 || comma + 1 == line.size())
      throw sim::core::InputError(fmt::format("{}:{}: expected id,reason", file.string(), number));
    aside[line.substr(0, comma)] = line.substr(comma + 1);
  }
  return aside;
}

std::string file_hash(const std::filesystem::path& file) {
  return scenarios::loader::hash_file(file);
}

}  // namespace foretoken::validation::serving
