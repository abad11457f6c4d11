#pragma once
// A model as its config.json describes it: dimensions only. Architectures: Llama/Qwen/DeepSeek-LLM
// dense, DeepSeek V2/V3/R1/V3.2 (MLA + MoE), DeepSeekMoE, Qwen3-MoE, Mixtral, gpt-oss, MPT/GPT.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/hardware.hpp"

namespace foretoken::models::llm {

using hardware::DType;

// How a checkpoint stores its weight matrices; decides the GEMM kernel as well as the bytes.
enum class WeightFormat { bf16, fp16, fp8, fp8_block, int8_wo, int4_wo, nvfp4, mxfp4 };
double bytes_per_weight(WeightFormat format);  // scales of blocks included
std::string_view to_string(WeightFormat format);
std::optional<WeightFormat> parse_weight_format(std::string_view name);

struct MlaSpec {        // multi-head latent attention (DeepSeek-V2 report, section 2.1)
  int q_lora_rank = 0;  // 0 = queries projected directly
  int kv_lora_rank = 0;
  int qk_nope_head_dim = 0;
  int qk_rope_head_dim = 0;
  int v_head_dim = 0;
};

struct SparseIndexSpec {  // DeepSeek-V3.2 sparse attention (DSA)
  int heads = 0;
  int head_dim = 0;
  int top_k = 0;
};

struct AttentionSpec {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;
  bool sinks = false;            // one learned logit a head that takes part in the softmax
  int sliding_window = 0;        // 0 = none
  int full_attention_every = 1;  // with a window: one layer in this many attends fully; 0: none
  std::optional<MlaSpec> mla;
  std::optional<SparseIndexSpec> sparse;
};

struct MoeSpec {
  int experts = 0;
  int shared_experts = 0;
  int top_k = 0;
  int intermediate = 0;  // of one expert
  int first_dense_layers = 0;
  bool router_bias = false;
  bool expert_bias = false;
};

struct ModelSpec {
  std::string name;
  std::string architecture;  // architectures[0] of the config
  int layers = 0;
  int hidden = 0;
  int intermediate = 0;  // of the dense feed-forward; 0 if every layer is MoE
  int vocab = 0;
  int max_positions = 0;
  bool gated_mlp = true;  // SwiGLU: three matrices; else two
  bool mlp_bias = false;
  bool learned_positions = false;
  bool tied_embeddings = false;
  int mtp_layers = 0;
  AttentionSpec attention;
  std::optional<MoeSpec> moe;
  WeightFormat checkpoint = WeightFormat::bf16;  // format of the large matrices as published
};

struct ParameterCount {
  std::int64_t total = 0;      // without MTP modules
  std::int64_t active = 0;     // touched by one token, embedding and head included
  std::int64_t embedding = 0;  // token (and learned position) embedding
  std::int64_t head = 0;       // 0 if tied
  std::int64_t attention_per_layer = 0;
  std::int64_t dense_mlp_per_layer = 0;
  std::int64_t expert = 0;  // one routed expert
  std::int64_t mtp = 0;
};
ParameterCount count_parameters(const ModelSpec& model);

// Layers with routed experts, and those without.
int moe_layers(const ModelSpec& model);
int dense_layers(const ModelSpec& model);
// Layers that attend to everything; the others see `sliding_window` tokens.
int full_attention_layers(const ModelSpec& model);

// Bytes of KV cache one token occupies over all layers (MLA: latent + rope, not per head; sparse
// attention: the keys of its index as well). Layers with a window count as long as the token is
// inside it, so that this is the pool's cost of a token, not its mean over a long prompt.
double kv_bytes_per_token(const ModelSpec& model, DType kv);

}  // namespace foretoken::models::llm
