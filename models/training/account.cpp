#include "models/training/account.hpp"

#include <algorithm>

#include "models/llm/matrices.hpp"
#include "models/training/layer_account.hpp"

namespace foretoken::models::training {
namespace {

using Kind = llm::CollectiveKind;

// Layers in order: which kind each is.
struct LayerKinds {
  std::vector<Load> loads;
  std::vector<std::size_t> kind;  // of each layer
};

LayerKinds layer_kinds(const TrainingSpec& spec, const LayerAccount& account) {
  const auto& model = spec.model;
  const auto& a = model.attention;
  LayerKinds out;
  std::map<std::pair<bool, int>, std::size_t> known;
  for (int i = 0; i < model.layers; ++i) {
    const bool experts = model.moe && i >= model.moe->first_dense_layers;
    const bool full = a.sliding_window == 0 ||
                      (a.full_attention_every > 0 && (i + 1) % a.full_attention_every == 0);
    const std::pair<bool, int> key{experts, full ? 0 : a.sliding_window};
    const auto [entry, added] = known.try_emplace(key, out.loads.size());
    if (added) out.loads.push_back(account.layer(key.first, key.second));
    out.kind.push_back(entry->second);
  }
  return out;
}

std::vector<Load> position_loads(const TrainingSpec& spec, const LayerAccount& account) {
  const LayerKinds kinds = layer_kinds(spec, account);
  std::vector<Load> loads;
  std::size_t at = 0;
  for (const int count : position_layers(spec)) {
    std::vector<double> of_kind(kinds.loads.size());
    for (int i = 0; i < count; ++i) of_kind[kinds.kind[at++]] += 1;
    Load load;
    for (std::size_t k = 0; k < of_kind.size(); ++k) load.add(kinds.loads[k], of_kind[k]);
    loads.push_back(load);
  }
  loads.front().add(account.embedding());
  Load head = account.head();
  if (spec.mtp && spec.model.mtp_layers > 0) {
    // A module: one layer, the product that joins two hidden states, and the head again, whose
    // weights it shares.
    const bool experts = spec.model.moe.has_value();
    Load module = account.layer(experts, 0);
    Load again = head;
    again.dense_parameters = again.expert_parameters = 0;
    module.add(again);
    loads.back().add(module, spec.model.mtp_layers);
  }
  if (spec.model.tied_embeddings && loads.size() == 1) head.dense_parameters = 0;
  loads.back().add(head);
  return loads;
}

// Elements that the fullest GPU holds: all its positions, both copies of DualPipe.
struct Held {
  double dense = 0, experts = 0;
};
std::vector<Held> held_by_device(const TrainingSpec& spec, const std::vector<Load>& loads) {
  std::vector<Held> held(static_cast<std::size_t>(spec.layout.pipeline));
  for (int direction = 0; direction < copies(spec.schedule); ++direction)
    for (std::size_t i = 0; i < loads.size(); ++i) {
      auto& device =
          held[static_cast<std::size_t>(device_of(spec, static_cast<int>(i), direction))];
      device.dense += loads[i].dense_parameters;
      device.experts += loads[i].expert_parameters;
    }
  return held;
}

// Gradients to, and parameters from, the ranks that share them; then the optimizer's step.
void data_parallel(const TrainingSpec& spec, const MachineTimes& machine, StepAccount& step) {
  const auto& software = spec.software;
  const Group group = data_group(spec.layout);
  const Group experts = expert_data_group(spec.layout);
  const bool sharded = spec.layout.sharding != Sharding::none;
  const bool layerwise = spec.layout.sharding == Sharding::parameters;
  const double ranks = spec.layout.shard_group > 0 ? spec.layout.shard_group : group.ranks;
  for (const Held& held : held_by_device(spec, step.positions)) {
    const auto both = [&](Kind kind, double bytes) {
      return machine.message(kind, held.dense * bytes, group) +
             machine.message(kind, held.experts * bytes, experts);
    };
    if (!layerwise) {
      const double reduce =
          both(sharded ? Kind::reduce_scatter : Kind::all_reduce, software.reduce_bytes);
      step.reduce_s = std::max(step.reduce_s, reduce);
      if (sharded)
        step.gather_s = std::max(step.gather_s, both(Kind::all_gather, software.gather_bytes));
    }
    const double own = sharded ? held.dense / ranks + held.experts / std::max(1, experts.ranks)
                               : held.dense + held.experts;
    // Gradient read, master parameters and both moments read and written, the copy for compute
    // written; before it the gradients are read for their norm and afterwards cleared.
    const double state = software.gradient_bytes +
                         2 * (software.main_parameter_bytes + software.optimizer_state_bytes) + 2;
    const double all = layerwise ? own : held.dense + held.experts;
    step.optimizer_s = std::max(
        step.optimizer_s,
        machine.memory(own * (state + software.gradient_bytes) + all * software.gradient_bytes));
    if (spec.cpu_offload)
      step.host_transfer_s = std::max(step.host_transfer_s,
                                      own * (software.gradient_bytes + 2) /
                                          std::max(1.0, machine.node().gpu.pcie_bandwidth.value()));
  }
}

}  // namespace

std::string_view to_string(Part part) {
  switch (part) {
    case Part::gemm:
      return "matrix products";
    case Part::weight_gemm:
      return "weight gradients";
    case Part::attention:
      return "attention";
    case Part::elementwise:
      return "norms and activations";
    case Part::experts:
      return "experts";
    case Part::weight_experts:
      return "weight gradients of experts";
    case Part::permutation:
      return "permutation of tokens";
    case Part::tensor:
      return "tensor-parallel messages";
    case Part::context:
      return "context-parallel messages";
    case Part::exchange:
      return "expert dispatch and combine";
    case Part::shard:
      return "shards of parameters and gradients";
    case Part::launches:
      return "kernel launches";
  }
  return "?";
}

void Parts::add(const Parts& other, double times) {
  for (std::size_t i = 0; i < kParts; ++i) seconds[i] += other.seconds[i] * times;
}

void Passes::add(const Passes& other, double times) {
  forward.add(other.forward, times);
  input.add(other.input, times);
  weight.add(other.weight, times);
}

void Load::add(const Load& other, double times) {
  passes.add(other.passes, times);
  dense_parameters += other.dense_parameters * times;
  expert_parameters += other.expert_parameters * times;
  activation_bytes += other.activation_bytes * times;
  if (times > 0) working_bytes = std::max(working_bytes, other.working_bytes);
  flops += other.flops * times;
  expert_layers += other.expert_layers * times;
}

Group tensor_group(const Layout& l) { return {l.tensor, 1}; }
Group context_group(const Layout& l) { return {l.context, l.tensor}; }
Group data_group(const Layout& l) { return {l.data * l.context, l.tensor}; }
Group expert_group(const Layout& l) { return {l.expert * l.expert_tensor, 1}; }
Group expert_data_group(const Layout& l) {
  const int members = l.expert * l.expert_tensor;
  return {l.tensor * l.context * l.data / members, members};
}

bool stages_cross_nodes(const Layout& layout, int gpus_per_node) {
  return gpus_per_node > 0 && layout.gpus() > gpus_per_node;
}

StepAccount account_step(const TrainingSpec& spec, const MachineTimes& machine) {
  const LayerAccount account(spec, machine);
  StepAccount step;
  step.positions = position_loads(spec, account);
  step.tokens_per_expert = account.tokens_per_expert();
  if (spec.layout.pipeline > 1) {
    const double rows =
        static_cast<double>(spec.batch.micro * spec.batch.sequence) / spec.layout.context;
    // Tensor ranks send their part each; the receivers gather inside the node.
    const double bytes =
        rows * spec.model.hidden * spec.software.pipeline_bytes / spec.layout.tensor;
    const bool out = stages_cross_nodes(spec.layout, machine.node().gpus);
    step.send_s = machine.send(bytes, out ? machine.node().gpus : 1);
  }
  data_parallel(spec, machine, step);
  step.peak_flops = machine.arithmetic_peak(spec.arithmetic);
  step.model_flops =
      flops_per_token(spec.model, spec.batch.sequence, false, spec.mtp) * spec.tokens_per_step();
  return step;
}

Load account_layers(const TrainingSpec& spec, const MachineTimes& machine, bool experts,
                    int count) {
  Load load;
  load.add(LayerAccount(spec, machine).layer(experts, 0), count);
  return load;
}

double flops_per_token(const llm::ModelSpec& model, std::int64_t sequence, bool causal, bool mtp) {
  const auto& a = model.attention;
  const auto sum = [](const std::vector<llm::Matrix>& matrices) {
    double elements = 0;
    for (const auto& m : matrices) elements += static_cast<double>(m.k) * static_cast<double>(m.n);
    return elements;
  };
  const double qk_v = a.mla ? a.mla->qk_nope_head_dim + a.mla->qk_rope_head_dim + a.mla->v_head_dim
                            : 2.0 * a.head_dim;
  const double seen = static_cast<double>(sequence) * (causal ? 0.5 : 1.0);
  const double attention = sum(llm::attention_matrices(model, 1));
  const double head = static_cast<double>(model.vocab) * model.hidden;
  double dense = 0, routed = 0;
  if (llm::dense_layers(model) > 0)
    dense = sum(llm::mlp_matrices(model, model.intermediate, llm::WeightRole::dense_mlp, 1));
  if (model.moe) {
    const auto& moe = *model.moe;
    routed = moe.top_k * sum(llm::expert_matrices(model, 1)) +
             static_cast<double>(model.hidden) * moe.experts +
             sum(llm::mlp_matrices(model, std::int64_t{moe.intermediate} * moe.shared_experts,
                                   llm::WeightRole::shared_expert, 1));
  }
  const int modules = mtp ? model.mtp_layers : 0;
  double flops = 6 * (attention * model.layers + dense * llm::dense_layers(model) +
                      routed * llm::moe_layers(model) + head);
  flops += 6 * modules * (attention + (model.moe ? routed : dense) + head);
  const int full = llm::full_attention_layers(model);
  flops +=
      6 * a.heads * qk_v *
      (seen * (full + modules) + std::min<double>(a.sliding_window, seen) * (model.layers - full));
  return flops;
}

}  // namespace foretoken::models::training
