#include "validation/power/utilisation.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/serving/step_model.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::power {
namespace {

using models::power::Activity;
using models::serving::StepCost;
using models::serving::StepInput;

// A decode step of the mean batch in the middle of its outputs, and with it the prompts of as many
// requests as end in a step: in steady state one in `output_tokens` of those running.
StepCost steady_step(const models::serving::StepModel& model, const PowerRow& row) {
  const double context = row.prompt_tokens + 0.5 * row.output_tokens;
  StepInput decode;
  decode.decode_batch = std::max(1, static_cast<int>(std::lround(row.batch)));
  decode.decode_context =
      static_cast<std::int64_t>(std::llround(context * static_cast<double>(decode.decode_batch)));
  decode.logits = decode.decode_batch;
  StepCost sum = model.cost(decode);
  const models::llm::Chunk chunk{std::max<std::int64_t>(1, std::llround(row.prompt_tokens)), 0};
  StepInput with_prompt = decode;
  with_prompt.chunks = {&chunk, 1};
  with_prompt.logits += 1;
  const StepCost both = model.cost(with_prompt);
  const double share = row.batch / row.output_tokens;
  const auto add = [share](double& into, double alone, double together) {
    into += share * std::max(0.0, together - alone);
  };
  add(sum.seconds, sum.seconds, both.seconds);
  add(sum.host_s, sum.host_s, both.host_s);
  add(sum.tensor_s, sum.tensor_s, both.tensor_s);
  add(sum.memory_s, sum.memory_s, both.memory_s);
  add(sum.link_s, sum.link_s, both.link_s);
  return sum;
}

Activity activity_over(const StepCost& step, double seconds) {
  const auto share = [seconds](double busy) { return std::min(1.0, busy / seconds); };
  return {share(step.tensor_s), share(step.memory_s), share(step.link_s)};
}

// Files say h100 where cards say h100-sxm, and name releases of one architecture apart.
models::serving::ServingSpec scenario_of(const serving::RowReader& rows,
                                         const serving::ServedRow& row) {
  std::optional<sim::core::InputError> first;
  for (const std::string& gpu : {row.gpu, row.gpu + "-sxm"}) {
    for (const std::string& model : {row.model, without_release(row.model)}) {
      serving::ServedRow tried = row;
      tried.gpu = gpu;
      tried.model = model;
      try {
        return rows.scenario(tried);
      } catch (const sim::core::InputError& error) {
        first = error;
      }
    }
  }
  throw sim::core::InputError(*first);
}

}  // namespace

UtilisationReader::UtilisationReader(const scenarios::loader::Catalogue& catalogue,
                                     const std::filesystem::path& config_dir,
                                     std::filesystem::path calibration)
    : rows_(catalogue, config_dir), calibration_(std::move(calibration)) {}

Utilisation UtilisationReader::of(const PowerRow& row) {
  if (!row.unusable.empty()) throw sim::core::InputError(row.unusable);
  models::serving::ServingSpec spec = scenario_of(rows_, row.served());
  auto& d = spec.deployment;
  // Tables of step times reach as far as the batch limits: those that the server must have had.
  const int sequences = std::max(1, static_cast<int>(std::lround(row.batch)));
  d.batching.max_sequences = std::max(d.batching.max_sequences, sequences);
  d.batching.max_tokens =
      std::max(d.batching.max_tokens,
               sequences + std::max(1, static_cast<int>(std::lround(row.prompt_tokens))));
  auto& tables = tables_[d.node.gpu.tables];
  if (!tables) tables = scenarios::loader::read_calibration(calibration_, d.node.gpu.tables);
  const StepCost step = steady_step(models::serving::StepModel(d, tables), row);
  Utilisation out;
  out.gpu = d.node.gpu;
  out.card = d.power;
  const double busy_s = step.seconds - step.host_s;
  out.activity = activity_over(step, step.seconds);
  out.busy = std::min(1.0, busy_s / step.seconds);
  out.tokens_per_s = row.batch / step.seconds;
  const double measured_s = row.batch / row.tokens_per_s;
  out.measured_activity = activity_over(step, measured_s);
  out.measured_busy = std::min(1.0, busy_s / measured_s);
  return out;
}

}  // namespace foretoken::validation::power
