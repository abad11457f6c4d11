#pragma once
// A training step taken apart: what each position of the pipeline computes, sends, holds for one
// micro-batch, as raw times of the machine. compose.hpp applies the software's constants to it, so
// that a fit does not touch the kernels again.
#include <array>
#include <string_view>
#include <vector>

#include "models/training/machine_times.hpp"
#include "models/training/spec.hpp"

namespace foretoken::models::training {

enum class Part {
  gemm,         // matrix products of layers and head
  weight_gemm,  // products that give weight gradients, accumulation included
  attention,
  elementwise,  // norms, activations, residuals, rotation, loss
  experts,      // grouped products, forward and gradient of the input
  weight_experts,
  permutation,
  tensor,    // messages of tensor parallelism
  context,   // keys and values between context ranks
  exchange,  // tokens to experts and back
  shard,     // parameters gathered, gradients scattered layer by layer (ZeRO-3)
  launches,  // kernel launches, in number: times a constant
};
inline constexpr std::size_t kParts = 12;
std::string_view to_string(Part part);

struct Parts {
  std::array<double, kParts> seconds{};
  double& operator[](Part part) { return seconds[static_cast<std::size_t>(part)]; }
  double operator[](Part part) const { return seconds[static_cast<std::size_t>(part)]; }
  void add(const Parts& other, double times = 1.0);
};

// One micro-batch through some layers on one GPU.
struct Passes {
  Parts forward, input, weight;  // input: gradient of activations, recomputation included
  void add(const Passes& other, double times = 1.0);
};

struct Load {
  Passes passes;
  Parts cheap;  // forward work that selective recomputation repeats
  double dense_parameters = 0, expert_parameters = 0;  // elements held by one GPU
  double activation_bytes = 0;  // of one micro-batch, kept from forward to backward
  double working_bytes = 0;     // of a layer while it runs: largest of recomputed or transient
  double cheap_bytes = 0;       // of activation_bytes: what selective recomputation drops
  double swiglu_bytes = 0;      // of activation_bytes: inputs of the activation function
  double flops = 0;             // of one micro-batch on one GPU: forward x 3, no recomputation
  double expert_layers = 0;     // layers with experts
  void add(const Load& other, double times = 1.0);
};

struct StepAccount {
  std::vector<Load> positions;  // in order of the pipeline
  double send_s = 0;            // hidden states between neighbours, one way
  // Once a step and GPU of the fullest stage.
  double reduce_s = 0, gather_s = 0;  // gradients, parameters over the data ranks
  double optimizer_s = 0;
  double host_transfer_s = 0;    // CPU offload
  double model_flops = 0;        // of the whole step, all GPUs, attention included
  double peak_flops = 0;         // of one GPU in the job's arithmetic
  double tokens_per_expert = 0;  // rows of one expert in a micro-batch; 0 = dense model
};

StepAccount account_step(const TrainingSpec& spec, const MachineTimes& machine);
// `count` layers alone, without embedding and head.
Load account_layers(const TrainingSpec& spec, const MachineTimes& machine, bool experts, int count);

// Groups of a layout, in the order of ranks tensor, context, data, pipeline.
Group tensor_group(const Layout& layout);
Group context_group(const Layout& layout);
Group data_group(const Layout& layout);  // data x context: gradients
Group expert_group(const Layout& layout);
Group expert_data_group(const Layout& layout);  // gradients of experts
// Stage-to-stage messages leave the node.
bool stages_cross_nodes(const Layout& layout, int gpus_per_node);

// Training FLOPs of one token: 6 x the matrix parameters it meets + attention (full, not causal:
// the convention of PaLM's and Megatron's MFU when `causal` is false).
double flops_per_token(const llm::ModelSpec& model, std::int64_t sequence, bool causal, bool mtp);

}  // namespace foretoken::models::training
