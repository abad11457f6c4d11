#pragma once
// `foretoken plan` for training: every layout of a model on a cluster, those that fit ranked by
// closed form, the best simulated; why the others lose.
#include <memory>
#include <string>
#include <vector>

#include "analysis/training.hpp"

namespace foretoken::analysis {

struct TrainingPlanOptions {
  int simulate = 10;  // of the best
  int show = 10;
  double seconds = 60;  // stop enumerating after this much wall time; what is there is ranked
};

struct PlannedLayout {
  models::training::TrainingSpec spec;
  models::training::StepTime step;
  models::training::MemoryAccount memory;
  bool simulated = false;
  std::string why;  // why it is behind the best; empty for the best
};

struct RejectedLayout {
  std::string deployment, why;
};

struct TrainingPlan {
  std::size_t candidates = 0;  // layouts tried
  std::size_t broken = 0;      // break a rule
  std::size_t too_large = 0;   // do not fit
  bool cut_short = false;
  std::vector<PlannedLayout> ranked;     // that fit, fastest first
  std::vector<RejectedLayout> rejected;  // samples of both kinds, the nearest to fitting first
};

// Throws InfeasibleError with the nearest miss where nothing fits.
TrainingPlan plan_training(const scenarios::loader::TrainingScenario& scenario,
                           const std::shared_ptr<const models::kernels::Calibration>& calibration,
                           const TrainingPlanOptions& options);

// "tp8 pp16 (x2) dp8 cp1 mbs1 full"
std::string layout_text(const models::training::TrainingSpec& spec);

std::string plan_text(const scenarios::loader::TrainingScenario& scenario, const TrainingPlan& plan,
                      const TrainingPlanOptions& options);
std::string plan_json(const scenarios::loader::TrainingScenario& scenario, const TrainingPlan& plan,
                      const TrainingPlanOptions& options);

}  // namespace foretoken::analysis
