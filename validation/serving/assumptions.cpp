#include "validation/serving/assumptions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::serving {
namespace {

using models::serving::ClosedLoopArrivals;
using models::serving::EngineSpec;
using models::serving::InSitu;
using models::serving::ServingSpec;
using sim::core::InputError;

constexpr double kMicro = 1e-6;

using Apply = void (*)(ServingSpec&, double);
struct Setting {
  const char* name;
  Apply apply;
};

template <double InSitu::*Member>
void in_situ(ServingSpec& spec, double value) {
  spec.deployment.engine.in_situ.*Member = value;
}
template <double EngineSpec::*Member>
void micro(ServingSpec& spec, double value) {
  spec.deployment.engine.*Member = value * kMicro;
}
int whole(double value) { return static_cast<int>(std::lround(value)); }
ClosedLoopArrivals& loop(ServingSpec& spec) {
  return std::get<ClosedLoopArrivals>(spec.workload.arrivals);
}

constexpr Setting kSettings[] = {
    {"gemm_least", in_situ<&InSitu::gemm_least>},
    {"gemm", in_situ<&InSitu::gemm>},
    {"attention_least", in_situ<&InSitu::attention_least>},
    {"attention", in_situ<&InSitu::attention>},
    {"experts_least", in_situ<&InSitu::experts_least>},
    {"experts", in_situ<&InSitu::experts>},
    {"communication",
     [](ServingSpec& s, double v) {
       s.deployment.engine.in_situ.communication = s.deployment.engine.in_situ.wire = v;
     }},
    {"rank_skew_us",
     [](ServingSpec& s, double v) { s.deployment.engine.in_situ.rank_skew_s = v * 1e-6; }},
    {"wire", in_situ<&InSitu::wire>},
    {"elementwise", in_situ<&InSitu::elementwise>},
    {"prefill", in_situ<&InSitu::prefill>},
    {"kernel_slack", in_situ<&InSitu::kernel_slack>},
    {"host_step_us", micro<&EngineSpec::host_step_s>},
    {"host_sequence_us", micro<&EngineSpec::host_sequence_s>},
    {"host_prefill_us", micro<&EngineSpec::host_prefill_s>},
    {"client_us", micro<&EngineSpec::client_s>},
    {"stream_chunk_us", micro<&EngineSpec::stream_chunk_s>},
    {"expert_skew", [](ServingSpec& s, double v) { s.deployment.expert_skew = v; }},
    {"stream_interval",
     [](ServingSpec& s, double v) { s.deployment.engine.stream_interval = whole(v); }},
    {"first_token_at_once",
     [](ServingSpec& s, double v) { s.deployment.engine.first_token_at_once = v != 0; }},
    {"poll_steps", [](ServingSpec& s, double v) { s.deployment.engine.poll_steps = whole(v); }},
    {"memory_fraction", [](ServingSpec& s, double v) { s.deployment.engine.memory_fraction = v; }},
    {"kv_reserve_output",
     [](ServingSpec& s, double v) { s.deployment.engine.kv_reserve_output = v; }},
    {"max_tokens", [](ServingSpec& s, double v) { s.deployment.batching.max_tokens = whole(v); }},
    {"max_sequences",
     [](ServingSpec& s, double v) {
       s.deployment.batching.max_sequences =
           std::min(s.deployment.batching.max_sequences, whole(v));
     }},
    {"slots_fewer",
     [](ServingSpec& s, double v) {
       s.deployment.batching.max_sequences = std::min(s.deployment.batching.max_sequences,
                                                      std::max(1, loop(s).concurrency - whole(v)));
     }},
    {"low_input", [](ServingSpec& s, double v) { s.workload.input.low_fraction = v; }},
    {"low_output", [](ServingSpec& s, double v) { s.workload.output.low_fraction = v; }},
    {"requests_per_client",
     [](ServingSpec& s, double v) { s.workload.requests = std::llround(v * loop(s).concurrency); }},
    {"kv_fp8",
     [](ServingSpec& s, double v) {
       s.deployment.precision.kv =
           v != 0 ? models::hardware::DType::fp8 : models::hardware::DType::bf16;
     }},
    {"fp8_block",
     [](ServingSpec& s, double v) {
       if (v != 0 && s.deployment.precision.weights == models::llm::WeightFormat::fp8)
         s.deployment.precision.weights = models::llm::WeightFormat::fp8_block;
     }},
    {"expert_parallel",
     [](ServingSpec& s, double v) {
       auto& layout = s.deployment.layout;
       const int ranks = layout.stage_gpus();
       if (v != 0 && s.deployment.model.moe && s.deployment.model.moe->experts % ranks == 0)
         layout.expert = ranks;
     }},
    {"prefill_first",
     [](ServingSpec& s, double v) {
       s.deployment.batching.policy = v != 0 ? models::serving::BatchingPolicy::prefill_first
                                             : models::serving::BatchingPolicy::chunked_prefill;
     }},
    {"ttft_median", [](ServingSpec&, double) {}},
    {"tpot_median", [](ServingSpec&, double) {}},
};

std::string column(const ServedRow& row, const std::string& name) {
  if (name == "engine") return row.engine;
  if (name == "version") return row.engine_version;
  if (name == "source") return row.source;
  if (name == "gpu") return row.gpu;
  if (name == "model") return row.model;
  throw InputError(
      fmt::format("a family matches engine, version, source, gpu or model, not '{}'", name));
}

bool matches(const RunFamily& family, const ServedRow& row) {
  return std::all_of(family.match.begin(), family.match.end(), [&](const auto& entry) {
    return column(row, entry.first).starts_with(entry.second);
  });
}

Settings read_settings(const nlohmann::json& json, const std::string& where) {
  Settings settings;
  for (const auto& [name, value] : json.items()) {
    const auto& known = setting_names();
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw InputError(
          fmt::format("{}: no setting '{}'; there are {}", where, name, fmt::join(known, ", ")));
    if (!value.is_number()) throw InputError(fmt::format("{}: {} must be a number", where, name));
    settings[name] = value.get<double>();
  }
  return settings;
}

}  // namespace

const std::vector<std::string>& setting_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const auto& setting : kSettings) list.emplace_back(setting.name);
    return list;
  }();
  return names;
}

Settings Assumptions::of(const ServedRow& row) const {
  Settings settings;
  const auto add = [&settings](const Settings& more) {
    for (const auto& [name, value] : more) settings[name] = value;
  };
  if (const auto engine = engines.find(row.engine); engine != engines.end()) add(engine->second);
  for (const auto& family : families)
    if (matches(family, row)) add(family.settings);
  return settings;
}

Assumptions read_assumptions(const std::filesystem::path& file) {
  Assumptions out;
  const std::string where = file.string();
  try {
    const auto json = nlohmann::json::parse(calibrate::read_text(file));
    if (json.contains("engines"))
      for (const auto& [engine, settings] : json.at("engines").items())
        out.engines[engine] = read_settings(settings, where + ": engine " + engine);
    if (json.contains("families"))
      for (const auto& family : json.at("families")) {
        RunFamily one;
        for (const auto& [name, value] : family.at("match").items())
          one.match[name] = value.get<std::string>();
        one.settings = read_settings(family.at("set"), where + ": a family");
        out.families.push_back(std::move(one));
      }
  } catch (const nlohmann::json::exception& error) {
    throw InputError(where + ": " + error.what());
  }
  return out;
}

void apply_settings(const Settings& settings, ServingSpec& spec) {
  for (const auto& setting : kSettings)
    if (const auto value = settings.find(setting.name); value != settings.end())
      setting.apply(spec, value->second);
}

}  // namespace foretoken::validation::serving
