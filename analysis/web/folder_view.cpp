#include "analysis/web/folder_view.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/exporters/saved_run.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::web {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 3;
constexpr std::size_t kMost = 5000;  // of either kind; a larger folder is not one of results

bool is_scenario_name(const fs::path& path) {
  const std::string extension = path.extension().string();
  return (extension == ".yaml" || extension == ".yml") &&
         path.filename() != "config.resolved.yaml" && path.filename() != "sweep.yaml" &&
         path.filename().string().front() != '.';
}

std::int64_t written_s(const fs::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_mtime) : 0;
}

template <class Use>
void walk(const fs::path& folder, int depth, const Use& use) {
  std::error_code error;
  for (fs::directory_iterator at(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && at != end; at.increment(error)) {
    const fs::path path = at->path();
    if (path.filename().string().front() == '.') continue;
    std::error_code ignored;
    if (at->is_symlink(ignored)) continue;  // they may lead outside, or round
    use(path, at->is_directory(ignored));
    if (at->is_directory(ignored) && depth > 0) walk(path, depth - 1, use);
  }
}

bool plain(const std::string& relative) {
  return !relative.empty() && relative.size() < 1024 && relative.front() != '/' &&
         relative.find('\0') == std::string::npos && relative.find('\\') == std::string::npos;
}

}  // namespace

FolderView::FolderView(const fs::path& root) {
  std::error_code error;
  root_ = fs::canonical(root, error);
  if (error || !fs::is_directory(root_, error))
    throw sim::core::InputError(root.string() + " is no folder");
}

bool FolderView::inside(const fs::path& canonical) const {
  const auto [root_end, rest] =
      std::mismatch(root_.begin(), root_.end(), canonical.begin(), canonical.end());
  return root_end == root_.end();
}

std::vector<RunEntry> FolderView::runs() const {
  std::vector<RunEntry> runs;
  const auto add = [&](const fs::path& path, bool folder) {
    std::error_code ignored;
    if (!folder || runs.size() >= kMost || !fs::is_regular_file(path / "manifest.json", ignored))
      return;
    try {
      const auto run = exporters::open_run(path);
      const auto summary = nlohmann::json::parse(run.summary);
      const auto verdict = summary.find("verdict");
      runs.push_back({path.lexically_relative(root_).generic_string(), run.name, run.kind,
                      verdict != summary.end() && verdict->is_string() ? verdict->get<std::string>()
                                                                       : std::string(),
                      written_s(path / "manifest.json")});
    } catch (const sim::core::InputError&) {  // half of one: not listed
    }
  };
  walk(root_, kDepth, add);
  std::sort(runs.begin(), runs.end(), [](const RunEntry& a, const RunEntry& b) {
    return a.written_s != b.written_s ? a.written_s > b.written_s : a.path < b.path;
  });
  return runs;
}

std::vector<std::string> FolderView::scenarios() const {
  std::vector<std::string> files;
  walk(root_, kDepth, [&](const fs::path& path, bool folder) {
    if (!folder && files.size() < kMost && is_scenario_name(path))
      files.push_back(path.lexically_relative(root_).generic_string());
  });
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<fs::path> FolderView::file(const std::string& relative) const {
  if (!plain(relative)) return std::nullopt;
  std::error_code error;
  const fs::path path = fs::canonical(root_ / relative, error);
  if (error || !inside(path) || !fs::is_regular_file(path, error)) return std::nullopt;
  return path;
}

std::optional<fs::path> FolderView::writable_scenario(const std::string& relative) const {
  if (!plain(relative)) return std::nullopt;
  const fs::path wanted = root_ / relative;
  if (!is_scenario_name(wanted)) return std::nullopt;
  std::error_code error;
  const fs::path folder = fs::canonical(wanted.parent_path(), error);
  if (error || !inside(folder)) return std::nullopt;
  const fs::path path = folder / wanted.filename();
  const auto status = fs::symlink_status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) return std::nullopt;
  return path;
}

}  // namespace foretoken::analysis::web
