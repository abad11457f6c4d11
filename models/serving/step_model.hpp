#pragma once
// Step times of a deployment from its operators, tabulated by part:
//   step(n tokens; decodes B, K; chunks) = dense(n) + head(sequences) + decode_attention(B, K)
//                                        + sum of prefill_attention(chunk, context) + host(...)
// with communication inside dense. A step then costs a few look-ups.
#include <array>
#include <memory>
#include <vector>

#include "models/serving/recorder.hpp"
#include "models/serving/result.hpp"
#include "models/serving/spec.hpp"
#include "models/serving/step_table.hpp"
#include "models/serving/step_tables.hpp"
#include "models/serving/step_timer.hpp"

namespace foretoken::models::serving {

class StepModel final : public StepTimer {
 public:
  StepModel(const DeploymentSpec& deployment,
            std::shared_ptr<const kernels::Calibration> calibration);
  // Over tables that other models share; their axes must reach as far as this deployment's batches.
  StepModel(const DeploymentSpec& deployment, std::shared_ptr<const StepTables> tables);

  [[nodiscard]] StepCost cost(const StepInput& step) const override;
  void decode_run(std::int32_t batch, std::int64_t context,
                  std::span<sim::core::Duration> durations) const override;
  void decode_costs(std::int32_t batch, std::int64_t context,
                    std::span<StepCost> costs) const override;

  // Tables and models behind the steps that were run, each with its share of their time: families
  // from the run's sums, sources within a family from its average decode and prefill step.
  [[nodiscard]] std::vector<ServingResult::Source> sources(const RunTotals& run) const;

 private:
  struct Tokens {      // of one step, on the busiest attention rank
    double rank = 0;   // through attention's projections and dense layers
    double group = 0;  // of all ranks, through the experts
  };
  struct Span {  // a cell of a 2-D table and the position inside
    const Cell* c[4];
    double row, column;
    [[nodiscard]] double at(std::size_t field) const;
  };
  [[nodiscard]] Cell corrected(const RawCell& raw) const;
  [[nodiscard]] Cell alone(const RawCell& raw) const;
  [[nodiscard]] std::vector<llm::Operator> typical_operators(const RunTotals& run) const;
  [[nodiscard]] std::int32_t padded(std::int32_t batch) const;
  [[nodiscard]] Tokens tokens_of(const StepInput& step) const;
  [[nodiscard]] double per_rank(double total) const;
  void add_dense(Cell& cell, const Tokens& tokens, bool prompts) const;
  void add_head(Cell& cell, std::int32_t logits) const;
  void add_prefill(Cell& cell, std::span<const llm::Chunk> chunks) const;
  [[nodiscard]] Cell fixed_decode(std::int32_t batch, std::int64_t context) const;
  [[nodiscard]] bool wide() const { return deployment_.layout.all_to_all; }
  [[nodiscard]] StepCost plain_cost(const StepInput& step) const;
  [[nodiscard]] StepCost speculative_cost(const StepInput& step) const;  // step_speculation.cpp
  [[nodiscard]] bool by_cost() const {  // a run of decode steps is no more than its steps' costs
    return wide() || deployment_.speculation.guesses() > 0;
  }
  [[nodiscard]] StepCost wide_cost(const StepInput& step) const;  // step_wide.cpp
  static void contend(Cell& cell, double stretch);
  [[nodiscard]] static StepCost priced(const Cell& cell, double host_s);
  [[nodiscard]] Cell prefill(const llm::Chunk& chunk) const;
  [[nodiscard]] Span decode_span(double batch, double context) const;
  [[nodiscard]] double throttled(const Cell& cell) const;
  // What the GPU waits for its host in a step whose kernels take `kernels` seconds.
  [[nodiscard]] double host_seconds(double kernels, std::int32_t sequences, bool prefill) const;

  DeploymentSpec deployment_;
  std::shared_ptr<const StepTables> tables_;
  double streams_;  // attention ranks x micro-batches in flight: what a step's work is spread over
  std::size_t contexts_, priors_;  // nodes
  // Dense parts of pure decode steps and of steps with prompts.
  LazyCells dense_, group_, prompt_dense_, prompt_group_, head_, decode_, prefill_;
  std::array<LazyCells, 2> experts_, exchange_;  // by StepTables::Exchange
};

}  // namespace foretoken::models::serving
