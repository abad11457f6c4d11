#pragma once
// A run as `vllm bench serve --save-result --save-detailed` would have written it, so that scripts
// made for that file work on a prediction.
#include "analysis/exporters/saved_run.hpp"
#include "models/serving/result.hpp"

namespace foretoken::analysis::exporters {

// Times between a completed request's tokens, seconds. `from_steps`: the recorded steps account for
// each of its tokens; otherwise the gaps are equal. They sum to last minus first token.
struct TokenGaps {
  std::vector<double> gaps_s;
  bool from_steps = false;
};
// Index = request; requests that did not complete have none.
std::vector<TokenGaps> token_gaps(const models::serving::ServingResult& tables);

// `tables`: of the same run. Requests of the measured window, in order of arrival.
std::string vllm_json(const SavedRun& run, const models::serving::ServingResult& tables);

}  // namespace foretoken::analysis::exporters
