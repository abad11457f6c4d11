#pragma once
// How expert-parallel ranks that exchange tokens (DeepEP) run their layers and share the load.

namespace foretoken::models::serving {

struct ExpertParallelSpec {
  // Two micro-batches take turns: one computes while the tokens of the other travel.
  bool overlap_prefill = false, overlap_decode = false;
  // Streaming multiprocessors that the exchange of prompts takes from the computation beside it
  // (DeepEP's normal kernels); that of decodes takes none.
  int communication_sms = 20;
  // Experts are placed, with their redundant copies, so that ranks are loaded alike (EPLB); a share
  // `drift` of the traffic has moved since and is spread as if by chance.
  bool rebalanced = false;
  double drift = 0.0;
  int token_nodes = 0;  // nodes that a token's experts may lie on (DeepSeek-V3: 4); 0 = any
};

}  // namespace foretoken::models::serving
