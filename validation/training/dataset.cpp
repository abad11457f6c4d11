#include "validation/training/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/model_config.hpp"
#include "sim/core/error.hpp"
#include "validation/training/csv.hpp"

namespace foretoken::validation::training {
namespace {

namespace fs = std::filesystem;
namespace llm = models::llm;
namespace loader = scenarios::loader;
using models::training::Arithmetic;
using models::training::Recompute;
using models::training::Schedule;
using models::training::Sharding;
using models::training::TrainingSpec;

std::string plain(const std::string& text) {  // lower case, letters and digits alone
  std::string out;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Vocabularies are padded so that tensor ranks hold equal parts (Megatron-LM: a multiple of 128
// for each).
int padded(int vocab, int tensor) {
  const int unit = 128 * tensor;
  return (vocab + unit - 1) / unit * unit;
}

// GPT of its time: four times the width, two matrices with biases, learned positions, tied head.
llm::ModelSpec gpt(const std::string& name, int hidden, int layers, int heads, int vocab,
                   int sequence, bool biases) {
  llm::ModelSpec model;
  model.name = name;
  model.architecture = "GPT2LMHeadModel";
  model.hidden = hidden;
  model.layers = layers;
  model.intermediate = 4 * hidden;
  model.vocab = vocab;
  model.max_positions = sequence;
  model.gated_mlp = false;
  model.mlp_bias = biases;
  model.learned_positions = true;
  model.tied_embeddings = true;
  model.attention.heads = model.attention.kv_heads = heads;
  model.attention.head_dim = hidden / heads;
  model.attention.qkv_bias = model.attention.output_bias = biases;
  return model;
}

std::optional<Arithmetic> arithmetic_of(const std::string& text) {
  const std::string word = plain(text);
  const auto has = [&](const char* part) { return word.find(part) != std::string::npos; };
  if (has("nvfp4") || has("fp4")) return Arithmetic::nvfp4;
  if (has("mxfp8") || has("fp8mx")) return Arithmetic::mxfp8;
  if (has("fp8block") || has("fp8sc") || has("subchannel")) return Arithmetic::fp8_block;
  if (has("fp8")) return Arithmetic::fp8;
  if (has("bf16")) return Arithmetic::bf16;
  if (has("fp16") || has("half")) return Arithmetic::fp16;
  if (has("fp32") || has("tf32")) return Arithmetic::fp32;
  return std::nullopt;
}

class Reader {
 public:
  Reader(Dataset& out, const loader::Catalogue& catalogue) : out_(out), catalogue_(catalogue) {
    for (const auto& entry : catalogue.list("models")) models_[plain(entry.name)] = entry.file;
  }

  void file(const fs::path& path) {
    const Csv csv = read_csv(path);
    const struct {
      const char* column;
      void (Reader::*read)(const Csv&, const Csv::Line&, Row&);
      const char* software;
    } kinds[] = {{"bench", &Reader::mlperf, "megatron-mlperf"},
                 {"release", &Reader::bridge, "megatron-bridge"},
                 {"layers_per_virtual_stage", &Reader::megatron_2021, "megatron-2021"},
                 {"iteration_ms|params_b", &Reader::vtrain, "megatron-deepspeed"},
                 {"case", &Reader::simumax, "megatron-core-plain"},
                 {"hfu_pct", &Reader::foundry, "llm-foundry"}};
    for (const auto& kind : kinds) {
      bool all = true;
      std::string columns = kind.column;
      for (std::size_t at = 0; at != std::string::npos;) {
        const std::size_t bar = columns.find('|', at);
        all = all && csv.has(columns.substr(at, bar == std::string::npos ? bar : bar - at));
        at = bar == std::string::npos ? bar : bar + 1;
      }
      if (!all) continue;
      for (const Csv::Line& line : csv.lines) row(csv, line, kind.software, kind.read);
      return;
    }
    throw sim::core::InputError(
        fmt::format("{}: no training table has this header; see validation/measurements/training "
                    "for the columns of each kind",
                    path.string()));
  }

 private:
  void row(const Csv& csv, const Csv::Line& line, const std::string& software,
           void (Reader::*read)(const Csv&, const Csv::Line&, Row&)) {
    Row row;
    row.source = csv.file.stem().string();
    row.software = software;
    const auto& card = this->software(software);
    row.spec.software = card.software;
    try {
      (this->*read)(csv, line, row);
      place(row.spec);
    } catch (const Refusal& refusal) {
      row.refused = refusal.words;
    }
    const auto& s = row.spec;
    const auto& l = s.layout;
    row.key = fmt::format("{}|{}|{}|tp{} pp{} dp{} cp{} ep{} vp{} shard{}", s.model.name,
                          s.node.gpu.name, to_string(s.arithmetic), l.tensor, l.pipeline, l.data,
                          l.context, l.expert, l.virtual_stages, static_cast<int>(l.sharding));
    row.fold = fold_of(row.key);
    row.family = fmt::format("{}|{}|{}", s.model.name, s.node.gpu.name, l.gpus());
    row.experts = s.model.moe.has_value();
    row.id = fmt::format("{}:{} {} {} x {} {} tp{} pp{} dp{} cp{} ep{} vp{} mbs{}{}",
                         csv.file.filename().string(), line.number, s.model.name, l.gpus(),
                         s.node.gpu.name, to_string(s.arithmetic), l.tensor, l.pipeline, l.data,
                         l.context, l.expert, l.virtual_stages, s.batch.micro,
                         s.release.empty() ? "" : " release " + s.release);
    if (row.refused.empty())
      if (const auto errors = layout_errors(s); !errors.empty()) row.refused = errors.front();
    out_.rows.push_back(std::move(row));
  }

  struct Refusal {
    std::string words;
  };

  const loader::SoftwareCard& software(const std::string& name) {
    auto found = out_.software.find(name);
    if (found == out_.software.end())
      found =
          out_.software.emplace(name, loader::load_training_software(name, catalogue_).card).first;
    return found->second;
  }

  llm::ModelSpec model(const std::string& text) {
    std::string name = plain(text);
    if (name.starts_with("bf16")) name = name.substr(4);
    const auto try_name = [&](const std::string& candidate) {
      const auto found = models_.find(candidate);
      return found == models_.end() ? std::optional<fs::path>() : std::optional(found->second);
    };
    std::optional<fs::path> file = try_name(name);
    // Llama 3, 3.1 and 3.3 of one size are one architecture; Instruct is the same model.
    for (const char* series : {"llama3", "llama31", "llama33"})
      if (!file && name.starts_with(series)) {
        std::string size = name.substr(std::string(series).size());
        if (const auto b = size.find('b'); b != std::string::npos) size = size.substr(0, b + 1);
        file = try_name("llama31" + size);
      }
    if (!file) throw Refusal{fmt::format("no model card for '{}'", text)};
    auto spec = loader::read_model_config(*file);
    spec.name = file->stem().string();
    return spec;
  }

  void accelerator(TrainingSpec& spec, const std::string& name) {
    const std::string node = node_of_accelerator(name, catalogue_);
    if (node.empty()) throw Refusal{fmt::format("no node card for accelerator '{}'", name)};
    auto found = nodes_.find(node);
    if (found == nodes_.end())
      found = nodes_.emplace(node, loader::load_node(node, catalogue_).card.spec).first;
    spec.node = found->second;
  }

  void arithmetic(TrainingSpec& spec, const std::string& text) {
    const auto found = arithmetic_of(text);
    if (!found) throw Refusal{fmt::format("precision '{}' is not known", text)};
    spec.arithmetic = *found;
  }

  // Racks hold more GPUs than a job takes of each: as many as divide the job.
  static void place(TrainingSpec& spec) {
    const int all = spec.layout.gpus(), there = spec.node.gpus;
    if (all <= there || all % there == 0) return;
    int share = there;
    while (all % share != 0) --share;
    spec.node.nics = spec.node.nics * share / there;
    spec.node.gpus = share;
  }

  static int integer(const Csv& csv, const Csv::Line& line, const char* column, int otherwise) {
    return static_cast<int>(csv.number(line, column, otherwise));
  }
  static int positive(const Csv& csv, const Csv::Line& line, const char* column) {
    return static_cast<int>(csv.required(line, column));
  }

  static void parallel(const Csv& csv, const Csv::Line& line, TrainingSpec& spec) {
    auto& l = spec.layout;
    l.tensor = integer(csv, line, "tp", 1);
    l.pipeline = integer(csv, line, "pp", 1);
    l.context = std::max(1, integer(csv, line, "cp", 1));
    l.expert = std::max(1, integer(csv, line, "ep", 1));
    l.virtual_stages = std::max(1, integer(csv, line, "vp", 1));
    if (l.pipeline == 1) l.virtual_stages = 1;
    if (l.virtual_stages > 1) spec.schedule = Schedule::interleaved;
    const int gpus = positive(csv, line, "gpus");
    const int share = l.tensor * l.pipeline * l.context;
    l.data = std::max(1, integer(csv, line, "dp", gpus / share));
    if (l.data * share != gpus)
      throw Refusal{fmt::format("{} GPUs, but the layout fills {}", gpus, l.data * share)};
  }

  // Some releases leave virtual stages out: those of another row of the same model and pipeline.
  static void borrow_chunks(const Csv& csv, const Csv::Line& line, TrainingSpec& spec) {
    for (const bool same_gpu : {true, false})
      for (const Csv::Line& other : csv.lines) {
        if (csv.text(other, "model") != csv.text(line, "model") ||
            csv.text(other, "pp") != csv.text(line, "pp") || csv.text(other, "vp").empty() ||
            (same_gpu && csv.text(other, "accelerator") != csv.text(line, "accelerator")))
          continue;
        spec.layout.virtual_stages = std::max(1, integer(csv, other, "vp", 1));
        if (spec.layout.virtual_stages > 1) spec.schedule = Schedule::interleaved;
        return;
      }
  }

  void mlperf(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    spec.model = model(csv.text(line, "bench"));
    accelerator(spec, csv.text(line, "accelerator"));
    parallel(csv, line, spec);
    arithmetic(spec, csv.text(line, "precision"));
    spec.model.vocab = padded(spec.model.vocab, spec.layout.tensor);
    spec.batch = {positive(csv, line, "gbs"), positive(csv, line, "mbs"),
                  positive(csv, line, "seq")};
    row.step_s = csv.required(line, "step_s");
  }

  void bridge(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    spec.release = csv.text(line, "release");
    spec.model = model(csv.text(line, "model"));
    accelerator(spec, csv.text(line, "accelerator"));
    parallel(csv, line, spec);
    arithmetic(spec, csv.text(line, "precision"));
    spec.model.vocab = padded(spec.model.vocab, spec.layout.tensor);
    spec.batch = {positive(csv, line, "gbs"), positive(csv, line, "mbs"),
                  positive(csv, line, "seq")};
    spec.mtp = spec.model.mtp_layers > 0 && csv.text(line, "mtp") != "no";
    if (const int shard = integer(csv, line, "fsdp", 0); shard > 1) {
      spec.layout.sharding = Sharding::parameters;
      spec.layout.shard_group = shard;
    }
    row.recompute_unknown = true;
    spec.drop_tokens = csv.text(line, "token_drop") == "yes";
    row.chunks_unknown = spec.layout.pipeline > 1 && csv.text(line, "vp").empty();
    if (row.chunks_unknown) borrow_chunks(csv, line, spec);
    row.step_s =
        spec.tokens_per_step() / spec.layout.gpus() / csv.required(line, "tokens_per_s_per_gpu");
  }

  void megatron_2021(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    constexpr int kVocab = 51200, kSequence = 2048;  // SC'21, section 5.1
    const int layers = positive(csv, line, "layers");
    spec.model = gpt("gpt-" + csv.text(line, "model"), positive(csv, line, "hidden"), layers,
                     positive(csv, line, "heads"), kVocab, kSequence, true);
    accelerator(spec, csv.text(line, "accelerator"));
    parallel(csv, line, spec);
    const int chunk = integer(csv, line, "layers_per_virtual_stage", 0);
    if (chunk > 0) {
      if (layers % (chunk * spec.layout.pipeline) != 0)
        throw Refusal{fmt::format("{} layers do not divide into stages of {}", layers, chunk)};
      spec.layout.virtual_stages = layers / (chunk * spec.layout.pipeline);
      if (spec.layout.virtual_stages > 1) spec.schedule = Schedule::interleaved;
    }
    spec.layout.sharding = Sharding::none;
    spec.arithmetic = Arithmetic::fp16;
    spec.recompute = Recompute::full;
    spec.batch = {positive(csv, line, "gbs"), positive(csv, line, "mbs"), kSequence};
    row.step_s = csv.required(line, "iteration_s");
  }

  void vtrain(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    constexpr int kVocab = 50257, kSequence = 2048;
    parallel(csv, line, spec);
    spec.model = gpt("gpt-" + csv.text(line, "params_b") + "b", positive(csv, line, "hidden"),
                     positive(csv, line, "layers"), positive(csv, line, "heads"),
                     padded(kVocab, spec.layout.tensor), kSequence, true);
    accelerator(spec, csv.text(line, "accelerator"));
    spec.layout.sharding = Sharding::none;
    spec.arithmetic = Arithmetic::fp16;
    spec.recompute = Recompute::full;
    spec.batch = {positive(csv, line, "gbs"), positive(csv, line, "mbs"), kSequence};
    row.step_s = csv.required(line, "iteration_ms") * 1e-3;
  }

  void simumax(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    parallel(csv, line, spec);
    spec.model = model(csv.text(line, "model"));
    const int layers = positive(csv, line, "layers");
    spec.model.layers = layers;
    spec.model.mtp_layers = 0;
    // One dense layer, as the file's notes say.
    if (spec.model.moe)
      spec.model.moe->first_dense_layers = std::min(1, spec.model.moe->first_dense_layers);
    spec.model.vocab = padded(spec.model.vocab, spec.layout.tensor);
    accelerator(spec, csv.text(line, "accelerator"));
    const int micro = positive(csv, line, "mbs");
    spec.batch = {std::int64_t{positive(csv, line, "micro_batches")} * micro * spec.layout.data,
                  micro, positive(csv, line, "seq")};
    row.step_s = csv.required(line, "iteration_ms") * 1e-3;
    if (const double gib = csv.number(line, "peak_gib", 0); gib > 0)
      row.peak_bytes = gib * 1024.0 * 1024.0 * 1024.0;
  }

  void foundry(const Csv& csv, const Csv::Line& line, Row& row) {
    TrainingSpec& spec = row.spec;
    constexpr int kVocab = 50368, kHeadDim = 128;  // MPT
    const int hidden = positive(csv, line, "hidden"), sequence = positive(csv, line, "seq");
    spec.model = gpt("mpt-" + csv.text(line, "model"), hidden, positive(csv, line, "layers"),
                     std::max(1, hidden / kHeadDim), kVocab, sequence, false);
    accelerator(spec, csv.text(line, "accelerator"));
    spec.layout.data = positive(csv, line, "gpus");
    spec.layout.sharding = Sharding::parameters;
    arithmetic(spec, csv.text(line, "prec"));
    // "bf16": pure, gradients reduced in 16 bits; amp_*: reduced in fp32.
    if (csv.text(line, "prec").find("amp") == std::string::npos) spec.software.reduce_bytes = 2;
    spec.recompute = plain(csv.text(line, "ac")) == "true" ? Recompute::full : Recompute::none;
    const int micro = positive(csv, line, "mbs");
    spec.batch = {positive(csv, line, "gbs"), micro, sequence};
    row.step_s =
        spec.tokens_per_step() / spec.layout.gpus() / csv.required(line, "tokens_per_s_per_gpu");
  }

  Dataset& out_;
  const loader::Catalogue& catalogue_;
  std::map<std::string, fs::path> models_;
  std::map<std::string, models::hardware::NodeSpec> nodes_;
};

}  // namespace

int fold_of(const std::string& key) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  hash ^= hash >> 32;  // the low bits of FNV alone mix poorly over short keys
  return static_cast<int>(hash % kFolds);
}

std::string node_of_accelerator(const std::string& accelerator,
                                const loader::Catalogue& catalogue) {
  const std::string name = plain(accelerator);
  std::string best;
  double best_score = 0;
  for (const loader::CardEntry& entry : loader::list_cards("node", catalogue)) {
    const auto spec = loader::load_node(entry.name, catalogue).card.spec;
    std::string chip = spec.gpu.name;
    for (const char* maker : {"rtx-", "ascend-"})
      if (chip.starts_with(maker)) chip = chip.substr(std::string(maker).size());
    chip = plain(chip.substr(0, chip.find('-')));
    const auto at = name.find(chip);
    if (at == std::string::npos) continue;
    // "h100" is in "gh100"; "b200" is in "gb200".
    if (at > 0 && std::isalpha(static_cast<unsigned char>(name[at - 1])) != 0 &&
        !name.starts_with("nvidia") && !name.starts_with("rtx"))
      continue;
    if (at + chip.size() < name.size() &&
        std::isdigit(static_cast<unsigned char>(name[at + chip.size()])) != 0 &&
        std::isdigit(static_cast<unsigned char>(chip.back())) != 0 &&
        name.find("80gb") == std::string::npos && name.find("40gb") == std::string::npos &&
        name.substr(at + chip.size(), 2) != "80" && name.substr(at + chip.size(), 2) != "40")
      continue;
    double score = 1;
    const double gib = spec.gpu.memory.value() / (1024.0 * 1024.0 * 1024.0);
    if (name.find("40gb") != std::string::npos)
      score += std::abs(gib - 40) < 5 ? 8 : 0;
    else if (name.find("80gb") != std::string::npos)
      score += std::abs(gib - 80) < 5 ? 8 : 0;
    else
      score += gib / 1000;  // the usual, larger one
    const bool pcie = spec.gpu.name.find("pcie") != std::string::npos;
    if (pcie == (name.find("pcie") != std::string::npos)) score += 4;
    if (spec.gpus >= 8) score += 2;
    score += 1e-3 * spec.nics;
    if (score > best_score) {
      best_score = score;
      best = entry.name;
    }
  }
  return best;
}

Dataset read_dataset(const fs::path& folder, const loader::Catalogue& catalogue) {
  std::vector<fs::path> files;
  if (fs::is_regular_file(folder)) {
    files.push_back(folder);
  } else {
    std::error_code status;
    for (const auto& entry : fs::directory_iterator(folder, status))
      if (entry.path().extension() == ".csv") files.push_back(entry.path());
    if (status)
      throw sim::core::InputError(fmt::format("{}: no such folder or file", folder.string()));
  }
  if (files.empty())
    throw sim::core::InputError(fmt::format("{}: no .csv file in it", folder.string()));
  std::sort(files.begin(), files.end());
  Dataset out;
  Reader reader(out, catalogue);
  std::string hashes;
  for (const fs::path& file : files) {
    reader.file(file);
    out.files.push_back(file.string());
    hashes += loader::hash_file(file);
  }
  out.hash = loader::hash_text(hashes);
  return out;
}

}  // namespace foretoken::validation::training
