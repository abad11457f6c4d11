#pragma once
// Files and directories that appear as a whole or not at all.
#include <filesystem>
#include <string>

namespace foretoken::analysis {

// A directory built beside `target` that takes its place on commit(); removed otherwise.
// InputError, naming the path and the system's reason, on every failure.
class StagedDirectory {
 public:
  explicit StagedDirectory(std::filesystem::path target);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return staging_; }
  // Flushes every file, then swaps; what was at `target` before is removed.
  void commit();

 private:
  std::filesystem::path target_, staging_;
};

// Creates or overwrites, without a flush.
void write_plain_file(const std::filesystem::path& file, const std::string& content);

// The directory a user means, without a trailing slash and never empty.
std::filesystem::path normal_path(const std::filesystem::path& path);

}  // namespace foretoken::analysis
