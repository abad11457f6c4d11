#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::scenarios::loader {

// A file of requests in any of the forms below, plain or gzip, in order of arrival; the first
// arrives at 0. Strict: a row out of order, a length below 1 or a file cut short throws InputError
// with the line.
//
//   CSV by header   Azure: TIMESTAMP (YYYY-MM-DD HH:MM:SS[.fraction]), ContextTokens,
//                   GeneratedTokens; BurstGPT: Timestamp (s), Request tokens, Response tokens (rows
//                   without a response are failures: left out and counted); Vidur: arrived_at (s),
//                   num_prefill_tokens, num_decode_tokens; our own: arrival_s, input_tokens,
//                   output_tokens. Further columns understood: tenant, priority, session,
//                   deadline_s.
//   JSON lines      Mooncake: timestamp (ms), input_length, output_length, hash_ids (prefix
//                   blocks of 512 tokens); LLMServingSim: arrival_time_ns, input_toks, output_toks.
//   JSON            result of `vllm bench serve --save-detailed`: input_lens, output_lens and,
//                   from version 0.11 on, start_times.
//
// Vidur's files without arrived_at, and vLLM's without start_times, hold lengths only.
struct Trace {
  std::shared_ptr<const std::vector<models::serving::TraceRequest>> requests;
  std::shared_ptr<const models::serving::PrefixBlocks> prefix;  // null if the file has none
  std::string format;                                           // "Azure LLM inference", ...
  bool timed = true;
  std::int64_t left_out = 0;       // failed requests
  double spread_s = 0.0;           // time stamps this coarse were spread
  std::vector<std::string> notes;  // what was done to the file's figures, in words
};
Trace read_trace_file(const std::filesystem::path& file);

// The requests of a file that has arrival times.
std::shared_ptr<const std::vector<models::serving::TraceRequest>> read_trace(
    const std::filesystem::path& file);

}  // namespace foretoken::scenarios::loader
