#pragma once
// Three models by their published dimensions, for tests that compute by hand.
#include "models/llm/model_spec.hpp"

namespace foretoken::models::llm::testing {

inline ModelSpec dense(int layers, int hidden, int heads, int kv_heads, int intermediate,
                       int vocab) {
  ModelSpec m;
  m.name = "dense";
  m.layers = layers;
  m.hidden = hidden;
  m.intermediate = intermediate;
  m.vocab = vocab;
  m.max_positions = 8192;
  m.attention.heads = heads;
  m.attention.kv_heads = kv_heads;
  m.attention.head_dim = hidden / heads;
  return m;
}

inline ModelSpec llama_70b() { return dense(80, 8192, 64, 8, 28672, 128256); }
inline ModelSpec llama_8b() { return dense(32, 4096, 32, 8, 14336, 128256); }

inline ModelSpec gpt3() {
  ModelSpec m = dense(96, 12288, 96, 96, 49152, 50257);
  m.max_positions = 2048;
  m.gated_mlp = false;
  m.mlp_bias = m.attention.qkv_bias = m.attention.output_bias = true;
  m.learned_positions = m.tied_embeddings = true;
  m.checkpoint = WeightFormat::fp16;
  return m;
}

inline ModelSpec deepseek_v3() {
  ModelSpec m = dense(61, 7168, 128, 128, 18432, 129280);
  m.attention.mla = MlaSpec{1536, 512, 128, 64, 128};
  m.attention.head_dim = 192;
  m.moe = MoeSpec{256, 1, 8, 2048, 3, true, false};
  m.mtp_layers = 1;
  m.checkpoint = WeightFormat::fp8_block;
  return m;
}

inline ModelSpec gpt_oss() {
  ModelSpec m = dense(36, 2880, 64, 8, 0, 201088);
  auto& a = m.attention;
  a.head_dim = 64;
  a.qkv_bias = a.output_bias = a.sinks = true;
  a.sliding_window = 128;
  a.full_attention_every = 2;
  m.moe = MoeSpec{128, 0, 4, 2880, 0, true, true};
  m.checkpoint = WeightFormat::mxfp4;
  return m;
}

}  // namespace foretoken::models::llm::testing
