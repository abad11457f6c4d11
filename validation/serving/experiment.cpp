#include "validation/serving/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/serving/serving.hpp"
#include "models/serving/simulate.hpp"
#include "models/serving/step_model.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::serving {
namespace {

using models::serving::DeploymentSpec;
using models::serving::RawCell;
using models::serving::ServingSpec;
using models::serving::StepTables;

// Whatever operator times depend on, and nothing else.
std::string table_key(const DeploymentSpec& d) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{} {} {} {} {}|{}|{}|{}", d.model.name, d.node.name,
                     d.engine.tables.engine, d.engine.tables.version,
                     to_string(d.precision.weights), to_string(d.precision.kv), d.layout.tensor,
                     d.layout.pipeline, d.layout.data_attention, d.layout.expert,
                     d.layout.all_to_all, d.expert_skew, d.engine.in_situ.kernel_slack,
                     d.engine.in_situ.prompt_slack);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void add(RawCell& sum, const RawCell& low, const RawCell& high, double fraction) {
  sum.add_scaled(low, 1.0 - fraction);
  if (fraction > 0) sum.add_scaled(high, fraction);
}

}  // namespace

std::shared_ptr<const StepTables> Laboratory::tables(const ServingSpec& spec) {
  const std::string key = table_key(spec.deployment);
  const std::lock_guard lock(mutex_);
  auto& entry = tables_[key];
  if (!entry) {
    DeploymentSpec large = spec.deployment;
    large.batching.max_tokens = 1 << 16;
    large.batching.max_sequences = 1 << 13;
    auto& kernels =
        kernels_[fmt::format("{}|{}|{}|{}", large.node.name, large.engine.tables.engine,
                             large.engine.tables.version, large.engine.in_situ.kernel_slack)];
    if (!kernels) kernels = models::serving::make_kernels(large.node, large.engine, calibration_);
    entry = std::make_shared<const StepTables>(large, kernels);
  }
  return entry;
}

Prediction Laboratory::run(const ServingSpec& spec) {
  const auto memory = account_memory(
      spec.deployment, std::int64_t{spec.workload.input.tokens} + spec.workload.output.tokens);
  const models::serving::StepModel timer(spec.deployment, tables(spec));
  const auto result = models::serving::simulate_with(spec, timer, memory, {});
  if (!result.conservation_errors.empty())
    throw std::logic_error(result.conservation_errors.front());
  const auto& requests = result.requests;
  std::vector<double> ttft, tpot;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests.outcome[i] != models::serving::RequestOutcome::completed) continue;
    ttft.push_back(requests.first_token_s[i] - requests.arrival_s[i]);
    if (requests.output_tokens[i] > 1)
      tpot.push_back((requests.last_token_s[i] - requests.first_token_s[i]) /
                     (requests.output_tokens[i] - 1));
  }
  if (ttft.empty() || tpot.empty()) throw sim::core::InputError("no request of the run was served");
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  };
  return {mean(ttft), mean(tpot), median(ttft), median(tpot)};
}

RowParts Laboratory::parts(const ServingSpec& spec) {
  using models::serving::BatchAxis, models::serving::ContextAxis, models::serving::TokenAxis;
  const auto& d = spec.deployment;
  const auto t = tables(spec);
  const double ranks = d.layout.data_attention;
  const auto& loop = std::get<models::serving::ClosedLoopArrivals>(spec.workload.arrivals);
  const double batch =
      std::ceil(std::min<double>(loop.concurrency, d.batching.max_sequences * ranks) / ranks /
                d.layout.pipeline);
  const double share = (1 + spec.workload.input.low_fraction) / 2;
  const double context = share * (spec.workload.input.tokens + spec.workload.output.tokens / 2.0);
  RowParts out;
  const auto dense = [&](RawCell& cell, double tokens, double group) {
    const auto p = TokenAxis::locate(tokens);
    add(cell, t->dense(p.index), t->dense(p.index + 1), p.fraction);
    if (ranks > 1) {
      const auto g = TokenAxis::locate(group);
      add(cell, t->group(g.index), t->group(g.index + 1), g.fraction);
    }
  };
  dense(out.decode, batch, batch * ranks);
  const auto h = TokenAxis::locate(batch);
  add(out.decode, t->head(h.index), t->head(h.index + 1), h.fraction);
  const auto b = BatchAxis::locate(batch);
  const auto c = ContextAxis::locate(context);
  for (const std::size_t row : {std::size_t{0}, std::size_t{1}}) {
    const double weight = row ? b.fraction : 1 - b.fraction;
    if (weight <= 0) continue;
    RawCell cell;
    const std::size_t first = (b.index + row) * t->context_nodes() + c.index;
    add(cell, t->decode(first), t->decode(first + 1), c.fraction);
    out.decode.add_scaled(cell, weight);
  }
  const double prompt = std::round(share * spec.workload.input.tokens);
  dense(out.prefill, prompt, prompt);
  const auto k = BatchAxis::locate(prompt);
  const auto z = ContextAxis::locate(models::serving::kPriorShift);
  RawCell cell;
  add(cell, t->prefill(k.index * t->prior_nodes() + z.index),
      t->prefill((k.index + 1) * t->prior_nodes() + z.index), k.fraction);
  out.prefill.add_scaled(cell, models::serving::prefill_weight(prompt, 0));
  return out;
}

}  // namespace foretoken::validation::serving
