#pragma once
// The deployments a plan may choose from, as scenarios that differ in typed values only.
#include "analysis/study/plan_spec.hpp"

namespace foretoken::analysis::study {

struct Candidate {
  std::size_t number = 0;  // in order of generation
  std::size_t base = 0;    // its scenario but for layout, nodes, replicas and batch limits
  std::size_t timer = 0;   // same hardware, engine, formats and layout: one table of step times
  std::string node, engine, weights, kv_cache, pay, policy;  // "" = the scenario's
  int nodes = 1, gpus = 0, replicas = 1;
  models::llm::Layout layout;
  int max_tokens = 0, max_sequences = 0;  // 0 = the scenario's
  double api_share = 0.0;                 // of the requests, sent to the plan's api
};

struct Rejection {
  std::string deployment, why;
};

struct CandidateSet {
  std::vector<Candidate> candidates;
  std::vector<Scenario> bases;
  std::size_t timers = 0;
  std::vector<Rejection> rejected;  // options that cannot be loaded at all, with the reason
};

// What --set would take to make the base scenario this candidate.
Overrides overrides_of(const PlanSpec& plan, const Candidate& candidate);
// "hgx-h200 x 2, sglang-0.5.9, TP8 x 2 replicas, fp8, KV bf16, 8192 tokens, 256 sequences"
std::string describe(const Candidate& candidate, const Scenario& scenario);

// Every layout of up to `most_gpus` GPUs that the model and the node admit: powers of two, tensor
// parallelism inside a node, expert parallelism off or over the whole stage.
std::vector<models::llm::Layout> possible_layouts(const models::llm::ModelSpec& model,
                                                  int gpus_per_node, int most_gpus);

CandidateSet make_candidates(const PlanSpec& plan, const Evaluator& evaluator);

// The scenario of a candidate, from its base.
Scenario scenario_of(const Candidate& candidate, const Scenario& base);

inline constexpr std::size_t kMostCandidates = 500'000;

}  // namespace foretoken::analysis::study
