#pragma once
// Operator times of a deployment, tabulated by the parts that a step falls into, before the
// corrections of the engine that runs them: what StepModel prices. Several models of one deployment
// (other corrections, other batch limits) may share them.
#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/kernels/physics.hpp"
#include "models/serving/spec.hpp"
#include "models/serving/step_table.hpp"

namespace foretoken::models::serving {

// Tokens of a step's dense part, sequences, contexts and chunks on axes of equal ratios.
using TokenAxis = LogAxis<4>;
using BatchAxis = LogAxis<3>;
using ContextAxis = LogAxis<2>;
// Shift of the prior-context axis, so that zero has a logarithm.
inline constexpr double kPriorShift = 64.0;

// Work of a chunk in units of query-key pairs; the constant stands for what grows with its tokens
// alone. Prefill cells hold cost / weight, which varies little between nodes.
inline double prefill_weight(double tokens, double prior) {
  return tokens * (prior + 0.5 * tokens + 256.0);
}

// Kernel times of a node under an engine: its own, and those of other engines with tables of the
// same GPU (see InSitu::kernel_slack). Costs more to make than to share.
struct KernelSet {
  std::unique_ptr<const kernels::KernelModel> own;
  std::vector<kernels::KernelModel> others;
  kernels::Machine machine;
  kernels::PhysicalParameters parameters;
  std::set<std::string> own_tables;  // with a user's own rows: believed whatever others take
};
std::shared_ptr<const KernelSet> make_kernels(
    const hardware::NodeSpec& node, const EngineSpec& engine,
    const std::shared_ptr<const kernels::Calibration>& calibration);

class StepTables {
 public:
  // Batch limits of the deployment set how far the axes reach.
  StepTables(const DeploymentSpec& deployment, std::shared_ptr<const KernelSet> kernels);

  [[nodiscard]] const RawCell& dense(std::size_t index) const;
  [[nodiscard]] const RawCell& group(std::size_t index) const;  // experts, with several ranks
  [[nodiscard]] const RawCell& head(std::size_t index) const;
  [[nodiscard]] const RawCell& decode(std::size_t index) const;
  [[nodiscard]] const RawCell& prefill(std::size_t index) const;

  // Expert ranks that exchange tokens (layout.all_to_all): prompts by the kernels that go for
  // bandwidth, decodes by those that go for latency. Step_wide.cpp.
  enum class Exchange : std::uint8_t { normal, low_latency };
  [[nodiscard]] const RawCell& experts(std::size_t index, Exchange exchange) const;   // by group
  [[nodiscard]] const RawCell& exchange(std::size_t index, Exchange exchange) const;  // by rank
  [[nodiscard]] std::vector<llm::Operator> exchange_operators(std::int64_t tokens,
                                                              Exchange exchange) const;
  [[nodiscard]] std::vector<llm::Operator> expert_operators(std::int64_t group, Exchange exchange,
                                                            bool rebalanced) const;
  // As dense_operators(), with the experts and exchange that a step with or without prompts uses.
  [[nodiscard]] std::vector<llm::Operator> layer_operators(std::int64_t tokens, std::int64_t group,
                                                           bool prompts) const;

  [[nodiscard]] std::size_t token_nodes() const { return token_axis_.size(); }
  [[nodiscard]] std::size_t group_nodes() const { return group_axis_.size(); }
  [[nodiscard]] std::size_t batch_nodes() const { return batch_axis_.size(); }
  [[nodiscard]] std::size_t context_nodes() const { return context_axis_.size(); }
  [[nodiscard]] std::size_t chunk_nodes() const { return chunk_axis_.size(); }
  [[nodiscard]] std::size_t prior_nodes() const { return prior_axis_.size(); }

  [[nodiscard]] const kernels::KernelModel& kernels() const { return *kernels_->own; }
  // Everything of a step but attention's core and the head.
  [[nodiscard]] std::vector<llm::Operator> dense_operators(std::int64_t tokens,
                                                           std::int64_t group) const;
  [[nodiscard]] static Cell::Field family_of(const llm::OperatorShape& shape);

 private:
  [[nodiscard]] RawCell sum(const std::vector<llm::Operator>& operators) const;
  [[nodiscard]] double peak(const llm::OperatorShape& shape) const;
  [[nodiscard]] double quantise_seconds(const llm::OperatorShape& shape) const;
  [[nodiscard]] double seconds(const llm::OperatorShape& shape) const;
  [[nodiscard]] RawCell fill_dense(std::size_t index) const;
  [[nodiscard]] RawCell fill_group(std::size_t index) const;
  [[nodiscard]] RawCell fill_head(std::size_t index) const;
  [[nodiscard]] RawCell fill_decode(std::size_t index) const;
  [[nodiscard]] RawCell fill_prefill(std::size_t index) const;
  [[nodiscard]] RawCell fill_experts(std::size_t index, Exchange exchange) const;
  [[nodiscard]] RawCell fill_exchange(std::size_t index, Exchange exchange) const;

  DeploymentSpec deployment_;
  std::shared_ptr<const KernelSet> kernels_;
  TokenAxis token_axis_, group_axis_;
  BatchAxis batch_axis_, chunk_axis_;
  ContextAxis context_axis_, prior_axis_;
  LazyCellsOf<RawCell> dense_, group_, head_, decode_, prefill_;
  std::array<LazyCellsOf<RawCell>, 2> experts_, exchange_;  // by Exchange
};

}  // namespace foretoken::models::serving
