// Which tables and models a run's step times rest on.
#include <algorithm>
#include <cmath>
#include <map>

#include "models/serving/step_model.hpp"

namespace foretoken::models::serving {
namespace {

using Source = ServingResult::Source;
using Operators = std::vector<llm::Operator>;

void append(Operators& to, Operators from, double steps) {
  for (auto& op : from) {
    op.repeat *= steps;
    to.push_back(std::move(op));
  }
}

std::int64_t at_least_one(double x) { return std::max<std::int64_t>(1, std::llround(x)); }

}  // namespace

// The operators of the run's average pure decode step and average step with prompts, each as often
// as it was done.
std::vector<llm::Operator> StepModel::typical_operators(const RunTotals& run) const {
  const auto& d = deployment_;
  Operators operators;
  const double with_prompts = static_cast<double>(run.prefill_steps);
  const double pure = static_cast<double>(run.steps - run.prefill_steps);
  const double decodes = static_cast<double>(run.decode_tokens);
  const double batch = run.decode_steps > 0 ? decodes / static_cast<double>(run.decode_steps) : 0;
  const double chunk =
      run.chunks > 0 ? static_cast<double>(run.prefill_tokens) / static_cast<double>(run.chunks)
                     : 0;
  const int ranks = d.layout.data_attention;
  if (pure > 0) {
    const auto tokens = at_least_one(batch / streams_);
    append(operators, tables_->layer_operators(tokens, tokens * ranks, false), pure);
  }
  if (with_prompts > 0) {
    const double tokens = static_cast<double>(run.prefill_tokens) / with_prompts + batch;
    append(operators,
           tables_->layer_operators(at_least_one(tokens / streams_),
                                    at_least_one(tokens / d.layout.pipeline), true),
           with_prompts);
    const double prior = run.prefill_context / static_cast<double>(run.chunks);
    append(operators,
           llm::prefill_attention_operators(d.model, d.layout, d.precision,
                                            {at_least_one(chunk), std::llround(prior)}),
           static_cast<double>(run.chunks));
  }
  if (run.decode_steps > 0)
    append(operators,
           llm::decode_attention_operators(d.model, d.layout, d.precision,
                                           at_least_one(batch / streams_),
                                           run.decode_context / std::max(1.0, decodes)),
           static_cast<double>(run.decode_steps));
  return operators;
}

std::vector<Source> StepModel::sources(const RunTotals& run) const {
  const StepCost& c = run.cost;
  const double family_s[Cell::kFields] = {c.seconds,   c.gemm_s,          c.attention_s,
                                          c.experts_s, c.communication_s, c.elementwise_s};
  if (c.seconds <= 0) return {};
  struct Entry {
    double seconds[Cell::kFields] = {};
    double weighted_error = 0;
    sim::core::Provenance provenance = sim::core::Provenance::measured;
  };
  std::map<std::string, Entry> entries;
  double typical_s[Cell::kFields] = {};
  for (const auto& op : typical_operators(run)) {
    const auto time = tables_->kernels().time(op.shape);
    const double seconds = op.repeat * time.seconds;
    Entry& entry = entries[time.source];
    const auto f = StepTables::family_of(op.shape);
    typical_s[f] += seconds;
    entry.seconds[f] += seconds;
    entry.weighted_error += seconds * time.relative_error;
    entry.provenance = weakest(entry.provenance, time.provenance);
  }
  std::vector<Source> sources;
  for (const auto& [name, entry] : entries) {
    double share = 0, seconds = 0;
    for (std::size_t f = 1; f < Cell::kFields; ++f) {
      seconds += entry.seconds[f];
      if (typical_s[f] > 0) share += entry.seconds[f] / typical_s[f] * family_s[f] / c.seconds;
    }
    if (seconds > 0)
      sources.push_back({name, entry.provenance, share, entry.weighted_error / seconds});
  }
  // Host terms of the card were read off servers of this engine, not derived.
  if (c.host_s > 0)
    sources.push_back({"engine card " + deployment_.engine.name + ": host time",
                       sim::core::Provenance::calibrated, c.host_s / c.seconds,
                       deployment_.engine.host_relative_error});
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    return a.share != b.share ? a.share > b.share : a.name < b.name;
  });
  return sources;
}

}  // namespace foretoken::models::serving
