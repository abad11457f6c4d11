#include "validation/serving/serving_fit.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::serving {
namespace {

using Json = nlohmann::ordered_json;
using sim::core::InputError;

// Runs made together: one server image and client, one model at a time.
std::string series_of(const ServedRow& row) {
  return fmt::format("{}|{}|{}|{}|{}", row.engine, row.engine_version, row.source, row.gpu,
                     row.model);
}

template <class T>
const T* first_of(const std::map<std::string, T>& map, const std::vector<std::string>& keys) {
  for (const auto& key : keys)
    if (const auto found = map.find(key); found != map.end()) return &found->second;
  return nullptr;
}

Json to_json(const FitSet& set) {
  Json engines = Json::object(), protocol = Json::object(), clock = Json::object();
  for (const auto& [engine, settings] : set.engines) engines[engine] = settings;
  for (const auto& [family, index] : set.protocol) protocol[family] = protocols()[index].name;
  for (const auto& [family, value] : set.clock)
    clock[family] = {{"ms", value.seconds * 1e3}, {"tokens", value.tokens}};
  return {{"engines", engines}, {"protocol", protocol}, {"client_clock", clock}};
}

FitSet set_of(const nlohmann::json& json) {
  FitSet set;
  for (const auto& [engine, settings] : json.at("engines").items())
    set.engines[engine] = settings.get<Settings>();
  for (const auto& [family, name] : json.at("protocol").items())
    for (std::size_t i = 0; i < protocols().size(); ++i)
      if (protocols()[i].name == name.get<std::string>()) set.protocol[family] = i;
  for (const auto& [family, value] : json.at("client_clock").items())
    set.clock[family] = {value.at("ms").get<double>() * 1e-3, value.at("tokens").get<double>()};
  return set;
}

}  // namespace

const std::vector<RunProtocol>& protocols() {
  static const std::vector<RunProtocol> list = {
      {"stated", "as the source states it, or lengths as given", {}},
      {"fixed", "every request has the lengths given", {{"low_input", 1.0}, {"low_output", 1.0}}},
      {"varied_outputs",
       "outputs end up to a fifth early, so that requests drift apart",
       {{"low_input", 1.0}, {"low_output", 0.8}}},
      {"one_slot_fewer",
       "the engine runs one request fewer than the client sends",
       {{"low_input", 1.0}, {"low_output", 0.9}, {"slots_fewer", 1.0}}},
      // Labels of some series name one expert rank where times grow with the batch as those of
      // expert parallel runs do.
      {"expert_parallel",
       "experts are dealt to the GPUs although the row says that each is split over them",
       {{"expert_parallel", 1.0}}},
  };
  return list;
}

bool protocol_is_stated(const ServedRow& row) { return row.source == "inferencex"; }

bool protocol_may_hold(std::size_t protocol, const ServedRow& row) {
  const std::string& name = protocols()[protocol].name;
  if (!protocol_is_stated(row)) return name != "stated" && name != "expert_parallel";
  if (name == "stated") return true;
  return name == "expert_parallel" && row.moe_ep == 1 && row.moe_tp > 1;
}

std::vector<std::string> protocol_families(const ServedRow& row) {
  const std::string series = series_of(row);
  if (protocol_is_stated(row)) return {series};  // labels say nothing about another series
  return {series, fmt::format("{}|{}|{}", row.engine, row.engine_version, row.source),
          fmt::format("{}|{}", row.engine, row.source), row.engine};
}

std::vector<std::string> clock_families(const ServedRow& row) {
  return {series_of(row),
          fmt::format("{}|{}|{}|{}", row.engine, row.engine_version, row.source, row.gpu),
          fmt::format("{}|{}|{}", row.engine, row.engine_version, row.source),
          fmt::format("{}|{}", row.engine, row.source), row.engine};
}

std::size_t FitSet::protocol_of(const ServedRow& row) const {
  for (const auto& family : protocol_families(row))
    if (const auto found = protocol.find(family);
        found != protocol.end() && protocol_may_hold(found->second, row))
      return found->second;
  return 0;
}

ClientClock FitSet::clock_of(const ServedRow& row) const {
  const auto* found = first_of(clock, clock_families(row));
  return found != nullptr ? *found : ClientClock{};
}

Settings settings_of(const FitSet& set, const ServedRow& row) {
  Settings settings;
  if (const auto engine = set.engines.find(row.engine); engine != set.engines.end())
    settings = engine->second;
  for (const auto& [name, value] : protocols()[set.protocol_of(row)].settings)
    settings[name] = value;
  return settings;
}

const std::vector<Fitted>& fitted_parameters() {
  static const std::vector<Fitted> list = {
      {"gemm_least", 1.05, 0.8, 1.6},       {"gemm", 0.45, 0.0, 1.5},
      {"attention_least", 1.3, 0.8, 2.5},   {"stream_chunk_us", 60.0, 0.0, 200.0},
      {"experts_least", 1.0, 0.5, 1.6},     {"experts", 0.75, 0.0, 1.5},
      {"communication", 1.0, 0.1, 3.0},     {"host_step_us", 900, 0.0, 5000},
      {"host_sequence_us", 8.0, 0.0, 60.0}, {"prefill", 0.95, 0.4, 1.6},
      {"rank_skew_us", 3.0, 0.0, 20.0},
  };
  return list;
}

double kernel_slack(const std::string& engine) {
  if (engine == "vllm") return 1.0;
  if (engine == "trtllm") return 1.25;
  if (engine == "sglang") return 3.0;
  return 1.25;
}

ServingFit read_serving_fit(const std::filesystem::path& file) {
  try {
    const auto json = nlohmann::json::parse(calibrate::read_text(file));
    ServingFit fit;
    fit.rows_hash = json.at("rows_hash").get<std::string>();
    fit.all = set_of(json.at("all"));
    const auto& folds = json.at("folds");
    if (folds.size() != kFolds)
      throw InputError(fmt::format("{}: {} folds instead of {}", file.string(), folds.size(),
                                   static_cast<int>(kFolds)));
    for (std::size_t i = 0; i < fit.folds.size(); ++i) fit.folds[i] = set_of(folds.at(i));
    return fit;
  } catch (const nlohmann::json::exception& error) {
    throw InputError(file.string() + ": " + error.what() +
                     "; make it again with 'foretoken calibrate serving'");
  }
}

void write_serving_fit(const std::filesystem::path& file, const ServingFit& fit) {
  Json folds = Json::array();
  for (const auto& fold : fit.folds) folds.push_back(to_json(fold));
  const Json json = {{"made_by", "foretoken calibrate serving"},
                     {"source", "validation/measurements/serving/served-aggregated.csv"},
                     {"rows_hash", fit.rows_hash},
                     {"all", to_json(fit.all)},
                     {"folds", std::move(folds)}};
  std::ofstream out(file);
  out << json.dump(1) << '\n';
  out.close();
  if (!out) throw InputError(file.string() + ": cannot be written");
}

}  // namespace foretoken::validation::serving
