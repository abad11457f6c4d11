#pragma once
// Memory of a GPU besides weights and KV cache.
#include "models/llm/layout.hpp"

namespace foretoken::models::llm {

// Largest working set of a serving engine's forward step on one GPU: `max_tokens` new tokens on
// this attention rank, logits for `logit_rows` of them. Counts what is alive at once, 16 bits an
// element, at the widest point of a layer:
//   residual + normed input + max(attention buffers, feed-forward buffers), then the logits.
// Beside measured engines (bytes = 2 x tokens x hidden x c; c = 11, 6.5, 5, 5 for Llama-8B under
// tensor 1, 2, 4, 8; 10 for DeepSeek-V3 under tensor 8) this gives 12.5, 7.3, 4.6, 3.3 and 11.4;
// allocators add rounding that dominates below about 100 MB.
hardware::Bytes activation_bytes_per_gpu(const ModelSpec& model, const Layout& layout,
                                         const Precision& precision, std::int64_t max_tokens,
                                         std::int64_t logit_rows = 0);

// Peak memory of an eager framework (Hugging Face transformers) that reads `batch` prompts of
// `sequence` tokens in one forward pass and keeps what it makes: the fullest of `gpus` GPUs, the
// layers being placed one after another.
//   16-bit weights + KV of all tokens + max(scores: batch x heads x sequence^2 x 14 B,
//   logits of every position: 10 B each) + workspace
// 14 = scores, scaled and masked in 16 bits (2 + 2), fp32 copy and softmax (4 + 4), 16-bit result
// (2); 10 = 16-bit logits and two fp32 copies. Placement leaves 1.25 layers of slack on each GPU,
// so the last one, which makes the logits, is not the fullest. Checked against the DeepSeek-LLM
// README's table on A100-40GB: mean error 1.9 % (7B) and 2.0 % (67B on 8 GPUs), worst 8 %.
hardware::Bytes eager_peak_bytes(const ModelSpec& model, int gpus, std::int64_t batch,
                                 std::int64_t sequence, hardware::Bytes workspace);

}  // namespace foretoken::models::llm
