#include "analysis/workload_profile.hpp"

#include <catch2/catch.hpp>

#include "scenarios/loader/trace.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::PrefixBlocks;
using models::serving::TraceRequest;

const std::string kWorkloads = std::string(FORETOKEN_SOURCE_DIR) + "/scenarios/workloads/";

TEST_CASE("Prefix hits: leading blocks that came before, the last of a prompt in part") {
  // Blocks of 4. A: 1 2 3 (10 tokens). B: 1 2 4 (12): 8 tokens hit. C: 1 2 3 (10) all: 4 + 4 + 2.
  // D: 5 2 (8): 2 was seen, but not behind 5: an id stands for all before it, so it is no prefix.
  const PrefixBlocks blocks{4, {0, 3, 6, 9, 11}, {1, 2, 3, 1, 2, 4, 1, 2, 3, 5, 2}};
  const std::vector<TraceRequest> requests = {{0, 10, 1}, {1, 12, 1}, {2, 10, 1}, {3, 8, 1}};
  const auto p = profile_requests(requests, &blocks, true);
  CHECK(*p.prefix_hit_tokens == Approx(18.0 / 40.0));
  CHECK(*p.prefix_hit_blocks == Approx(5.0 / 11.0));
}

TEST_CASE("Azure's conversation trace has the published shape") {
  // Counted elsewhere from the same file: mean 1,154.7 in and 211.1 out, p50 1,020 and 129, CV of
  // the gaps 1.094, variance over mean of counts 1.39 in 1 s and 20.6 in 1 min.
  const auto trace = scenarios::loader::read_trace_file(kWorkloads + "azure-llm-2023-conv.csv.gz");
  CHECK(trace.format == "Azure LLM inference");
  const auto p = profile_requests(*trace.requests, nullptr, true);
  CHECK(p.requests == 19366);
  CHECK(p.mean_rate == Approx(5.530).epsilon(1e-3));
  CHECK(p.input.mean == Approx(1154.7).epsilon(1e-4));
  CHECK(p.input.p50 == 1020);
  CHECK(p.output.p99 == Approx(601).margin(1));
  CHECK(*p.gap_cv == Approx(1.094).epsilon(0.01));
  CHECK(*p.dispersion_1s == Approx(1.39).epsilon(0.02));
  CHECK(*p.dispersion_1min == Approx(20.6).epsilon(0.05));
  CHECK_FALSE(p.prefix_hit_tokens);
}

TEST_CASE("Mooncake's conversations: time stamps spread, ideal hits as counted elsewhere") {
  // 36.6 % of blocks and 37.4 % of tokens; 12,031 requests, mean 12,035 in and 343 out. Rounded to
  // 3 s the gaps have a CV of 3.03; spread they are near Poisson.
  const auto trace =
      scenarios::loader::read_trace_file(kWorkloads + "mooncake-conversation.jsonl.gz");
  CHECK(trace.format == "Mooncake");
  CHECK(trace.spread_s == Approx(3.0).margin(0.01));
  const auto p = profile_requests(*trace.requests, trace.prefix.get(), true);
  CHECK(p.requests == 12031);
  CHECK(p.input.mean == Approx(12035.1).epsilon(1e-4));
  CHECK(p.output.mean == Approx(342.6).epsilon(1e-3));
  CHECK(*p.prefix_hit_blocks == Approx(0.366).margin(0.001));
  CHECK(*p.prefix_hit_tokens == Approx(0.374).margin(0.001));
  CHECK(*p.gap_cv == Approx(1.0).margin(0.1));
}

TEST_CASE("Six lines, whatever the file lacks") {
  const std::vector<TraceRequest> requests = {{0, 10, 1}, {0, 12, 1}};
  const std::string text = profile_text(profile_requests(requests, nullptr, false));
  CHECK(std::count(text.begin(), text.end(), '\n') == 6);
  CHECK(text.find("no arrival times") != std::string::npos);
}

}  // namespace
}  // namespace foretoken::analysis
