#include <cmath>

#include "models/llm/operators.hpp"

namespace foretoken::models::llm {
namespace {

struct Communication {
  const Layout& layout;
  DType dtype;
  std::vector<Operator> out;

  void add(const char* name, double repeat, CollectiveKind kind, double bytes, int gpus) {
    add(name, repeat, kind, bytes, gpus, dtype);
  }
  void add(const char* name, double repeat, CollectiveKind kind, double bytes, int gpus,
           DType type) {
    if (gpus < 2 || repeat <= 0 || bytes <= 0) return;
    const bool crosses = layout.gpus_per_node > 0 && gpus > layout.gpus_per_node;
    out.push_back({name, repeat, CollectiveOp{kind, bytes, gpus, type, crosses}});
  }
};

// Boundaries between stages that lie between two nodes, GPUs being numbered stage by stage.
int crossing_boundaries(const Layout& layout) {
  if (layout.gpus_per_node <= 0) return 0;
  const int stage = layout.stage_gpus();
  int crossing = 0;
  for (int s = 1; s < layout.pipeline; ++s) {
    const int before = (s * stage - 1) / layout.gpus_per_node;
    if (before != s * stage / layout.gpus_per_node || stage > layout.gpus_per_node) ++crossing;
  }
  return crossing;
}

// Hidden state and residual go to the next stage; each tensor rank sends its share and the
// receiving ranks gather (vLLM's and SGLang's way).
void stage_transfers(Communication& comm, double row) {
  const auto& layout = comm.layout;
  if (layout.pipeline < 2) return;
  const int crossing = crossing_boundaries(layout);
  const double share = 2 * row / layout.tensor;
  const auto send = [&](int repeat, bool inter_node) {
    if (repeat > 0)
      comm.out.push_back(
          {inter_node ? "stage.send.inter_node" : "stage.send", static_cast<double>(repeat),
           CollectiveOp{CollectiveKind::send_recv, share, 2, comm.dtype, inter_node}});
  };
  send(layout.pipeline - 1 - crossing, false);
  send(crossing, true);
  comm.add("stage.all_gather", layout.pipeline - 1, CollectiveKind::all_gather, 2 * row,
           layout.tensor);
}

// Tokens to the experts and back. `row`: bytes of this GPU's hidden states.
void expert_exchange(Communication& comm, const ModelSpec& model, const Precision& precision,
                     double row) {
  const int routed = moe_layers(model);
  if (routed == 0) return;
  const auto& layout = comm.layout;
  const int group = layout.stage_gpus();
  if (layout.experts_on_host) {
    // Every tensor rank holds the same tokens: one sends them, each gets the results. With them go
    // the experts' ids and weights, 4 bytes each.
    const double ids = row / (model.hidden * 2.0) * model.moe->top_k * 8.0;
    const auto copy = [&](const char* name, double bytes) {
      comm.out.push_back({name, static_cast<double>(routed),
                          CollectiveOp{CollectiveKind::host_copy, bytes, 1, comm.dtype, false}});
    };
    copy("experts.to_host", row + ids);
    copy("experts.from_host", row);
    return;
  }
  if (layout.all_to_all) {
    // A token goes once to each rank that holds one of its experts, ranks hit at random. FP8
    // checkpoints dispatch in 8 bits with an fp32 scale per 128, combine in 16 bits (DeepEP).
    const double ranks = layout.expert;
    const double copies = ranks * (1 - std::pow(1 - 1 / ranks, model.moe->top_k));
    const bool small = precision.weights == WeightFormat::fp8_block;
    const double shrink = small ? (1 + 4.0 / 128) / 2 : 1;
    // Tensor ranks hold the same tokens; each sends its part of them.
    const double sent = row / layout.tensor * copies;
    comm.add("experts.dispatch", routed, CollectiveKind::all_to_all, sent * shrink, group,
             small ? DType::fp8 : comm.dtype);
    comm.add("experts.combine", routed, CollectiveKind::all_to_all, sent, group);
    comm.add("experts.all_gather", routed, CollectiveKind::all_gather, row, layout.tensor);
    return;
  }
  const int ranks = layout.data_attention * layout.context;
  if (ranks == 1) {
    // Every rank holds all tokens: one sum joins the partial or absent outputs of the experts.
    comm.add("experts.all_reduce", routed, CollectiveKind::all_reduce, row, layout.tensor);
  } else {
    comm.add("experts.all_gather", routed, CollectiveKind::all_gather, row * ranks, group);
    comm.add("experts.reduce_scatter", routed, CollectiveKind::reduce_scatter, row * ranks, group);
  }
}

}  // namespace

std::vector<Operator> communication_operators(const ModelSpec& model, const Layout& layout,
                                              const Precision& precision, std::int64_t tokens) {
  // Sums travel in 16 bits even where activations are quantised for the products.
  const DType wide = precision.activations == DType::fp16 ? DType::fp16 : DType::bf16;
  Communication comm{layout, wide, {}};
  if (tokens <= 0) return {};
  const double row = std::ceil(static_cast<double>(tokens) / layout.context) * model.hidden * 2.0;
  const int tensor = layout.tensor;
  const auto reduce = CollectiveKind::all_reduce;
  comm.add("embedding.all_reduce", 1, reduce, row, tensor);
  comm.add("o_proj.all_reduce", model.layers, reduce, row, tensor);
  comm.add("mlp.all_reduce", dense_layers(model), reduce, row, tensor);
  expert_exchange(comm, model, precision, row);
  stage_transfers(comm, row);
  return std::move(comm.out);
}

}  // namespace foretoken::models::llm
