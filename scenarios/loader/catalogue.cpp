#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "models/serving/router.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using Entry = Catalogue::Entry;

std::string billions(std::int64_t parameters) {
  return fmt::format("{:.1f}B", static_cast<double>(parameters) * 1e-9);
}

std::string model_summary(const fs::path& file) {
  try {
    const auto model = read_model_config(file);
    const auto count = models::llm::count_parameters(model);
    std::string summary =
        fmt::format("{}, {} parameters", model.architecture, billions(count.total));
    if (model.moe) summary += fmt::format(" ({} active)", billions(count.active));
    return summary + fmt::format(", {} layers, {} weights, context {}", model.layers,
                                 to_string(model.checkpoint), model.max_positions);
  } catch (const sim::core::InputError&) {
    return "cannot be read; foretoken check says why";
  }
}

std::vector<Entry> list_models(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code missing;
  for (const auto& item : fs::directory_iterator(folder, missing)) {
    const fs::path& path = item.path();
    if (path.extension() == ".json") {
      entries.push_back({path.stem().string(), model_summary(path), path});
    } else if (fs::exists(path / "config.json", missing)) {
      entries.push_back(
          {path.filename().string(), model_summary(path / "config.json"), path / "config.json"});
    }
  }
  return entries;
}

std::vector<Entry> list_workloads(const fs::path& folder) {
  std::vector<Entry> entries;
  YamlFile file = YamlFile::open(folder / "index.yaml");
  for (const auto& [name, node] : file.root().entries()) {
    const auto trace = node.required<std::string>("file");
    entries.push_back({name, node.required<std::string>("summary"), folder / trace});
    (void)node.required<std::string>("source");
    (void)node.required<std::string>("licence");
  }
  file.finish();
  return entries;
}

std::vector<Entry> list_named(const std::vector<Named>& names, std::string_view suffix) {
  std::vector<Entry> entries;
  for (const Named& named : names) {
    entries.push_back({std::string(named.name), fmt::format("{}{}", named.summary, suffix), {}});
  }
  return entries;
}

std::vector<Entry> list_of_cards(const std::string& kind, const Catalogue& catalogue) {
  std::vector<Entry> entries;
  for (CardEntry& card : list_cards(kind, catalogue)) {
    entries.push_back({std::move(card.name), std::move(card.summary), std::move(card.file)});
  }
  return entries;
}

}  // namespace

bool is_path(const std::string& name) {
  const auto ends = [&name](std::string_view tail) { return name.ends_with(tail); };
  return name.find('/') != std::string::npos || ends(".json") || ends(".csv") || ends(".gz") ||
         ends(".yaml") || ends(".jsonl");
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Catalogue::Catalogue(fs::path root) : root_(std::move(root)) {}

std::vector<Entry> Catalogue::list(const std::string& kind) const {
  const fs::path folder = root_ / "scenarios" / kind;
  std::vector<Entry> entries;
  if (kind == "models") {
    entries = list_models(folder);
  } else if (kind == "hardware") {  // what a scenario's hardware block may name, and the GPUs
    for (const char* card : {"node", "gpu", "cpu", "nic", "storage"}) {
      for (Entry& entry : list_of_cards(card, *this)) {
        entry.kind = card;
        entries.push_back(std::move(entry));
      }
    }
    return entries;  // by kind, each by name
  } else if (kind == "engines") {
    entries = list_of_cards("engine", *this);
  } else if (kind == "workloads") {
    entries = list_workloads(folder);
  } else if (kind == "policies") {
    entries = list_named(batching_policies(), " (deployment.batching.policy)");
    const auto more = list_named(routers(), " (deployment.router)");
    entries.insert(entries.end(), more.begin(), more.end());
    return entries;  // in the order of the schema
  } else {
    throw sim::core::InputError(fmt::format(
        "no list of '{}'; there are models, hardware, engines, policies and workloads", kind));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

const std::vector<Named>& batching_policies() {
  static const std::vector<Named> names = [] {
    std::vector<Named> list;
    for (const auto& info : models::serving::kPolicies) list.push_back({info.name, info.summary});
    return list;
  }();
  return names;
}

const std::vector<Named>& routers() {
  static const std::vector<Named> names = [] {
    std::vector<Named> list;
    for (const auto& info : models::serving::router_policies())
      list.push_back({info.name, info.summary});
    return list;
  }();
  return names;
}

fs::path LoadContext::base_of(const YamlNode& node) const {
  return node.origin() == "--set" ? fs::path() : folder;
}

std::optional<fs::path> LoadContext::locate(const YamlNode& node, const std::string& kind) const {
  if (!node.exists()) return std::nullopt;
  const auto name = node.as<std::string>();
  if (name.empty()) return std::nullopt;
  std::error_code code;
  if (is_path(name)) {
    const fs::path path = base_of(node) / name;  // an absolute name replaces the folder
    if (fs::is_regular_file(path, code)) return path;
    if (kind == "workloads" && fs::is_directory(path, code)) return path;  // a client pool
    // org/Model as on Hugging Face may well be in the catalogue.
    const std::string last = lower_case(name.substr(name.find_last_of('/') + 1));
    std::string advice;
    for (const Catalogue::Entry& entry : catalogue.list(kind)) {
      if (entry.name == last) advice = fmt::format("; the catalogue has '{}'", last);
    }
    node.error(fmt::format("no such file: {}{}", path.lexically_normal().string(), advice));
    return std::nullopt;
  }
  if (kind == "models") {  // without opening every card
    for (const std::string& card : {name + ".json", name + "/config.json"}) {
      const fs::path path = catalogue.root() / "scenarios" / kind / card;
      if (fs::is_regular_file(path, code)) return path;
    }
  }
  std::vector<std::string> names;
  for (const Catalogue::Entry& entry : catalogue.list(kind)) {
    if (entry.name == name) return entry.file;
    names.push_back(entry.name);
  }
  const auto near = did_you_mean(name, names);
  node.error(
      fmt::format("'{}' is not in the catalogue of {}; {}", name, kind,
                  near ? fmt::format("did you mean '{}'?", *near)
                       : fmt::format("there are: {} (or give a path)", fmt::join(names, ", "))));
  return std::nullopt;
}

}  // namespace foretoken::scenarios::loader
