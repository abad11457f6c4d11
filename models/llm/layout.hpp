#pragma once
#include <string>
#include <vector>

#include "models/llm/model_spec.hpp"

namespace foretoken::models::llm {

// How one replica is spread over GPUs. gpus() = tensor * pipeline * data_attention * context; a
// stage is its GPUs of one pipeline position. Routed experts are split over `expert` ranks and
// within each over the rest (moe tensor parallel).
struct Layout {
  int tensor = 1;  // tensor parallelism of attention and dense layers
  int pipeline = 1;
  int data_attention = 1;  // data parallelism of attention (each rank holds its own KV)
  int context = 1;  // context parallelism: an attention rank's tokens and KV over so many GPUs
  int expert = 1;   // expert parallelism
  // Extra copies of hot experts, spread over the expert ranks: memory here; what they do for the
  // balance is the routing skew that the caller gives.
  int redundant_experts = 0;
  int gpus_per_node = 0;       // where groups cross nodes; 0: everything is in one node
  bool uneven_stages = false;  // pipeline stages may differ by one layer
  // Expert ranks exchange tokens by dispatch and combine (DeepEP) instead of gather and scatter.
  bool all_to_all = false;
  // Routed experts live in host memory and run on the node's CPUs; everything else stays on the
  // GPUs (KTransformers' way).
  bool experts_on_host = false;
  [[nodiscard]] int stage_gpus() const { return tensor * data_attention * context; }
  [[nodiscard]] int gpus() const { return stage_gpus() * pipeline; }
  [[nodiscard]] int moe_tensor() const { return stage_gpus() / expert; }
};

struct Precision {
  WeightFormat weights = WeightFormat::bf16;
  DType kv = DType::bf16;
  DType activations = DType::bf16;
};

// Which part of the model a matrix belongs to: engines quantise some parts and not others.
enum class WeightRole {
  attention,
  indexer,
  dense_mlp,
  shared_expert,
  expert,
  router,
  embedding,
  head
};
// The format in which that part is held when the deployment says `precision.weights`: checkpoints
// leave embedding, head, router and norms in 16 bits; mxfp4 covers the experts alone (gpt-oss);
// nvfp4 leaves latent attention in 16 bits (the published R1 FP4 checkpoint is near 400 GB, which
// only 16-bit attention matches).
WeightFormat weight_format(const ModelSpec& model, const Precision& precision, WeightRole role);

// Layers of each pipeline stage. What does not divide goes one layer each to the stages before the
// last, which holds the head as well (vLLM's rule).
std::vector<int> stage_layers(int layers, int pipeline);

// Every rule the layout breaks, in words that name the divisor; empty = fine.
std::vector<std::string> layout_errors(const ModelSpec& model, const Layout& layout);

// Weight bytes on the fullest GPU.
hardware::Bytes weight_bytes_per_gpu(const ModelSpec& model, const Layout& layout,
                                     const Precision& precision);
// Weight bytes in host memory, of one replica: the routed experts of a layout that keeps them
// there.
hardware::Bytes host_weight_bytes(const ModelSpec& model, const Layout& layout,
                                  const Precision& precision);
// KV bytes one token takes on one GPU of the rank group that holds it.
double kv_bytes_per_token_per_gpu(const ModelSpec& model, const Layout& layout,
                                  const Precision& precision);

}  // namespace foretoken::models::llm
