#pragma once
// What a scenario says about batching: the policy and its parameters.
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "sim/core/time.hpp"

namespace foretoken::models::serving {

class PolicyPlugin;  // policy_plugin.hpp

enum class BatchingPolicy : std::uint8_t {
  chunked_prefill,
  prefill_first,
  prefill_first_whole,
  continuous,
  decode_first,
  static_batching,
  dynamic_batching,
  length_bucketed,
  shortest_job_first,
  multilevel_feedback,
  earliest_deadline,
  least_slack,
  fair,
  priority,
  plugin,  // a shared library of the user's own
};

struct PolicyInfo {
  BatchingPolicy policy;
  std::string_view name, summary;
};

// Every policy that has a name, in the order in which they are listed.
inline constexpr std::array<PolicyInfo, 14> kPolicies = {{
    {BatchingPolicy::chunked_prefill, "chunked_prefill",
     "a step decodes first and fills its token budget with prompt chunks (vLLM V1, Sarathi-Serve)"},
    {BatchingPolicy::prefill_first, "prefill_first",
     "steps of prompts alone, cut at the token budget, as long as there are any (SGLang)"},
    {BatchingPolicy::prefill_first_whole, "prefill_first_whole",
     "the same with whole prompts (vLLM V0 without chunked prefill)"},
    {BatchingPolicy::continuous, "continuous",
     "whole prompts join the decodes of every step, room for their output set aside (Orca)"},
    {BatchingPolicy::decode_first, "decode_first", "prompts run only when nothing decodes"},
    {BatchingPolicy::static_batching, "static",
     "a padded batch runs until its longest is done, then the next is taken"},
    {BatchingPolicy::dynamic_batching, "dynamic",
     "static, but a batch starts only when full or its oldest has waited timeout (Triton)"},
    {BatchingPolicy::length_bucketed, "length_bucketed",
     "static batches of prompts whose lengths lie in one power of two"},
    {BatchingPolicy::shortest_job_first, "shortest_job_first",
     "chunked_prefill, the queue by predicted output; length_error 0 is an oracle"},
    {BatchingPolicy::multilevel_feedback, "multilevel_feedback",
     "levels by tokens served so far, quantum doubling; lower levels preempt higher (FastServe)"},
    {BatchingPolicy::earliest_deadline, "earliest_deadline",
     "chunked_prefill, the queue by deadline"},
    {BatchingPolicy::least_slack, "least_slack",
     "chunked_prefill, the queue by deadline less predicted output x token_time"},
    {BatchingPolicy::fair, "fair",
     "chunked_prefill, the tenant served least comes first (virtual token counter)"},
    {BatchingPolicy::priority, "priority",
     "chunked_prefill by priority, lower values first; they preempt (vLLM --scheduling-policy)"},
}};

struct BatchingSpec {
  BatchingPolicy policy = BatchingPolicy::chunked_prefill;
  int max_tokens = 0;                // new tokens a step
  int max_prompt_tokens = 0;         // of one prompt in a step; 0 = max_tokens
  int max_sequences = 0;             // running at once, per attention rank group
  sim::core::Duration timeout{};     // dynamic: longest wait for a full batch
  double length_error = 0.0;         // log-normal sigma of predicted output lengths
  int quantum_tokens = 512;          // multilevel_feedback: of the first level
  int levels = 8;                    // multilevel_feedback
  sim::core::Duration token_time{};  // least_slack: time an output token takes
  double prompt_weight = 1.0;        // fair: service of a prompt token (Sheng et al., OSDI 2024)
  double output_weight = 2.0;        // fair: of an output token
  double swap_bytes = 0.0;  // host memory a GPU for preempted KV; 0 = preempted requests start over
  bool prefix_caching = false;  // a preempted request finds what is left of its own KV blocks
  std::shared_ptr<const PolicyPlugin> plugin = {};
};

}  // namespace foretoken::models::serving
