#pragma once
// What the local page may see of a folder.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace foretoken::analysis::web {

struct RunEntry {
  std::string path;  // relative to the folder, '/' between parts
  std::string name, kind, verdict;
  std::int64_t written_s = 0;  // of the manifest, since 1970
};

class FolderView {
 public:
  // InputError when it is no folder.
  explicit FolderView(const std::filesystem::path& root);
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

  // Runs in it and up to three folders below, newest first.
  [[nodiscard]] std::vector<RunEntry> runs() const;
  // Scenario files (*.yaml, *.yml), the results' own left out, by path.
  [[nodiscard]] std::vector<std::string> scenarios() const;

  // The file of a relative path, links resolved; nothing when it leads outside or is none.
  [[nodiscard]] std::optional<std::filesystem::path> file(const std::string& relative) const;
  // Where a scenario file may be written: an existing one, or a new name in a folder inside.
  [[nodiscard]] std::optional<std::filesystem::path> writable_scenario(
      const std::string& relative) const;

 private:
  [[nodiscard]] bool inside(const std::filesystem::path& canonical) const;
  std::filesystem::path root_;
};

}  // namespace foretoken::analysis::web
