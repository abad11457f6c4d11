#include "analysis/results_store.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "analysis/file_exchange.hpp"
#include "analysis/report.hpp"
#include "analysis/run_documents.hpp"
#include "analysis/run_tables.hpp"
#include "analysis/summary.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;

constexpr std::array kFiles = {"summary.json", "run.h5", "report.html", "config.resolved.yaml",
                               "manifest.json"};

// Letters and digits of the name, the rest as single dashes; UTF-8 letters stay.
std::string file_name_of(const std::string& name) {
  constexpr std::size_t kLongest = 60;
  std::string out;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    const bool keep =
        u >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (keep)
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  if (out.size() > kLongest) {
    out.resize(kLongest);
    // Never half a character.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "run" : out;
}

void refuse_foreign_content(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (std::find(kFiles.begin(), kFiles.end(), name) == kFiles.end())
      throw InputError(directory.string() + " holds '" + name +
                       "', which is not part of a run: move it away or choose another --out");
  }
}

// Proves that a directory can be made there, by making one.
void probe(const fs::path& parent, const fs::path& wanted) {
  std::string pattern = (parent / ".foretoken-probe-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw InputError("cannot write the results to " + wanted.string() + ": " +
                     std::strerror(errno) + " in " + parent.string() +
                     "; choose another folder with --out");
  ::rmdir(pattern.c_str());
}

}  // namespace

fs::path default_run_directory(const Scenario& scenario) {
  return fs::path("runs") /
         fmt::format("{}-{:08x}", file_name_of(scenario.name), scenario_hash(scenario) >> 32);
}

void check_writable(const fs::path& directory) {
  if (directory.empty()) throw InputError("--out names no folder");
  const fs::path target = normal_path(directory);
  std::error_code error;
  if (fs::exists(target, error)) {
    if (!fs::is_directory(target, error))
      throw InputError(target.string() +
                       " is a file; the results need a folder: choose another --out");
    refuse_foreign_content(target);
  }
  fs::path parent = target.parent_path().empty() ? fs::path(".") : target.parent_path();
  while (!fs::exists(parent, error) && parent.has_parent_path() && parent != parent.parent_path())
    parent = parent.parent_path();
  if (!fs::exists(parent, error)) parent = ".";
  if (!fs::is_directory(parent, error))
    throw InputError("cannot write the results to " + target.string() + ": " + parent.string() +
                     " is not a folder");
  probe(parent, target);
}

void write_run(const fs::path& directory, const Scenario& scenario, const ServingResult& result,
               const Metrics& metrics, const RunInfo& info) {
  check_writable(directory);
  try {
    StagedDirectory staged(directory);
    const fs::path& at = staged.path();
    write_plain_file(at / "summary.json", summary_json(scenario, result, metrics, info));
    write_run_tables(at / "run.h5", scenario, result, metrics);
    write_plain_file(at / "report.html", report_html(scenario, result, metrics, info));
    write_plain_file(at / "config.resolved.yaml", resolved_yaml(scenario));
    write_plain_file(at / "manifest.json", manifest_json(scenario, result, info));
    staged.commit();
  } catch (const fs::filesystem_error& e) {
    throw InputError("cannot write the results to " + directory.string() + ": " +
                     e.code().message());
  }
}

}  // namespace foretoken::analysis
