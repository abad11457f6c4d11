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

}  // namespace foretoken::models::llm
