#include "models/serving/step_model.hpp"

#include <algorithm>
#include <cmath>

#include "models/power/power_cap.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;

double lerp(double a, double b, double f) { return a + (b - a) * f; }

// Whether the operator's power cap acts before the board's own limit does.
bool capped(const DeploymentSpec& d) {
  const auto cap = d.node.gpu.power_limit;
  return cap.value() > 0.0 && cap < d.node.gpu.tdp * d.power.ceiling;
}

// Sum of the families, and busy time at peak rates, which no engine changes.
Cell completed(Cell cell, const decltype(RawCell::v)& raw) {
  for (const auto f :
       {Cell::gemm, Cell::attention, Cell::experts, Cell::communication, Cell::elementwise})
    cell.v[Cell::total] += cell.v[f];
  cell.v[Cell::tensor] = raw[RawCell::tensor];
  cell.v[Cell::memory] = raw[RawCell::memory];
  cell.v[Cell::link] = raw[RawCell::link];
  cell.v[Cell::network_bytes] = raw[RawCell::network_bytes];
  return cell;
}

}  // namespace

StepModel::StepModel(const DeploymentSpec& deployment,
                     std::shared_ptr<const kernels::Calibration> calibration)
    : StepModel(deployment,
                std::make_shared<StepTables>(
                    deployment, make_kernels(deployment.node, deployment.engine, calibration))) {}

StepModel::StepModel(const DeploymentSpec& deployment, std::shared_ptr<const StepTables> tables)
    : deployment_(deployment),
      tables_(std::move(tables)),
      streams_(deployment.layout.data_attention * deployment.layout.pipeline),
      contexts_(tables_->context_nodes()),
      priors_(tables_->prior_nodes()),
      dense_(tables_->token_nodes()),
      group_(tables_->group_nodes()),
      prompt_dense_(tables_->token_nodes()),
      prompt_group_(tables_->group_nodes()),
      head_(tables_->token_nodes()),
      decode_(tables_->batch_nodes() * contexts_),
      prefill_(tables_->chunk_nodes() * priors_),
      experts_{{LazyCells(tables_->group_nodes()), LazyCells(tables_->group_nodes())}},
      exchange_{{LazyCells(tables_->token_nodes()), LazyCells(tables_->token_nodes())}} {
  if (deployment_.node.gpu.tables_in_engine)
    deployment_.engine.in_situ = deployment_.engine.in_situ.as_timed();
  auto& graphs = deployment_.engine.graph_batches;
  std::sort(graphs.begin(), graphs.end());
}

// Kernels inside the engine against the same kernels alone: see InSitu.
Cell StepModel::corrected(const RawCell& raw) const {
  const InSitu& factor = deployment_.engine.in_situ;
  const auto& v = raw.v;
  const auto in_engine = [](double least, double all, double of_least, double of_rest) {
    return of_least * least + of_rest * (all - least);
  };
  Cell cell;
  cell.v[Cell::gemm] =
      in_engine(v[RawCell::gemm_least], v[RawCell::gemm], factor.gemm_least, factor.gemm);
  cell.v[Cell::attention] = in_engine(v[RawCell::attention_least], v[RawCell::attention],
                                      factor.attention_least, factor.attention);
  cell.v[Cell::experts] = in_engine(v[RawCell::experts_least], v[RawCell::experts],
                                    factor.experts_least, factor.experts);
  cell.v[Cell::communication] =
      in_engine(v[RawCell::wire], v[RawCell::communication], factor.wire, factor.communication) +
      factor.rank_skew_s * v[RawCell::collectives];
  cell.v[Cell::elementwise] = factor.elementwise * v[RawCell::elementwise];
  cell.v[Cell::network] = factor.wire * v[RawCell::network];
  cell.v[Cell::network_wire] = factor.wire * v[RawCell::network_wire];
  return completed(cell, v);
}

// As timed alone, times the factor for steps that carry prompts.
Cell StepModel::alone(const RawCell& raw) const {
  const double factor = deployment_.engine.in_situ.prefill;
  Cell cell;
  cell.v[Cell::gemm] = factor * raw.v[RawCell::gemm];
  cell.v[Cell::attention] = factor * raw.v[RawCell::attention];
  cell.v[Cell::experts] = factor * raw.v[RawCell::experts];
  cell.v[Cell::communication] = factor * raw.v[RawCell::communication];
  cell.v[Cell::elementwise] = factor * raw.v[RawCell::elementwise];
  cell.v[Cell::network] = factor * raw.v[RawCell::network];
  cell.v[Cell::network_wire] = factor * raw.v[RawCell::network_wire];
  return completed(cell, raw.v);
}

// --- one step ---------------------------------------------------------------------------------

double StepModel::per_rank(double total) const { return std::ceil(total / streams_); }

std::int32_t StepModel::padded(std::int32_t batch) const {
  const auto& graphs = deployment_.engine.graph_batches;
  const auto graph = std::lower_bound(graphs.begin(), graphs.end(), batch);
  return graph == graphs.end() ? batch : *graph;
}

// Ranks share the decodes evenly; a chunk stays on one rank, and the ranks step together.
StepModel::Tokens StepModel::tokens_of(const StepInput& step) const {
  const auto& layout = deployment_.layout;
  if (step.chunks.empty()) {
    const auto on_rank = static_cast<std::int32_t>(per_rank(step.decode_batch));
    const double rank = padded(on_rank);
    return {rank, rank * layout.data_attention};
  }
  double chunks = 0, largest = 0;
  for (const auto& chunk : step.chunks) {
    chunks += static_cast<double>(chunk.tokens);
    largest = std::max(largest, static_cast<double>(chunk.tokens));
  }
  const double rank = per_rank(step.decode_batch) +
                      std::max(per_rank(chunks), std::ceil(largest / layout.pipeline));
  return {rank, std::ceil((step.decode_batch + chunks) / layout.pipeline)};
}

void StepModel::add_dense(Cell& cell, const Tokens& tokens, bool prompts) const {
  const auto add = [&cell](const LazyCells& table, const GridPoint& p, const auto& fill) {
    cell.add_scaled(table.at(p.index, fill), 1.0 - p.fraction);
    if (p.fraction > 0) cell.add_scaled(table.at(p.index + 1, fill), p.fraction);
  };
  const auto priced = [this, prompts](const RawCell& raw) {
    return prompts ? alone(raw) : corrected(raw);
  };
  add(prompts ? prompt_dense_ : dense_, TokenAxis::locate(tokens.rank),
      [&](std::size_t i) { return priced(tables_->dense(i)); });
  if (deployment_.layout.data_attention > 1)
    add(prompts ? prompt_group_ : group_, TokenAxis::locate(tokens.group),
        [&](std::size_t i) { return priced(tables_->group(i)); });
}

void StepModel::add_head(Cell& cell, std::int32_t logits) const {
  if (logits <= 0) return;
  const GridPoint p = TokenAxis::locate(per_rank(logits));
  const auto fill = [this](std::size_t i) { return corrected(tables_->head(i)); };
  cell.add_scaled(head_.at(p.index, fill), 1.0 - p.fraction);
  if (p.fraction > 0) cell.add_scaled(head_.at(p.index + 1, fill), p.fraction);
}

double StepModel::Span::at(std::size_t field) const {
  return lerp(lerp(c[0]->v[field], c[1]->v[field], column),
              lerp(c[2]->v[field], c[3]->v[field], column), row);
}

StepModel::Span StepModel::decode_span(double batch, double context) const {
  const GridPoint row = BatchAxis::locate(batch);
  const GridPoint column = ContextAxis::locate(context);
  const auto fill = [this](std::size_t i) { return corrected(tables_->decode(i)); };
  const std::size_t width = contexts_;
  const std::size_t first = row.index * width + column.index;
  const std::size_t second = row.fraction > 0 ? first + width : first;
  const std::size_t next = column.fraction > 0 ? 1 : 0;
  return {{&decode_.at(first, fill), &decode_.at(first + next, fill), &decode_.at(second, fill),
           &decode_.at(second + next, fill)},
          row.fraction,
          column.fraction};
}

Cell StepModel::prefill(const llm::Chunk& chunk) const {
  const auto tokens = static_cast<double>(chunk.tokens);
  const auto prior = static_cast<double>(chunk.context);
  const GridPoint row = BatchAxis::locate(tokens);
  const GridPoint column = ContextAxis::locate(prior + kPriorShift);
  const auto fill = [this](std::size_t i) { return alone(tables_->prefill(i)); };
  const std::size_t width = priors_;
  const double weight = prefill_weight(tokens, prior);
  Cell cell;
  for (const std::size_t down : {std::size_t{0}, std::size_t{1}})
    for (const std::size_t right : {std::size_t{0}, std::size_t{1}}) {
      const double share = (down ? row.fraction : 1.0 - row.fraction) *
                           (right ? column.fraction : 1.0 - column.fraction);
      if (share > 0)
        cell.add_scaled(prefill_.at((row.index + down) * width + column.index + right, fill),
                        share * weight);
    }
  return cell;
}

// Engines attend to all prompts of a step in one variable-length kernel: the cost of a token-sized
// chunk, which is launch and latency, is paid once, not once a chunk. Attention ranks work side by
// side and wait for the one with the most; micro-batches of a pipeline share the prompts.
void StepModel::add_prefill(Cell& cell, std::span<const llm::Chunk> chunks) const {
  if (chunks.empty()) return;
  Cell sum;
  double largest = 0;
  for (const auto& chunk : chunks) {
    const Cell one = prefill(chunk);
    largest = std::max(largest, one.v[Cell::total]);
    sum += one;
  }
  if (chunks.size() > 1) sum.add_scaled(prefill({1, 0}), -static_cast<double>(chunks.size() - 1));
  const auto& layout = deployment_.layout;
  const double total = sum.v[Cell::total];
  const double on_rank = std::max(total / layout.data_attention, std::min(largest, total));
  cell.add_scaled(sum, total > 0 ? on_rank / total / layout.pipeline : 0.0);
}

// Tables time one kernel in a short burst; hundreds of milliseconds of tensor work run into the
// board's power limit and clocks fall, as under a cap of the operator's. Tables timed in the engine
// have the clocks of the engine. Returns the factor on the step's time, at least 1.
double StepModel::throttled(const Cell& cell) const {
  const auto& gpu = deployment_.node.gpu;
  const double seconds = cell.v[Cell::total];
  const auto limit = gpu.tdp * deployment_.power.ceiling;
  if (seconds <= 0 || limit <= gpu.idle || capped(deployment_) || gpu.tables_in_engine) return 1.0;
  const auto share = [&](Cell::Field f) { return std::min(1.0, cell.v[f] / seconds); };
  return power::under_cap(gpu, deployment_.power,
                          {share(Cell::tensor), share(Cell::memory), share(Cell::link)}, limit)
      .stretch;
}

double StepModel::host_seconds(double kernels, std::int32_t sequences, bool prefill) const {
  const auto& engine = deployment_.engine;
  const double host = engine.host_step_s + engine.host_sequence_s * sequences +
                      (prefill ? engine.host_prefill_s : 0.0);
  const bool hidden = engine.overlap_schedule && deployment_.node.gpu.tables_in_engine;
  return hidden ? std::max(0.0, host - kernels) : host;
}

// What goes between nodes shares the network with other traffic.
void StepModel::contend(Cell& cell, double stretch) {
  if (stretch <= 1.0) return;
  const double more = (stretch - 1.0) * cell.v[Cell::network];
  cell.v[Cell::communication] += more;
  cell.v[Cell::total] += more;
}

StepCost StepModel::priced(const Cell& cell, double host_s) {
  StepCost cost;
  cost.seconds = cell.v[Cell::total] + host_s;
  cost.gemm_s = cell.v[Cell::gemm];
  cost.attention_s = cell.v[Cell::attention];
  cost.experts_s = cell.v[Cell::experts];
  cost.communication_s = cell.v[Cell::communication];
  cost.elementwise_s = cell.v[Cell::elementwise];
  cost.host_s = host_s;
  cost.tensor_s = cell.v[Cell::tensor];
  cost.memory_s = cell.v[Cell::memory];
  cost.link_s = cell.v[Cell::link];
  cost.network_bytes = cell.v[Cell::network_bytes];
  cost.network_s = cell.v[Cell::network_wire];
  return cost;
}

namespace {

// The operator's power cap: clocks fall until the step stays below it.
void apply_cap(const DeploymentSpec& d, StepCost& cost) {
  const double busy = cost.seconds - cost.host_s;
  if (busy <= 0.0) return;
  const auto share = [busy](double seconds) { return std::min(1.0, seconds / busy); };
  const power::Activity activity{share(cost.tensor_s), share(cost.memory_s), share(cost.link_s)};
  const double stretch =
      power::under_cap(d.node.gpu, d.power, activity, d.node.gpu.power_limit).stretch;
  for (double StepCost::*part : {&StepCost::gemm_s, &StepCost::attention_s, &StepCost::experts_s,
                                 &StepCost::communication_s, &StepCost::elementwise_s})
    cost.*part *= stretch;
  cost.seconds = cost.host_s + busy * stretch;
}

}  // namespace

StepCost StepModel::cost(const StepInput& step) const {
  const bool guesses = deployment_.speculation.guesses() > 0 && step.chunks.empty();
  StepCost cost = guesses ? speculative_cost(step) : plain_cost(step);
  if (capped(deployment_)) apply_cap(deployment_, cost);
  return cost;
}

StepCost StepModel::plain_cost(const StepInput& step) const {
  if (wide()) return wide_cost(step);
  Cell cell;
  add_dense(cell, tokens_of(step), !step.chunks.empty());
  add_head(cell, step.logits);
  add_prefill(cell, step.chunks);
  if (step.decode_batch > 0) {
    const Span span = decode_span(per_rank(step.decode_batch),
                                  static_cast<double>(step.decode_context) / step.decode_batch);
    for (std::size_t f = 0; f < Cell::kFields; ++f) cell.v[f] += span.at(f);
  }
  // Pure decode steps are bound by memory and stay below the power limit.
  if (!step.chunks.empty()) {
    const double slower = throttled(cell);
    for (std::size_t f = 0; f <= Cell::elementwise; ++f) cell.v[f] *= slower;
  }
  contend(cell, step.network_stretch);
  const auto sequences = step.decode_batch + static_cast<std::int32_t>(step.chunks.size());
  return priced(cell, host_seconds(cell.v[Cell::total], sequences, !step.chunks.empty()));
}

// What does not change while the batch stays the same, summed in the order of cost(): the two must
// agree to the last bit.
Cell StepModel::fixed_decode(std::int32_t batch, std::int64_t context) const {
  Cell fixed;
  add_dense(fixed, tokens_of({batch, context, {}, batch}), false);
  add_head(fixed, batch);
  return fixed;
}

void StepModel::decode_run(std::int32_t batch, std::int64_t context,
                           std::span<Duration> durations) const {
  if (by_cost() || capped(deployment_)) return StepTimer::decode_run(batch, context, durations);
  const Cell fixed = fixed_decode(batch, context);
  const double rows = per_rank(batch);
  for (auto& duration : durations) {
    const Span span = decode_span(rows, static_cast<double>(context) / batch);
    const double kernels = fixed.v[Cell::total] + span.at(Cell::total);
    duration = Duration::from_seconds(kernels + host_seconds(kernels, batch, false));
    context += batch;
  }
}

void StepModel::decode_costs(std::int32_t batch, std::int64_t context,
                             std::span<StepCost> costs) const {
  if (by_cost() || capped(deployment_)) return StepTimer::decode_costs(batch, context, costs);
  const Cell fixed = fixed_decode(batch, context);
  const double rows = per_rank(batch);
  for (auto& one : costs) {
    const Span span = decode_span(rows, static_cast<double>(context) / batch);
    Cell cell = fixed;
    for (std::size_t f = 0; f < Cell::kFields; ++f) cell.v[f] += span.at(f);
    one = priced(cell, host_seconds(cell.v[Cell::total], batch, false));
    context += batch;
  }
}

}  // namespace foretoken::models::serving
