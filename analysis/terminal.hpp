#pragma once
// The answer as text: one verdict line, then the figures with their provenance. ASCII, at most
// 100 columns, ends in a newline.
#include <filesystem>
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

struct TerminalOptions {
  bool color = false;
  std::filesystem::path report;  // named in the last lines when not empty
};

// "Meets the SLO: ..." or "Misses the SLO: ttft.p99 ...", in one sentence.
std::string verdict_sentence(const Metrics& metrics);

// "deepseek-r1 (fp8_block, KV bf16), sglang-0.5.9, TP8 on 1 x hgx-h200 (8 GPUs)".
std::string deployment_text(const Scenario& scenario, const Metrics& metrics);

std::string terminal_answer(const Scenario& scenario, const ServingResult& result,
                            const Metrics& metrics, const RunInfo& info,
                            const TerminalOptions& options = {});

}  // namespace foretoken::analysis
