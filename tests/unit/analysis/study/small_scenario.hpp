#pragma once
// An 8B model on one A100 under light Poisson traffic: simulates in milliseconds.
#include <filesystem>
#include <fstream>
#include <string>

#include "analysis/study/evaluate.hpp"
#include "tests/unit/scenarios/loader/temporary_folder.hpp"

namespace foretoken::analysis::study::test {

class Folder : public scenarios::loader::TemporaryFolder {
 public:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path() / name) << text;
    return path() / name;
  }
};

inline const char* const kSmall = R"(foretoken: 1
name: small
model: deepseek-r1-distill-llama-8b
engine: vllm-0.14.0
hardware: {node: a100-80gb-x1, nodes: 1}
deployment:
  weights: bf16
  parallel: {tensor: 1}
  batching: {policy: chunked_prefill, max_tokens: 2048, max_sequences: 64}
workload:
  arrivals: {poisson: 2/s}
  input: {tokens: 300, low_fraction: 0.5}
  output: {tokens: 40, low_fraction: 0.5}
  duration: 40s
slo: [ttft.p99 <= 1s, tpot.p99 <= 30ms]
cost: {currency: CNY, electricity: 0.8CNY/kWh, pue: 1.25}
)";

struct World {
  scenarios::loader::Catalogue catalogue{FORETOKEN_SOURCE_DIR};
  CalibrationStore calibrations{std::filesystem::path(FORETOKEN_SOURCE_DIR) / "validation" /
                                "calibrate" / "calibration.h5"};
  Folder folder;
  std::filesystem::path scenario = folder.write("small.yaml", kSmall);
  Evaluator evaluator{scenario, catalogue, calibrations};
};

}  // namespace foretoken::analysis::study::test
