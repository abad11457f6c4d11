#include "analysis/app/home.hpp"

#include <cstdlib>
#include <string>
#include <system_error>

#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;

bool has_catalogue(const fs::path& folder) {
  std::error_code ignored;
  // A build folder has scenarios/ too, but no cards.
  return fs::is_directory(folder / "scenarios" / "hardware", ignored) &&
         fs::is_directory(folder / "scenarios" / "models", ignored);
}

}  // namespace

fs::path find_home() {
  if (const char* stated = std::getenv("FORETOKEN_HOME")) {
    if (has_catalogue(stated)) return stated;
    throw sim::core::InputError(
        std::string("FORETOKEN_HOME is '") + stated +
        "', which has no scenarios/hardware and scenarios/models; unset it or point it "
        "to a foretoken checkout");
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = program.parent_path(); !error && folder.has_relative_path();
       folder = folder.parent_path()) {
    if (has_catalogue(folder)) return folder;
  }
  if (has_catalogue(FORETOKEN_SOURCE_DIR)) return FORETOKEN_SOURCE_DIR;
  throw sim::core::InputError(
      "cannot find the catalogue (scenarios/ and validation/); set FORETOKEN_HOME to a foretoken "
      "checkout");
}

}  // namespace foretoken::analysis::app
