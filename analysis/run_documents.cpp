#include "analysis/run_documents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/results_store.hpp"
#include "analysis/summary.hpp"
#include "scenarios/loader/content_hash.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;

// Dotted paths as a tree, keys in the order first seen.
struct Branch {
  std::string key;
  const scenarios::loader::ResolvedValue* leaf = nullptr;
  std::vector<Branch> children;
};

Branch& child_of(Branch& parent, const std::string& key) {
  const auto known = std::find_if(parent.children.begin(), parent.children.end(),
                                  [&](const Branch& b) { return b.key == key; });
  if (known != parent.children.end()) return *known;
  parent.children.push_back({key, nullptr, {}});
  return parent.children.back();
}

Branch tree_of(const std::vector<scenarios::loader::ResolvedValue>& values) {
  Branch root;
  for (const auto& value : values) {
    Branch* at = &root;
    for (std::size_t begin = 0; begin <= value.path.size();) {
      const std::size_t end = std::min(value.path.find('.', begin), value.path.size());
      at = &child_of(*at, value.path.substr(begin, end - begin));
      begin = end + 1;
    }
    at->leaf = &value;
  }
  return root;
}

bool is_list(const Branch& branch) {
  for (std::size_t i = 0; i < branch.children.size(); ++i)
    if (branch.children[i].key != std::to_string(i)) return false;
  return !branch.children.empty();
}

// Plain where YAML reads the very same text back; else a JSON string, which YAML also reads.
std::string scalar(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '/' || c == '-' || c == '+';
  };
  const bool safe = !text.empty() && std::all_of(text.begin(), text.end(), plain) &&
                    text.front() != '-' && text.front() != '.';
  if (safe) return text;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return text;
}

void put_branch(std::string& out, const Branch& branch, std::size_t depth, bool in_list) {
  std::string line(depth * 2, ' ');
  line += in_list ? "-" : scalar(branch.key) + ":";
  // A name that a card then filled in: the name stays, what the card said is for reading only.
  if (branch.leaf != nullptr) {
    line += " " + scalar(branch.leaf->value);
    if (line.size() < 48) line.resize(48, ' ');
    line += "  # " + one_line(branch.leaf->origin);
  }
  out += line + "\n";
  if (branch.leaf != nullptr) {
    for (const Branch& child : branch.children)
      if (child.leaf != nullptr)
        out += std::string(depth * 2 + 2, ' ') + "# " + one_line(child.key) + ": " +
               one_line(child.leaf->value) + "  (" + one_line(child.leaf->origin) + ")\n";
    return;
  }
  const bool list = is_list(branch);
  for (const Branch& child : branch.children) put_branch(out, child, depth + 1, list);
}

Json file_hashes(const Scenario& scenario) {
  Json files = Json::object();
  for (const auto& [file, hash] : scenario.input_hashes) files[file] = hash;
  return files;
}

}  // namespace

std::string resolved_yaml(const Scenario& scenario) {
  std::string out = "# Every value of this run and where it came from.\n";
  for (const Branch& branch : tree_of(scenario.resolved).children)
    put_branch(out, branch, 0, false);
  return out;
}

std::uint64_t scenario_hash(const Scenario& scenario) {
  // Origins are left out: the same value from a flag or a file is the same run.
  std::string text = scenario.name;
  const auto add = [&text](const std::string& part) { text += '\n' + part; };
  for (const auto& value : scenario.resolved) add(value.path + '=' + value.value);
  for (const auto& [file, hash] : scenario.input_hashes)
    add(std::filesystem::path(file).filename().string() + ' ' + hash);
  add(std::to_string(scenario.serving.seed));
  return scenarios::loader::content_hash(text);
}

std::string manifest_json(const Scenario& scenario, const ServingResult& result,
                          const RunInfo& info) {
  Json j;
  j["format_version"] = kRunFormatVersion;
  j["summary_schema_version"] = kSummaryVersion;
  j["kind"] = "serving";
  j["name"] = scenario.name;
  j["scenario"] = scenario.file.string();
  std::error_code code;
  j["directory"] = std::filesystem::current_path(code).string();
  j["overrides"] = scenario.overrides;
  j["scenario_hash"] = fmt::format("fnv1a64:{:016x}", scenario_hash(scenario));
  j["inputs"] = file_hashes(scenario);
  j["seed"] = scenario.serving.seed;
  j["foretoken_version"] = info.version;
  j["build"] = build_description();
  j["replay"] = info.replay_command;
  j["event_hash"] = fmt::format("{:016x}", result.run.hash);
  j["files"] = {"summary.json", "run.h5", "report.html", "config.resolved.yaml"};
  j["run"] = {{"threads", info.threads},
              {"wall_s", info.wall_s},
              {"cpu_s", info.cpu_s},
              {"peak_rss_mib", info.peak_rss_mib}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string build_description() {
#if defined(__clang__)
  std::string out = "clang " __clang_version__;
#else
  std::string out = "gcc " __VERSION__;
#endif
#ifdef NDEBUG
  out += ", optimised";
#else
  out += ", with assertions";
#endif
  return out;
}

}  // namespace foretoken::analysis
