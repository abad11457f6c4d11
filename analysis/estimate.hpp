#pragma once
// The time of one engine step in closed form, operator by operator: no simulation, no queueing.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "models/serving/result.hpp"
#include "models/serving/spec.hpp"

namespace foretoken::analysis {

enum class StepKind { decode, prefill };

struct StepShape {
  StepKind kind = StepKind::decode;
  std::int64_t batch = 1;    // sequences that decode, or prompts in the step
  std::int64_t tokens = 1;   // new tokens of each: 1 in decode
  std::int64_t context = 0;  // tokens each already has in the cache
};

struct OperatorEstimate {
  std::string part;  // dense, attention, communication
  std::string name;
  double calls = 0;    // a step, on one GPU
  double seconds = 0;  // of all calls
  double flops = 0, bytes = 0;
  double roofline_s = 0;  // least time by peak arithmetic and bandwidth of the card
  sim::core::Provenance provenance = sim::core::Provenance::analytical;
  double relative_error = 0;
  std::string source;
};

struct StepEstimate {
  StepShape shape;
  std::vector<OperatorEstimate> operators;  // longest first
  double gpu_s = 0, host_s = 0, step_s = 0;
  // Share of the step in which the arithmetic units, at the dense peak of each operator's own
  // number format, and the memory would be busy at full rate.
  double mfu = 0, mbu = 0;
  double tokens_per_s = 0, tokens_per_s_per_gpu = 0;  // of one replica: new tokens / step
  double relative_error = 0;                          // mean of the operators', weighted by time
  sim::core::Provenance provenance = sim::core::Provenance::measured;
};

StepEstimate estimate_step(const models::serving::DeploymentSpec& deployment,
                           std::shared_ptr<const models::kernels::Calibration> calibration,
                           const StepShape& shape);

}  // namespace foretoken::analysis
