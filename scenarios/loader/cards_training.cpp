#include "scenarios/loader/cards_training.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::training::Software;
using sim::core::Bytes;
using sim::core::BytesPerSecond;

const std::vector<std::string_view>& figures() {
  static const std::vector<std::string_view> names = {"attention",
                                                      "sequence_parallel",
                                                      "overlap",
                                                      "cross_entropy",
                                                      "dropout",
                                                      "dispatch",
                                                      "permutation",
                                                      "gradient_bytes",
                                                      "reduce_bytes",
                                                      "gather_bytes",
                                                      "optimizer_state_bytes",
                                                      "main_parameter_bytes",
                                                      "dispatch_bytes",
                                                      "communication_sms",
                                                      "memory_reserve",
                                                      "network",
                                                      "fused_sinks_from",
                                                      "constants"};
  return names;
}

void read_overlap(const YamlNode& root, Software& s) {
  const std::pair<std::string_view, bool Software::*> kinds[] = {
      {"tensor", &Software::overlap_tensor},
      {"gradients", &Software::overlap_gradients},
      {"parameters", &Software::overlap_parameters},
      {"pipeline", &Software::overlap_pipeline},
      {"experts", &Software::overlap_experts}};
  for (const YamlNode& item : root.any_child("overlap").items()) {
    const auto word = item.as<std::string>();
    bool known = false;
    for (const auto& [name, member] : kinds)
      if (word == name) s.*member = known = true;
    if (!known)
      item.error(fmt::format(
          "'{}' cannot be overlapped; it is tensor, gradients, parameters, pipeline or experts",
          word));
  }
}

void read_features(const YamlNode& root, Software& s) {
  s.flash_attention =
      root.optional_choice<bool>("attention", {{"flash", true}, {"unfused", false}}).value_or(true);
  s.sequence_parallel = root.value_or<bool>("sequence_parallel", s.sequence_parallel);
  s.fused_cross_entropy =
      root.optional_choice<bool>("cross_entropy", {{"fused", true}, {"unfused", false}})
          .value_or(true);
  s.dropout = root.value_or<bool>("dropout", s.dropout);
  s.deduplicated_dispatch =
      root.optional_choice<bool>("dispatch", {{"nodes", true}, {"pairs", false}}).value_or(false);
  s.fused_permutation =
      root.optional_choice<bool>("permutation", {{"fused", true}, {"unfused", false}})
          .value_or(true);
  read_overlap(root, s);
  const auto bytes = [&](std::string_view key, double& out) {
    if (const auto value = root.optional<Bytes>(key)) out = value->value();
  };
  bytes("gradient_bytes", s.gradient_bytes);
  bytes("reduce_bytes", s.reduce_bytes);
  bytes("gather_bytes", s.gather_bytes);
  bytes("optimizer_state_bytes", s.optimizer_state_bytes);
  bytes("main_parameter_bytes", s.main_parameter_bytes);
  bytes("dispatch_bytes", s.dispatch_bytes);
  bytes("memory_reserve", s.memory_reserve);
  if (const auto rate = root.optional<BytesPerSecond>("network")) s.network = rate->value();
  s.fused_sinks_from = root.optional<std::string>("fused_sinks_from").value_or("");
  if (const auto sms = root.optional<int>("communication_sms")) s.communication_sms = *sms;
}

std::map<std::string, double> read_numbers(const YamlNode& map) {
  std::map<std::string, double> numbers;
  for (const auto& [key, node] : map.entries()) numbers[key] = node.as<Ratio>().value;
  return numbers;
}

std::vector<FittedConstant> read_fitted(const YamlNode& root) {
  std::vector<FittedConstant> fitted;
  for (const YamlNode& item : root.any_child("fit").items()) {
    FittedConstant c;
    c.name = item.required<std::string>("constant");
    c.prior = item.required<Ratio>("prior", kPositive).value;
    c.spread = item.required<Ratio>("spread", kPositive).value;
    c.least = item.value_or<Ratio>("least", Ratio{0.0}).value;
    c.most = item.value_or<Ratio>("most", Ratio{c.most}).value;
    c.by = item.optional_choice<std::string>(
                   "by",
                   {{"gpu", "gpu"}, {"gpu_arithmetic", "gpu_arithmetic"}, {"release", "release"}})
               .value_or("");
    c.by_spread = item.value_or<Ratio>("by_spread", Ratio{c.by_spread}, kPositive).value;
    fitted.push_back(c);
  }
  // One factor a release comes on top.
  constexpr std::ptrdiff_t kMost = 4;
  if (std::count_if(fitted.begin(), fitted.end(),
                    [](const FittedConstant& c) { return c.by != "release"; }) > kMost)
    root.any_child("fit").error(
        fmt::format("{} constants to fit; at most {} a source", fitted.size(), kMost));
  return fitted;
}

void merge(std::map<std::string, double>& into, const std::map<std::string, double>& from) {
  for (const auto& [key, value] : from) into[key] = value;
}

// The fitted set and one a fold; each laid over the card's own constants.
void read_constants(const fs::path& path, SoftwareCard& card) {
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  read_head(file, path, "training-constants");
  (void)root.optional<std::string>("data");
  const std::map<std::string, double> own = card.software.constants;
  merge(card.software.constants, read_numbers(root.child("constants")));
  for (const YamlNode& fold : root.any_child("folds").items()) {
    card.folds.push_back(own);
    merge(card.folds.back(), read_numbers(fold));
  }
  card.software.error = read_numbers(root.child("error"));
  file.finish();
}

}  // namespace

fs::path constants_file(const Catalogue& catalogue, const std::string& name) {
  return catalogue.root() / "scenarios" / "software" / "constants" / (name + ".yaml");
}

Loaded<SoftwareCard> load_training_software(const std::string& name, const Catalogue& catalogue,
                                            const fs::path& base) {
  const fs::path path = find_card(name, catalogue, "software", base);
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "training-software");
  Loaded<SoftwareCard> loaded{{}, {path}, {}};
  SoftwareCard& card = loaded.card;
  card.summary = head.summary;
  card.software.name = head.name;
  read_features(root, card.software);
  card.software.constants = read_numbers(root.child("constants"));
  card.fitted = read_fitted(root);
  card.sources = read_sources(root, figures());
  file.finish();
  fs::path constants = constants_file(catalogue, head.name);
  if (is_card_path(name)) constants = path.parent_path() / "constants" / path.filename();
  if (fs::is_regular_file(constants)) {
    read_constants(constants, card);
    loaded.files.push_back(constants);
  }
  return loaded;
}

std::string constants_card(const std::string& name, const std::string& data_hash,
                           const std::map<std::string, double>& full,
                           const std::vector<std::map<std::string, double>>& folds,
                           const std::map<std::string, double>& error) {
  const auto numbers = [](const std::map<std::string, double>& values) {
    std::string text = "{";
    for (const auto& [key, value] : values)
      text += fmt::format("{}{}: {:.5g}", text.size() > 1 ? ", " : "", key, value);
    return text + "}";
  };
  std::string text = fmt::format(
      "# Written by `foretoken calibrate training`: fitted on the measurements, all of them "
      "(constants)\n# and with one fold left out each (folds, by stable hash of model, "
      "accelerator, precision, layout).\ncard: training-constants\nname: {}\nsummary: constants of "
      "{}, fitted\ndata: {}\nconstants: {}\nfolds:\n",
      name, name, data_hash, numbers(full));
  for (const auto& fold : folds) text += fmt::format("  - {}\n", numbers(fold));
  text += fmt::format("error: {}\n", numbers(error));
  return text;
}

}  // namespace foretoken::scenarios::loader
