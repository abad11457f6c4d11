#include "models/training/spec.hpp"

#include <numeric>

namespace foretoken::models::training {
namespace {

using std::to_string;

class Rules {
 public:
  explicit Rules(const TrainingSpec& spec) : spec_(spec) {}

  std::vector<std::string> all() {
    if (!positive()) return errors_;
    dimensions();
    batch();
    pipeline();
    experts();
    return errors_;
  }

 private:
  void add(std::string text) { errors_.push_back(std::move(text)); }
  void divides(const char* what, std::int64_t divisor, const char* whole, std::int64_t value) {
    if (value % divisor != 0)
      add(std::string(what) + " " + to_string(divisor) + " does not divide the " +
          to_string(value) + " " + whole);
  }

  bool positive() {
    const auto& l = spec_.layout;
    const std::pair<const char*, std::int64_t> parts[] = {{"data", l.data},
                                                          {"tensor", l.tensor},
                                                          {"pipeline", l.pipeline},
                                                          {"virtual_stages", l.virtual_stages},
                                                          {"context", l.context},
                                                          {"expert", l.expert},
                                                          {"expert_tensor", l.expert_tensor},
                                                          {"global batch", spec_.batch.global},
                                                          {"micro batch", spec_.batch.micro},
                                                          {"sequence", spec_.batch.sequence}};
    for (const auto& [name, value] : parts)
      if (value < 1) add(std::string(name) + " is " + to_string(value) + "; it must be at least 1");
    return errors_.empty();
  }

  void dimensions() {
    const auto& l = spec_.layout;
    const auto& model = spec_.model;
    divides("tensor", l.tensor, "attention heads", model.attention.heads);
    if (!model.attention.mla && model.attention.kv_heads % l.tensor != 0 &&
        l.tensor % model.attention.kv_heads != 0)
      add("tensor " + to_string(l.tensor) + " neither divides the " +
          to_string(model.attention.kv_heads) + " KV heads nor is a multiple of them");
    if (llm::dense_layers(model) > 0)
      divides("tensor", l.tensor, "columns of the feed-forward", model.intermediate);
    divides("context", l.context, "tokens of a sequence", spec_.batch.sequence);
    if (l.shard_group > 0)
      divides("shard_group", l.shard_group, "ranks of data x context",
              std::int64_t{l.data} * l.context);
  }

  void batch() {
    const auto& b = spec_.batch;
    const std::int64_t share = std::int64_t{spec_.layout.data} * b.micro;
    if (b.micro > b.global)
      return add("micro batch of " + to_string(b.micro) + " is larger than the global batch of " +
                 to_string(b.global));
    if (b.global % share != 0)
      add("data " + to_string(spec_.layout.data) + " x micro batch " + to_string(b.micro) + " = " +
          to_string(share) + " does not divide the global batch of " + to_string(b.global));
  }

  void pipeline() {
    const auto& l = spec_.layout;
    const auto micro = spec_.micro_batches();
    const bool folded = spec_.schedule == Schedule::zb_v || spec_.schedule == Schedule::dualpipe_v;
    if (l.virtual_stages > 1 && spec_.schedule != Schedule::interleaved)
      add("virtual_stages " + to_string(l.virtual_stages) +
          " goes with schedule interleaved, not " + std::string(to_string(spec_.schedule)));
    if (spec_.schedule == Schedule::interleaved && l.pipeline > 1 && micro % l.pipeline != 0)
      add("interleaved: pipeline " + to_string(l.pipeline) + " does not divide the " +
          to_string(micro) + " micro-batches of a step");
    if (spec_.schedule == Schedule::dualpipe) {
      if (l.pipeline % 2 != 0)
        add("dualpipe needs an even number of stages; pipeline is " + to_string(l.pipeline));
      if (micro % 2 != 0)
        add("dualpipe feeds micro-batches from both ends: " + to_string(micro) + " is odd");
    }
    if ((spec_.schedule == Schedule::dualpipe || spec_.schedule == Schedule::dualpipe_v) &&
        micro < std::int64_t{2} * l.pipeline)
      add(std::string(to_string(spec_.schedule)) + " needs at least 2 x pipeline = " +
          to_string(2 * l.pipeline) + " micro-batches; there are " + to_string(micro));
    const int chunks = l.pipeline * (folded ? 2 : l.virtual_stages);
    if (!l.stage_layers.empty()) return given_stages(chunks);
    // With several chunks a stage, embedding and head may take a chunk of their own.
    const int alone = l.virtual_stages > 1 ? 2 : 0;
    if (spec_.model.layers < chunks - alone)
      add("zero layers in a stage: " + to_string(spec_.model.layers) + " layers over " +
          to_string(chunks) + " chunks of the pipeline");
  }

  void given_stages(int chunks) {
    const auto& given = spec_.layout.stage_layers;
    if (static_cast<int>(given.size()) != chunks)
      return add("stage_layers lists " + to_string(given.size()) + " chunks; the pipeline has " +
                 to_string(chunks));
    const int sum = std::accumulate(given.begin(), given.end(), 0);
    if (sum != spec_.model.layers)
      add("stage_layers add up to " + to_string(sum) + "; the model has " +
          to_string(spec_.model.layers) + " layers");
    for (std::size_t i = 0; i < given.size(); ++i)
      if (given[i] < 0 || (given[i] == 0 && i != 0 && i + 1 != given.size()))
        add("zero layers in a stage: chunk " + to_string(i) +
            " of stage_layers (only the first and the last, with embedding and head, may have 0)");
  }

  void experts() {
    const auto& l = spec_.layout;
    if (!spec_.model.moe) {
      if (l.expert > 1) add("expert " + to_string(l.expert) + " but the model has no experts");
      return;
    }
    const int ranks = l.data * l.context * l.tensor;
    if (l.expert * l.expert_tensor > ranks || ranks % (l.expert * l.expert_tensor) != 0)
      add("expert " + to_string(l.expert) +
          (l.expert_tensor > 1 ? " x expert_tensor " + to_string(l.expert_tensor) : "") +
          " does not divide the " + to_string(ranks) + " GPUs of a stage (data " +
          to_string(l.data) + " x context " + to_string(l.context) + " x tensor " +
          to_string(l.tensor) + ")");
    divides("expert", l.expert, "experts", spec_.model.moe->experts);
    divides("expert_tensor", l.expert_tensor, "columns of an expert",
            spec_.model.moe->intermediate);
  }

  const TrainingSpec& spec_;
  std::vector<std::string> errors_;
};

}  // namespace

std::string_view to_string(Schedule schedule) {
  switch (schedule) {
    case Schedule::gpipe:
      return "gpipe";
    case Schedule::one_f_one_b:
      return "1f1b";
    case Schedule::interleaved:
      return "interleaved";
    case Schedule::zb_h1:
      return "zb_h1";
    case Schedule::zb_v:
      return "zb_v";
    case Schedule::dualpipe:
      return "dualpipe";
    case Schedule::dualpipe_v:
      return "dualpipe_v";
  }
  return "?";
}

std::string_view to_string(Recompute recompute) {
  switch (recompute) {
    case Recompute::none:
      return "none";
    case Recompute::selective:
      return "selective";
    case Recompute::full:
      return "full";
  }
  return "?";
}

std::string_view to_string(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::fp32:
      return "fp32";
    case Arithmetic::bf16:
      return "bf16";
    case Arithmetic::fp16:
      return "fp16";
    case Arithmetic::fp8:
      return "fp8";
    case Arithmetic::fp8_block:
      return "fp8_block";
    case Arithmetic::mxfp8:
      return "mxfp8";
    case Arithmetic::nvfp4:
      return "nvfp4";
  }
  return "?";
}

std::string_view to_string(Sharding sharding) {
  switch (sharding) {
    case Sharding::none:
      return "none";
    case Sharding::optimizer:
      return "zero1";
    case Sharding::gradients:
      return "zero2";
    case Sharding::parameters:
      return "zero3";
  }
  return "?";
}

double Software::constant(const std::string& what, double otherwise) const {
  const auto found = constants.find(what);
  return found == constants.end() ? otherwise : found->second;
}

double Software::constant(const std::string& what, const hardware::GpuSpec& gpu,
                          Arithmetic arithmetic, double otherwise) const {
  return constant(what, otherwise) * constant(what + "/gpu/" + gpu.name, 1.0) *
         constant(what + "/arithmetic/" + std::string(to_string(arithmetic)), 1.0);
}

bool Software::unfused_sinks(const llm::ModelSpec& model, const std::string& release) const {
  // Releases are YY.MM, which order as text.
  return model.attention.sinks && !release.empty() && release < fused_sinks_from;
}

std::vector<std::string> layout_errors(const TrainingSpec& spec) { return Rules(spec).all(); }

int positions(const TrainingSpec& spec) {
  const bool folded = spec.schedule == Schedule::zb_v || spec.schedule == Schedule::dualpipe_v;
  return spec.layout.pipeline * (folded ? 2 : spec.layout.virtual_stages);
}

int copies(Schedule schedule) { return schedule == Schedule::dualpipe ? 2 : 1; }

int device_of(const TrainingSpec& spec, int position, int direction) {
  const int stages = spec.layout.pipeline;
  if (spec.schedule == Schedule::dualpipe && direction == 1) return stages - 1 - position;
  if (spec.schedule == Schedule::zb_v || spec.schedule == Schedule::dualpipe_v)
    return position < stages ? position : 2 * stages - 1 - position;
  return position % stages;
}

std::vector<int> position_layers(const TrainingSpec& spec) {
  if (!spec.layout.stage_layers.empty()) return spec.layout.stage_layers;
  const int chunks = positions(spec);
  std::vector<int> layers(static_cast<std::size_t>(chunks), spec.model.layers / chunks);
  int left = spec.model.layers % chunks;
  // The middle first: the ends hold embedding and head as well.
  for (int i = 1; i + 1 < chunks && left > 0; ++i, --left) ++layers[static_cast<std::size_t>(i)];
  if (left > 0 && chunks > 1) ++layers.front(), --left;
  if (left > 0) ++layers.back();
  return layers;
}

}  // namespace foretoken::models::training
