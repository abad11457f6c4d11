#pragma once
// Tokens guessed ahead by a draft and checked by the model in one step: multi-token prediction
// modules (DeepSeek-V3 report, section 2.2) or a smaller model.
#include <vector>

namespace foretoken::models::serving {

struct SpeculationSpec {
  // Probability that the i-th guess is right given that those before it were; empty: none.
  std::vector<double> acceptance;
  // Time of one guess, as a share of a decode step of the model without guesses; below zero: one
  // layer of it for each, as a multi-token prediction module is.
  double draft_cost = -1.0;

  [[nodiscard]] int guesses() const { return static_cast<int>(acceptance.size()); }
  // Tokens that a step yields on average: the model's own, and guesses until the first wrong one.
  [[nodiscard]] double tokens_per_step() const {
    double tokens = 1.0, right = 1.0;
    for (const double p : acceptance) tokens += right *= p;
    return tokens;
  }
};

}  // namespace foretoken::models::serving
