#pragma once
// Work of one layer, of the embedding and of the head on one GPU. Used by account.cpp alone.
#include "models/training/account.hpp"

namespace foretoken::models::training {

class LayerAccount {
 public:
  LayerAccount(const TrainingSpec& spec, const MachineTimes& machine);

  // A transformer layer with a dense feed-forward, or with experts. `window`: 0 = full attention.
  Load layer(bool experts, int window) const;
  Load embedding() const;
  Load head() const;
  [[nodiscard]] double tokens_per_expert() const;

 private:
  struct Sizes;
  void product(Load& load, std::int64_t rows, std::int64_t in, std::int64_t out,
               Arithmetic arithmetic) const;
  [[nodiscard]] bool fused() const;  // attention
  void attention(Load& load, int window) const;
  void fused_attention(Load& load, int window, double qk_over_v) const;
  void unfused_attention(Load& load) const;
  void feed_forward(Load& load, std::int64_t intermediate, bool shared) const;
  void experts(Load& load) const;
  void exchange(Load& load, double rows) const;
  void norms(Load& load) const;
  void tensor_messages(Load& load, int blocks) const;
  void shard_messages(Load& load) const;
  void recompute(Load& load) const;
  void widen(Load& load) const;
  void transposing_casts(Load& load, double rows, double in, double out,
                         Arithmetic arithmetic) const;
  void elementwise(Load& load, double forward_bytes, double backward_bytes, int kernels) const;

  const TrainingSpec& spec_;
  const MachineTimes& machine_;
  std::int64_t rows_ = 0;  // tokens of a micro-batch on one context rank
  double split_ = 1;       // how many tensor ranks share norms and residuals
};

}  // namespace foretoken::models::training
