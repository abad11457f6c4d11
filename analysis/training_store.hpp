#pragma once
// The directory of a training run: the same files as a serving run's, with the pipeline's timeline
// in run.h5.
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/training.hpp"

namespace foretoken::analysis {

std::filesystem::path default_training_directory(
    const scenarios::loader::TrainingScenario& scenario);

// Replaces a run as a whole. InputError on any failure; then nothing of it is left behind.
void write_training_run(const std::filesystem::path& directory,
                        const scenarios::loader::TrainingScenario& scenario,
                        const TrainingPrediction& prediction, const RunInfo& info);

// What a run.h5 says of the pipeline, one row a span of a stream.
struct PipelineTable {
  std::string name;
  std::vector<std::int64_t> start_ps, end_ps;
  std::vector<std::int32_t> device, micro_batch, position, micro_batch2, position2;
  std::vector<std::uint8_t> work, message;
  [[nodiscard]] std::size_t size() const { return start_ps.size(); }
};
PipelineTable pipeline_table(const std::string& name, const TrainingPrediction& prediction);
// InputError on damage, or a run without a pipeline.
PipelineTable read_pipeline(const std::filesystem::path& run_directory);

// report.html: self-contained; memory, waterfall and timeline drawn as SVG.
std::string training_report_html(const scenarios::loader::TrainingScenario& scenario,
                                 const TrainingPrediction& prediction);

// Chrome trace JSON, as Perfetto and chrome://tracing open it.
struct TraceSelection {
  double from_s = 0, to_s = 1e300;
  std::vector<int> devices;  // empty = all
};
// Events in the selection, and about how many bytes they will take.
struct TraceSize {
  std::size_t events = 0;
  std::size_t bytes = 0;
};
TraceSize estimate_trace(const PipelineTable& table, const TraceSelection& selection);
std::string trace_json(const PipelineTable& table, const TraceSelection& selection);

}  // namespace foretoken::analysis
