#include "validation/importers/description.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/loader/model_config.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::importers {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using sim::core::Diagnostic;
using sim::core::InputError;

constexpr const char* kKind = "moe-training-chunk-pair";

// Collects every problem of one file.
class Fields {
 public:
  Fields(const fs::path& file, const Json& json) : file_(file), json_(json) {}

  template <class T>
  T get(const char* key) {
    known_.insert(key);
    const auto found = json_.find(key);
    if (found == json_.end()) {
      problem(fmt::format("lacks \"{}\"", key));
      return T{};
    }
    try {
      return found->get<T>();
    } catch (const Json::exception&) {
      problem(fmt::format("\"{}\": {} is of the wrong type", key, found->dump()));
      return T{};
    }
  }
  template <class T>
  T positive(const char* key) {
    const T value = get<T>(key);
    if (json_.contains(key) && !(value > 0)) problem(fmt::format("\"{}\" must be above 0", key));
    return value;
  }
  void problem(const std::string& message) {
    Diagnostic diagnostic;
    diagnostic.file = file_.string();
    diagnostic.message = message;
    problems_.push_back(diagnostic);
  }
  void finish() {
    for (const auto& [key, value] : json_.items())
      if (!key.starts_with("_") && !known_.contains(key))
        problem(fmt::format("unknown key \"{}\"; notes begin with _", key));
    if (!problems_.empty()) throw InputError(problems_);
  }

 private:
  fs::path file_;
  const Json& json_;
  std::set<std::string> known_;
  std::vector<Diagnostic> problems_;
};

models::kernels::EngineVersion engine_of(const std::string& name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string::npos) return {name, ""};
  return {name.substr(0, dash), name.substr(dash + 1)};
}

std::string stem_of(const fs::path& trace) {
  std::string name = trace.filename().string();
  for (const char* suffix : {".gz", ".csv", ".json", ".sqlite", ".kineto"})
    if (name.ends_with(suffix)) name.resize(name.size() - std::string_view(suffix).size());
  return name;
}

Description read_description(const fs::path& file, const scenarios::loader::Catalogue& catalogue) {
  std::ifstream in(file);
  Json json;
  try {
    json = Json::parse(in);
  } catch (const Json::exception& error) {
    throw InputError(file.string() + ": no JSON: " + error.what());
  }
  if (!json.is_object()) throw InputError(file.string() + ": must be a JSON object");
  Fields fields(file, json);
  if (const auto kind = fields.get<std::string>("kind"); !kind.empty() && kind != kKind)
    fields.problem(fmt::format("kind \"{}\": only \"{}\" is known", kind, kKind));
  Description description;
  TrainingChunk& chunk = description.chunk;
  description.gpu = fields.get<std::string>("gpu");
  const auto model = fields.get<std::string>("model");
  chunk.layers = fields.positive<int>("layers");
  chunk.tokens = fields.positive<std::int64_t>("tokens");
  chunk.expert_parallel = fields.positive<int>("expert_parallel");
  chunk.recomputed = fields.get<std::vector<std::string>>("recomputed");
  chunk.communication_sms = fields.get<int>("communication_sms");
  chunk.gradient_bytes = fields.positive<double>("gradient_bytes");
  chunk.streaming = fields.positive<double>("streaming");
  chunk.transposing = fields.positive<double>("transposing");
  chunk.node_limit = fields.positive<int>("node_limit");
  chunk.network_per_gpu = 1e9 * fields.positive<double>("network_gb_per_s_per_gpu");
  const auto tables = fields.get<std::map<std::string, std::string>>("tables");
  if (!tables.contains("gemm") || !tables.contains("attention")) {
    fields.problem("\"tables\" must name the engines of \"gemm\" and \"attention\"");
  } else {
    chunk.gemm_tables = engine_of(tables.at("gemm"));
    chunk.attention_tables = engine_of(tables.at("attention"));
  }
  fields.finish();
  chunk.model = scenarios::loader::read_model_config(catalogue.root() / "scenarios" / "models" /
                                                     (model + ".json"));
  if (!chunk.model.moe || !chunk.model.attention.mla ||
      chunk.model.moe->experts % chunk.expert_parallel != 0)
    throw InputError(fmt::format(
        "{}: {} must have latent attention and experts that divide by expert_parallel {}",
        file.string(), model, chunk.expert_parallel));
  return description;
}

}  // namespace

std::optional<Description> find_description(const fs::path& trace,
                                            const scenarios::loader::Catalogue& catalogue) {
  const std::string name = stem_of(trace) + ".json";
  const fs::path beside = trace.parent_path() / name;
  const fs::path own = catalogue.root() / "validation" / "measurements" / "traces" / name;
  // A trace itself may have that name; descriptions are small.
  constexpr std::uintmax_t kLargest = 1 << 16;
  for (const fs::path& file : {beside, own})
    if (fs::is_regular_file(file) && fs::file_size(file) <= kLargest &&
        !fs::equivalent(file, trace))
      return read_description(file, catalogue);
  return std::nullopt;
}

}  // namespace foretoken::validation::importers
