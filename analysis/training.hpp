#pragma once
// Prediction of a training scenario: memory, one step (closed form or simulated pipeline), a run to
// its last token; with power and cost.
#include <memory>
#include <string>

#include "analysis/run_info.hpp"
#include "models/kernels/calibration.hpp"
#include "models/training/run.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::analysis {

struct TrainingPrediction {
  models::training::TrainingSpec spec;  // as predicted: recomputation chosen
  models::training::StepAccount account;
  models::training::MemoryAccount memory;
  models::training::StepTime step;
  double closed_form_s = 0;
  models::training::PipelineRun pipeline;  // empty where the closed form served
  double relative_error = 0;               // of the step time, found by validation
  double gpu_watts = 0, facility_watts = 0;
  double tokens_per_s = 0;
  models::training::CheckpointPlan checkpoints;
  models::training::RunAccount expected, history;  // of the run, where tokens are given
  models::cost::CostAccount cost;
  double gpu_hours_per_trillion_tokens = 0;  // steps alone
};

struct TrainingOptions {
  bool simulate = false;    // the pipeline event by event, and a history of the run
  bool keep_spans = false;  // for the timeline
};

// InfeasibleError with the memory account where the job cannot fit.
TrainingPrediction predict_training(
    const scenarios::loader::TrainingScenario& scenario,
    const std::shared_ptr<const models::kernels::Calibration>& calibration,
    const TrainingOptions& options);

// Answers of `estimate` and `run`.
std::string training_text(const scenarios::loader::TrainingScenario& scenario,
                          const TrainingPrediction& prediction);
std::string training_json(const scenarios::loader::TrainingScenario& scenario,
                          const TrainingPrediction& prediction, const RunInfo* info);

}  // namespace foretoken::analysis
