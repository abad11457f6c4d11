// Engine cards: one file an engine, with the versions that its figures hold for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using models::serving::EngineSpec;
using models::serving::MemoryRule;
using sim::core::Bytes;
using sim::core::Diagnostic;
using sim::core::InputError;

namespace {

constexpr Limits kShare{0.0, 1.0};

// Capture sizes as a list of numbers and {from, to, step} ranges.
std::vector<int> read_batches(const YamlNode& list) {
  std::vector<int> batches;
  for (const YamlNode& item : list.items()) {
    if (item.is_map()) {
      const int from = item.required<int>("from", at_least(1));
      const int to = item.required<int>("to", {1.0, 65536.0});
      const int step = item.required<int>("step", at_least(1));
      if (to < from) item.error("graph_batches: 'to' is below 'from'");
      for (int batch = from; step > 0 && batch > 0 && batch <= to; batch += step) {
        batches.push_back(batch);
      }
    } else {
      batches.push_back(item.as<int>({1.0, 65536.0}));
    }
    const std::size_t n = batches.size();
    if (n > 1 && batches[n - 1] <= batches[n - 2]) {
      item.error("graph_batches: sizes must increase");
      return {};
    }
  }
  return batches;
}

const std::vector<std::string_view>& figures() {
  static const std::vector<std::string_view> names = {"policy",
                                                      "max_tokens",
                                                      "max_sequences",
                                                      "kv_block_tokens",
                                                      "memory_fraction",
                                                      "memory_rule",
                                                      "kv_watermark",
                                                      "kv_reserve_output",
                                                      "framework_reserve",
                                                      "host_step",
                                                      "host_sequence",
                                                      "host_prefill",
                                                      "client",
                                                      "host_error",
                                                      "stream_interval",
                                                      "first_token_at_once",
                                                      "graph_batches",
                                                      "expert_skew"};
  return names;
}

// With those that a card may leave out: what a version may give another value of.
std::vector<std::string_view> all_figures() {
  std::vector<std::string_view> names = figures();
  names.insert(names.end(),
               {"admit_whole_prompt", "overlap_schedule", "fused_norm_reduce", "fused_norm_on"});
  return names;
}

// Figures that need a source where a card has them.
std::vector<std::string_view> sourced_figures() {
  std::vector<std::string_view> names = all_figures();
  names.insert(names.end(), {"in_situ", "overlap_loss", "served_error"});
  return names;
}

std::vector<std::string> read_architectures(const YamlNode& list) {
  std::vector<std::string> names;
  for (const YamlNode& item : list.items()) names.push_back(item.as<std::string>());
  if (names.empty()) list.error("name an architecture, or leave the key out for all of them");
  return names;
}

// Replaces in `spec` every figure that `node` gives.
void read_figures(const YamlNode& node, EngineSpec& spec) {
  const auto number = [&node](std::string_view key, int& out) {
    if (const auto value = node.optional<int>(key, at_least(1))) out = *value;
  };
  const auto share = [&node](std::string_view key, double& out) {
    if (const auto value = node.optional<Ratio>(key, kShare)) out = value->value;
  };
  const auto seconds = [&node](std::string_view key, double& out) {
    if (const auto value = node.optional<Seconds>(key)) out = value->value;
  };
  if (const auto policy = node.optional_choice<std::string>(
          "policy", {{"chunked_prefill", "chunked_prefill"},
                     {"prefill_first", "prefill_first"},
                     {"prefill_first_whole", "prefill_first_whole"},
                     {"continuous", "continuous"}})) {
    spec.default_policy = *policy;
  }
  number("max_tokens", spec.default_max_tokens);
  number("max_sequences", spec.default_max_sequences);
  number("kv_block_tokens", spec.kv_block_tokens);
  number("stream_interval", spec.stream_interval);
  share("memory_fraction", spec.memory_fraction);
  share("kv_watermark", spec.kv_watermark);
  share("kv_reserve_output", spec.kv_reserve_output);
  if (const auto rule = node.optional_choice<MemoryRule>(
          "memory_rule", {{"whole", MemoryRule::whole},
                          {"static_pool", MemoryRule::static_pool},
                          {"free_memory", MemoryRule::free_memory}})) {
    spec.memory_rule = *rule;
  }
  if (const auto bytes = node.optional<Bytes>("framework_reserve")) spec.framework_reserve = *bytes;
  if (const auto bytes = node.optional<Bytes>("fused_norm_reduce")) spec.fused_norm_reduce = *bytes;
  if (node.has("fused_norm_on"))
    spec.fused_norm_on = read_architectures(node.any_child("fused_norm_on"));
  seconds("host_step", spec.host_step_s);
  seconds("host_sequence", spec.host_sequence_s);
  seconds("host_prefill", spec.host_prefill_s);
  seconds("client", spec.client_s);
  if (const auto error = node.optional<Ratio>("host_error")) {
    spec.host_relative_error = error->value;
  }
  const auto flag = [&node](std::string_view key, bool& out) {
    if (const auto value = node.optional<bool>(key)) out = *value;
  };
  flag("first_token_at_once", spec.first_token_at_once);
  flag("admit_whole_prompt", spec.admit_whole_prompt);
  flag("overlap_schedule", spec.overlap_schedule);
  if (node.has("graph_batches")) spec.graph_batches = read_batches(node.any_child("graph_batches"));
  if (const auto skew = node.optional<Ratio>("expert_skew")) spec.expert_skew = skew->value;
}

// Optional: an engine of the user's own may have none.
void read_served(const YamlNode& node, EngineSpec& spec) {
  const auto share = [](const YamlNode& from, std::string_view key, double& out) {
    if (const auto value = from.optional<Ratio>(key, {0.0, 10.0})) out = value->value;
  };
  if (node.has("in_situ")) {
    const YamlNode from = node.required_child("in_situ");
    models::serving::InSitu& to = spec.in_situ;
    share(from, "gemm_least", to.gemm_least);
    share(from, "gemm", to.gemm);
    share(from, "attention_least", to.attention_least);
    share(from, "attention", to.attention);
    share(from, "experts_least", to.experts_least);
    share(from, "experts", to.experts);
    share(from, "wire", to.wire);
    share(from, "communication", to.communication);
    share(from, "elementwise", to.elementwise);
    share(from, "prefill", to.prefill);
    share(from, "kernel_slack", to.kernel_slack);
    share(from, "prompt_slack", to.prompt_slack);
    if (const auto skew = from.optional<Seconds>("rank_skew")) to.rank_skew_s = skew->value;
    if (const auto chunk = from.optional<Seconds>("stream_chunk"))
      spec.stream_chunk_s = chunk->value;
  }
  if (const auto loss = node.optional<Ratio>("overlap_loss", kShare))
    spec.overlap_loss = loss->value;
  if (node.has("served_error")) {
    const YamlNode from = node.required_child("served_error");
    share(from, "ttft", spec.served_ttft_error);
    share(from, "tpot", spec.served_tpot_error);
  }
}

// "1.2.0rc6.post2" -> {1, 2, 0}; empty if it does not start with a number.
std::vector<int> numbers_of(std::string_view version) {
  std::vector<int> numbers;
  const char* at = version.data();
  const char* const end = at + version.size();
  while (at != end) {
    int value = 0;
    const auto [stop, status] = std::from_chars(at, end, value);
    if (status != std::errc{} || value < 0) break;
    numbers.push_back(value);
    if (stop == end || *stop != '.') break;
    at = stop + 1;
  }
  return numbers;
}

// Distance of two versions: a step in a leading number outweighs any in those after it.
double distance(std::string_view a, std::string_view b) {
  constexpr std::array<double, 3> kWeights = {1e6, 1e3, 1.0};
  const std::vector<int> x = numbers_of(a), y = numbers_of(b);
  double sum = 0.0;
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    sum += kWeights[i] * ((i < x.size() ? x[i] : 0) - (i < y.size() ? y[i] : 0));
  }
  return std::abs(sum);
}

struct Version {
  std::string name;
  YamlNode node;
};

std::vector<Version> read_versions(const YamlNode& root) {
  std::vector<Version> versions;
  if (!root.has("versions")) root.error("missing key 'versions'");
  for (const YamlNode& item : root.any_child("versions").items()) {
    if (item.is_map()) {
      versions.push_back({item.required<std::string>("version"), item});
    } else {
      versions.push_back({item.as<std::string>(), item});
    }
    if (numbers_of(versions.back().name).empty()) {
      item.error(fmt::format("'{}' is not a version such as 0.5.9", versions.back().name));
    }
  }
  return versions;
}

// The listed version that serves for `asked`; says so where it is another one.
const Version& choose_version(const std::vector<Version>& versions, const std::string& engine,
                              const std::string& asked, std::vector<Diagnostic>& warnings) {
  for (const Version& version : versions) {
    if (version.name == asked) return version;
  }
  const Version* best = &versions.front();
  for (const Version& version : versions) {
    if (distance(version.name, asked) < distance(best->name, asked)) best = &version;
  }
  Diagnostic warning;
  warning.warning = true;
  warning.message =
      fmt::format("no figures for {} {}; those of {} {} serve", engine, asked, engine, best->name);
  warnings.push_back(std::move(warning));
  return *best;
}

// Figures of one version that differ need a source in place.
void read_version(const Version& version, EngineSpec& spec) {
  if (!version.node.is_map()) return;
  read_figures(version.node, spec);
  bool any = false;
  for (const std::string_view figure : all_figures()) any = any || version.node.has(figure);
  const bool sourced = version.node.optional<std::string>("source").has_value();
  if (version.node.has("date")) read_date(version.node, "date");
  if (any && !(sourced && version.node.has("date"))) {
    version.node.error(
        fmt::format("figures of version {} have no source; add source and date", version.name));
  }
}

// Whose kernel tables serve: the engine's own, or those that `tables: ENGINE-VERSION` names.
models::kernels::EngineVersion tables_of(const YamlNode& root,
                                         const models::kernels::EngineVersion& own) {
  const auto text = root.optional<std::string>("tables");
  if (!text) return own;
  const std::size_t dash = text->find('-');
  if (dash == std::string::npos || numbers_of(text->substr(dash + 1)).empty()) {
    root.any_child("tables").error(fmt::format(
        "'{}' names no kernel tables; write ENGINE-VERSION, e.g. sglang-0.5.10", *text));
    return own;
  }
  return {text->substr(0, dash), text->substr(dash + 1)};
}

Loaded<EngineSpec> read_engine(const fs::path& path, const std::string& asked,
                               bool own_figures = true) {
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "engine");
  Loaded<EngineSpec> loaded{{}, {path}, {}};
  EngineSpec& spec = loaded.card;
  for (const std::string_view figure : figures()) {
    if (!root.has(figure)) root.error(fmt::format("missing key '{}'", figure));
  }
  read_figures(root, spec);
  read_served(root, spec);
  read_sources(root, sourced_figures());
  const auto preferred = root.required<std::string>("default_version");
  const std::vector<Version> versions = read_versions(root);
  bool listed = false;
  for (const Version& version : versions) {
    listed = listed || version.name == preferred;
    EngineSpec scratch;  // every version is checked, whichever is asked for
    read_version(version, scratch);
  }
  if (!listed) root.any_child("default_version").error("default_version is not among versions");
  const std::string wanted = asked.empty() ? preferred : asked;
  spec.tables = tables_of(root, {head.name, wanted});
  file.finish();
  const Version& version = choose_version(versions, head.name, wanted, loaded.warnings);
  if (own_figures) read_version(version, spec);
  spec.name = fmt::format("{}-{}", head.name, wanted);
  const std::vector<Diagnostic> noted = file.warnings();
  loaded.warnings.insert(loaded.warnings.end(), noted.begin(), noted.end());
  return loaded;
}

// Of a card of the user's own: an architecture that no GPU has turns a figure off, silently.
Loaded<EngineSpec> with_known_architectures(Loaded<EngineSpec> loaded, const Catalogue& catalogue) {
  if (loaded.card.fused_norm_on.empty()) return loaded;
  std::set<std::string> known;
  for (const CardEntry& gpu : list_cards("gpu", catalogue))
    known.insert(load_gpu(gpu.name, catalogue).card.spec.architecture);
  for (const std::string& name : loaded.card.fused_norm_on) {
    if (known.contains(name)) continue;
    Diagnostic warning;
    warning.warning = true;
    warning.message =
        fmt::format("fused_norm_on: no GPU of the catalogue has the architecture '{}'; known: {}",
                    name, fmt::join(known, ", "));
    loaded.warnings.push_back(std::move(warning));
  }
  return loaded;
}

}  // namespace

EngineSpec load_engine_family(const std::string& engine, const Catalogue& catalogue) {
  for (const fs::path& path : card_files(catalogue, "engines"))
    if (engine == path.stem().string()) return read_engine(path, {}, false).card;
  throw InputError(fmt::format("no engine '{}'", engine));
}

Loaded<EngineSpec> load_engine(const std::string& name, const Catalogue& catalogue,
                               const fs::path& base) {
  if (is_card_path(name))
    return with_known_architectures(read_engine(find_card(name, catalogue, "engines", base), {}),
                                    catalogue);
  std::vector<std::string> engines;
  for (const fs::path& path : card_files(catalogue, "engines")) {
    const std::string engine = path.stem().string();
    if (name == engine) return read_engine(path, {});
    if (name.starts_with(engine + "-")) return read_engine(path, name.substr(engine.size() + 1));
    engines.push_back(engine);
  }
  const auto near = did_you_mean(name.substr(0, name.find('-')), engines);
  throw InputError(
      fmt::format("no engine '{}'; {}", name,
                  near ? fmt::format("did you mean '{}'?", *near)
                       : fmt::format("known: {}, each with -VERSION", fmt::join(engines, ", "))));
}

}  // namespace foretoken::scenarios::loader
