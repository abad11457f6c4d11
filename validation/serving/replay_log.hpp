#pragma once
// A server's log replayed request by request: the same arrivals and lengths, percentile beside
// percentile.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/serving/serving_fit.hpp"

namespace foretoken::validation::serving {

struct ReplayFigure {
  std::string quantity, statistic;  // ttft, tpot, e2el; mean, p50, p90, p95, p99
  double measured_s = 0.0, predicted_s = 0.0;
  [[nodiscard]] double error() const { return predicted_s / measured_s - 1; }
};

struct Replay {
  std::string log;
  std::size_t requests = 0;
  std::vector<ReplayFigure> figures;
  double worst_percent = 0.0;
};

// `folder`: meta.json and requests.jsonl as LLMServingSim's bench writes them. Throws InputError.
Replay replay_log(const std::filesystem::path& folder,
                  const scenarios::loader::Catalogue& catalogue,
                  std::shared_ptr<const models::kernels::Calibration> calibration,
                  const FitSet& fit);

}  // namespace foretoken::validation::serving
