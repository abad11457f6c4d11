#include "scenarios/loader/engine_args.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::hardware::DType;
using models::llm::WeightFormat;
using models::serving::DeploymentSpec;
using sim::core::Diagnostic;
using sim::core::InputError;

enum class Kind : std::uint8_t { whole, number, word, toggle, text };

struct Flag {
  std::string name, to;  // `to` empty: changes nothing
  Kind kind = Kind::whole;
  std::string on, off, why;
  std::map<std::string, std::string> words;
};

// Engines differ in - and _, and some accept both.
std::string canonical(std::string name) {
  const std::size_t body = name.find_first_not_of('-');
  if (body != std::string::npos)
    std::replace(name.begin() + static_cast<std::ptrdiff_t>(body), name.end(), '_', '-');
  return name;
}

class FlagTable {
 public:
  FlagTable(const std::string& engine, const Catalogue& catalogue) {
    const fs::path path = catalogue.root() / "scenarios" / "engines" / "flags" / (engine + ".yaml");
    std::error_code code;
    if (!fs::is_regular_file(path, code))
      throw InputError(
          fmt::format("there is no table of the flags of {}; leave engine_args out, or "
                      "write scenarios/engines/flags/{}.yaml",
                      engine, engine));
    YamlFile file = YamlFile::open(path);
    const YamlNode root = file.root();
    for (const char* key : {"engine", "source", "date"}) (void)root.required<std::string>(key);
    for (const auto& [name, node] : root.required_child("sets").entries()) add_set(name, node);
    for (const YamlNode& group : root.any_child("ignored").items()) add_ignored(group);
    file.finish();
  }
  [[nodiscard]] const Flag* find(const std::string& name) const {
    const auto found = flags_.find(canonical(name));
    return found == flags_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [key, flag] : flags_) names.push_back(flag.name);
    return names;
  }

 private:
  void add_set(const std::string& name, const YamlNode& node) {
    Flag flag;
    flag.name = name;
    flag.to = node.required<std::string>("to");
    flag.kind = node.optional_choice<Kind>("is", {{"integer", Kind::whole},
                                                  {"number", Kind::number},
                                                  {"word", Kind::word},
                                                  {"switch", Kind::toggle}})
                    .value_or(Kind::whole);
    flag.on = node.optional<std::string>("on").value_or("on");
    flag.off = node.optional<std::string>("off").value_or("");
    if (node.has("words"))
      for (const auto& [word, value] : node.any_child("words").entries())
        flag.words[word] = value.as<std::string>();
    flags_[canonical(name)] = flag;
    for (const YamlNode& other : node.any_child("also").items()) {
      flag.name = other.as<std::string>();
      flags_[canonical(flag.name)] = flag;
    }
  }
  void add_ignored(const YamlNode& group) {
    Flag flag;
    flag.why = group.required<std::string>("why");
    flag.kind = group.required_choice<Kind>("is", {{"text", Kind::text}, {"switch", Kind::toggle}});
    for (const YamlNode& name : group.any_child("flags").items()) {
      flag.name = name.as<std::string>();
      flags_[canonical(flag.name)] = flag;
    }
  }
  std::map<std::string, Flag> flags_;
};

// Words as a shell splits them: quotes keep blanks together.
std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      inside = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\\') {
      if (inside) words.push_back(std::move(word));
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (quote != 0) throw InputError("a quote that is not closed");
  if (inside) words.push_back(std::move(word));
  return words;
}

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9') && word[1] != '.';
}

class Parser {
 public:
  Parser(const std::string& text, const std::string& engine, const Catalogue& catalogue)
      : engine_(engine), table_(engine, catalogue), words_(split_words(text)) {}

  EngineArgs parse() {
    while (at_ < words_.size()) next();
    if (!problems_.empty()) throw InputError(problems_);
    return std::move(args_);
  }

 private:
  void problem(const std::string& message) {
    problems_.push_back(Diagnostic{{}, 0, 0, message, {}, false});
  }

  void next() {
    std::string word = words_[at_++];
    if (!is_flag(word)) {
      problem(fmt::format("'{}' is no flag and follows none that takes it", word));
      return;
    }
    std::optional<std::string> value;
    if (const std::size_t equals = word.find('='); equals != std::string::npos) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    bool off = false;
    const Flag* flag = table_.find(word);
    if (flag == nullptr && word.starts_with("--no-")) {  // vLLM's way to switch something off
      flag = table_.find("--" + word.substr(5));
      off = flag != nullptr && flag->kind == Kind::toggle;
      if (!off) flag = nullptr;
    }
    if (flag == nullptr) return unknown(word);
    if (flag->kind == Kind::toggle) {
      if (value && *value != "true" && *value != "True") off = true;
      return set(*flag, word, off ? flag->off : flag->on);
    }
    if (!value && at_ < words_.size() && !is_flag(words_[at_])) value = words_[at_++];
    // Some take several words: lists of paths, origins.
    while (flag->kind == Kind::text && at_ < words_.size() && !is_flag(words_[at_])) ++at_;
    if (!value) return problem(fmt::format("{} needs a value", word));
    take(*flag, word, *value);
  }

  void unknown(const std::string& word) {
    // What follows it up to the next flag is its value.
    while (at_ < words_.size() && !is_flag(words_[at_])) ++at_;
    const auto near = did_you_mean(word, table_.names());
    problem(fmt::format("{} has no flag {}{}", engine_, word,
                        near ? fmt::format("; did you mean {}?", *near) : ""));
  }

  void take(const Flag& flag, const std::string& word, const std::string& value) {
    if (flag.kind == Kind::word) {
      const auto known = flag.words.find(value);
      if (known != flag.words.end()) return set(flag, word, known->second);
      std::vector<std::string> choices;
      for (const auto& [choice, meaning] : flag.words) choices.push_back(choice);
      const auto near = did_you_mean(value, choices);
      return problem(fmt::format("{} {}: {}", word, value,
                                 near
                                     ? fmt::format("did you mean {}?", *near)
                                     : fmt::format("known here are {}", fmt::join(choices, ", "))));
    }
    if (flag.kind == Kind::whole || flag.kind == Kind::number) {
      double number = 0.0;
      const char* const end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, number);
      const bool whole = std::floor(number) == number && std::abs(number) < 1e9;
      if (read.ec != std::errc{} || read.ptr != end || (flag.kind == Kind::whole && !whole))
        return problem(fmt::format("{} {}: expected a {}", word, value,
                                   flag.kind == Kind::whole ? "whole number" : "number"));
    }
    set(flag, word, value);
  }

  void set(const Flag& flag, const std::string& word, const std::string& value) {
    if (flag.to.empty()) {
      args_.ignored.push_back(fmt::format("{} is ignored: {}", word, flag.why));
    } else if (value.empty()) {
      args_.ignored.push_back(fmt::format("{} leaves things as they are", word));
    } else {
      args_.sets[flag.to] = {word, value};
    }
  }

  std::string engine_;
  FlagTable table_;
  std::vector<std::string> words_;
  std::size_t at_ = 0;
  EngineArgs args_;
  std::vector<Diagnostic> problems_;
};

constexpr std::pair<const char*, WeightFormat> kWeights[] = {
    {"bf16", WeightFormat::bf16},       {"fp16", WeightFormat::fp16},
    {"fp8", WeightFormat::fp8},         {"int8_wo", WeightFormat::int8_wo},
    {"int4_wo", WeightFormat::int4_wo}, {"nvfp4", WeightFormat::nvfp4},
    {"mxfp4", WeightFormat::mxfp4},
};

void need(bool holds, const EngineArgs::Value& value, const std::string& words) {
  if (!holds) throw InputError(fmt::format("{} {}: {}", value.flag, value.text, words));
}

int positive(const EngineArgs& args, const std::string& what, int fallback) {
  const int value = args.whole(what, fallback);
  if (const auto* given = args.find(what)) need(value >= 1, *given, "must be at least 1");
  return value;
}

}  // namespace

const EngineArgs::Value* EngineArgs::find(const std::string& what) const {
  const auto found = sets.find(what);
  return found == sets.end() ? nullptr : &found->second;
}

double EngineArgs::number(const std::string& what, double fallback) const {
  const Value* const value = find(what);
  if (value == nullptr) return fallback;
  double number = fallback;
  std::from_chars(value->text.data(), value->text.data() + value->text.size(), number);
  return number;
}

int EngineArgs::whole(const std::string& what, int fallback) const {
  return static_cast<int>(std::llround(number(what, fallback)));
}

EngineArgs parse_engine_args(const std::string& text, const std::string& engine,
                             const Catalogue& catalogue) {
  return Parser(text, engine, catalogue).parse();
}

void apply_to_engine(const EngineArgs& args, DeploymentSpec& d) {
  auto& engine = d.engine;
  if (const auto* policy = args.find("policy")) engine.default_policy = policy->text;
  if (const auto* tokens = args.find("max_tokens"); tokens != nullptr && tokens->text == "-1") {
    engine.default_policy = "prefill_first_whole";  // SGLang: no chunks
  } else {
    engine.default_max_tokens = positive(args, "max_tokens", engine.default_max_tokens);
  }
  engine.default_max_sequences = positive(args, "max_sequences", engine.default_max_sequences);
  engine.kv_block_tokens = positive(args, "block_tokens", engine.kv_block_tokens);
  engine.stream_interval = positive(args, "stream_interval", engine.stream_interval);
  engine.memory_fraction = args.number("memory_fraction", engine.memory_fraction);
  if (const auto* share = args.find("memory_fraction"))
    need(engine.memory_fraction > 0.0 && engine.memory_fraction <= 1.0, *share,
         "must be above 0 and at most 1");
  engine.kv_reserve_output = std::clamp(
      args.number("reserve_output", engine.kv_reserve_output) * args.number("reserve_scale", 1.0),
      0.0, 1.0);
  if (args.find("graphs") != nullptr) engine.graph_batches.clear();
  const int graph_max = positive(args, "graph_max", 0);
  if (graph_max > 0) std::erase_if(engine.graph_batches, [&](int b) { return b > graph_max; });
  d.batching.swap_bytes = args.number("swap_gib", 0.0) * 1073741824.0;
  const int context = positive(args, "context", 0);
  if (context > 0 && d.model.max_positions > 0) {
    need(context <= d.model.max_positions, *args.find("context"),
         fmt::format("the model's context is {} tokens", d.model.max_positions));
    d.model.max_positions = context;
  }
}

void apply_to_layout(const EngineArgs& args, DeploymentSpec& d) {
  auto& layout = d.layout;
  layout.tensor = positive(args, "tp", layout.tensor);
  layout.pipeline = positive(args, "pp", layout.pipeline);
  const int ranks = positive(args, "dp", 1);
  if (args.find("dp_attention") != nullptr) {
    // SGLang: --dp-size ranks share the --tp-size GPUs; TensorRT-LLM: every GPU is a rank.
    const int groups = args.find("dp") != nullptr ? ranks : layout.tensor;
    const auto& given = *args.find(args.find("dp") != nullptr ? "dp" : "dp_attention");
    need(layout.tensor % groups == 0, given,
         fmt::format("{} attention ranks do not divide {} GPUs", groups, layout.tensor));
    layout.tensor /= groups;
    layout.data_attention = groups;
  } else if (ranks > 1 && d.model.moe && d.engine.tables.engine == "vllm") {
    layout.data_attention = ranks;  // vLLM: the experts of a MoE are shared by the ranks
  } else if (ranks > 1) {
    d.replicas = ranks;
  }
  layout.expert = positive(args, "ep", layout.expert);
  if (args.find("ep_all") != nullptr) layout.expert = layout.tensor * layout.data_attention;
  layout.redundant_experts = args.whole("redundant_experts", layout.redundant_experts);
  if (args.find("all_to_all") != nullptr) layout.all_to_all = true;
  for (const char* key : {"weights_dtype", "weights"})
    if (const auto* value = args.find(key))
      for (const auto& [name, format] : kWeights)
        if (value->text == name) {
          const bool published =
              format == WeightFormat::fp8 && d.model.checkpoint == WeightFormat::fp8_block;
          const bool keep =
              std::string_view(key) == "weights_dtype" && d.model.checkpoint != WeightFormat::bf16;
          if (!published && !keep) d.precision.weights = format;
        }
  if (const auto* kv = args.find("kv_cache"))
    d.precision.kv = kv->text == "fp8" ? DType::fp8 : DType::bf16;
}

}  // namespace foretoken::scenarios::loader
