#pragma once
#include <string>
#include <vector>

#include "models/llm/model_spec.hpp"

namespace foretoken::models::llm {

// How one replica is spread over GPUs. gpus() = tensor * pipeline * data_attention.
// Routed experts are split over `expert` ranks and within each over the rest (moe tensor parallel).
struct Layout {
  int tensor = 1;          // tensor parallelism of attention and dense layers
  int pipeline = 1;
  int data_attention = 1;  // data parallelism of attention (each rank holds its own KV)
  int expert = 1;          // expert parallelism
  [[nodiscard]] int gpus() const { return tensor * pipeline * data_attention; }
  [[nodiscard]] int moe_tensor() const { return tensor * data_attention / expert; }
};

struct Precision {
  WeightFormat weights = WeightFormat::bf16;
  DType kv = DType::bf16;
  DType activations = DType::bf16;
};

// Every rule the layout breaks, in words that name the divisor; empty = fine.
std::vector<std::string> layout_errors(const ModelSpec& model, const Layout& layout);

// Weight bytes on the fullest GPU.
hardware::Bytes weight_bytes_per_gpu(const ModelSpec& model, const Layout& layout,
                                     const Precision& precision);
// KV bytes one token takes on one GPU of the rank group that holds it.
double kv_bytes_per_token_per_gpu(const ModelSpec& model, const Layout& layout,
                                  const Precision& precision);

}  // namespace foretoken::models::llm
