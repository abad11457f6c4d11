#pragma once
// Times of what a trace ran, from shapes: the operators of a training chunk derived from its model
// card and layout, matrix products of recorded shape, collectives of recorded size.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "models/kernels/kernel_model.hpp"
#include "models/llm/model_spec.hpp"
#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

// What a class of kernels should take: launches and time, both from the model and never from the
// trace.
struct Expected {
  std::string kernel_class;
  int n = 0;  // 0 = not derived
  double us = 0.0;
  std::string source;  // table or model used
};

// One forward and one backward chunk of `layers` MoE layers of a model with latent attention, FP8
// matrices, on one rank; routing balanced.
struct TrainingChunk {
  models::llm::ModelSpec model;
  int layers = 0;
  std::int64_t tokens = 0;
  int expert_parallel = 1;
  std::vector<std::string> recomputed;  // matrices multiplied again in the backward pass
  int communication_sms = 0;            // set aside, not available to matrix products and attention
  double gradient_bytes = 4.0;          // of one accumulated weight gradient
  // Kernels that pass over memory, in the step over alone: those that stream, and those that reduce
  // or transpose through shared memory.
  double streaming = 1.0, transposing = 1.0;
  int node_limit = 0;            // nodes a token is sent to at most; 0 = as many as it has experts
  double network_per_gpu = 0.0;  // byte/s between nodes; 0 = dispatch and combine not predicted
  int gpus_per_node = 8;
  models::kernels::EngineVersion gemm_tables, attention_tables;
};

std::vector<Expected> expect_training_chunk(
    const TrainingChunk& chunk, const models::hardware::GpuSpec& gpu,
    const std::shared_ptr<const models::kernels::Calibration>& calibration);

// A matrix product inside a training step over the same product alone with warm caches, as rough
// comparisons found it: A100 1.05-1.16, H100 in bf16 1.10. FP8 products on H100 took 1.12-1.17
// where communication holds SMs; here they are given fewer SMs instead (132/112 = 1.18), so not
// this.
inline constexpr double kInSitu = 1.10;

// Batch of products C[m,n] = A[m,k] B[k,n].
struct Product {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  std::string dtype;  // float, c10::BFloat16, ...
};
// Empty for operators that are no matrix product, or whose dimensions were not recorded.
std::optional<Product> product_of(const FrameworkOp& op);

// Tensor cores multiply 32-bit floats as TF32 where the framework allows it.
enum class Arithmetic { fp8, bf16, tf32, fp32 };

// Attention of `batch` sequences of `tokens` queries over `keys` keys, 16 bits.
struct Attention {
  std::int64_t batch = 0, tokens = 0, keys = 0;
  int heads = 0, kv_heads = 0, head_dim = 0;
  bool causal = true;  // where the trace does not say
};
// Empty for operators that are no forward attention, or whose dimensions were not recorded.
std::optional<Attention> attention_of(const FrameworkOp& op);

// An operator with the kernels it launched.
struct Launched {
  std::optional<Product> product;
  std::optional<Attention> attention;
  double measured_us = 0;
  bool tf32 = false;   // one of its kernels multiplies 32-bit floats on tensor cores
  bool found = false;  // launched anything
};
// One for each operator of the trace; neither product nor attention where it is none.
std::vector<Launched> launched_operators(const Trace& trace);
Arithmetic arithmetic_of(const Launched& op);

class Predictor {
 public:
  // On a node of its own, large enough for `gpus`, or on the node given.
  Predictor(models::hardware::GpuSpec gpu, int gpus, const models::kernels::EngineVersion& engine,
            std::shared_ptr<const models::kernels::Calibration> calibration);
  Predictor(const models::hardware::NodeSpec& node, const models::kernels::EngineVersion& engine,
            std::shared_ptr<const models::kernels::Calibration> calibration);

  [[nodiscard]] double product_us(const Product& product, Arithmetic arithmetic) const;
  [[nodiscard]] double attention_us(const Attention& attention) const;
  // Empty for collectives that no model describes.
  [[nodiscard]] std::optional<double> message_us(const Message& message) const;

 private:
  models::hardware::GpuSpec gpu_;
  models::kernels::KernelModel kernels_;
};

}  // namespace foretoken::validation::importers
