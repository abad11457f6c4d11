#include "models/serving/step_model.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

using hardware::DType;
using llm::WeightFormat;
using sim::core::Duration;

constexpr double kPrior = 64.0;  // shift of the prior-context axis, so that zero has a logarithm

double lerp(double a, double b, double f) { return a + (b - a) * f; }

// Arithmetic a format computes in: weight-only formats are widened before the tensor cores.
DType compute_type(WeightFormat format) {
  switch (format) {
    case WeightFormat::fp8:
    case WeightFormat::fp8_block:
      return DType::fp8;
    case WeightFormat::nvfp4:
      return DType::fp4;
    default:
      return DType::bf16;
  }
}

// Bytes one GPU sends: a ring's 2 (n-1)/n of the buffer for a sum, half that for its halves.
double link_bytes(const llm::CollectiveOp& op) {
  const double share = static_cast<double>(op.gpus - 1) / op.gpus;
  switch (op.kind) {
    case llm::CollectiveKind::all_reduce:
      return 2.0 * share * op.bytes;
    case llm::CollectiveKind::send_recv:
      return op.bytes;
    default:
      return share * op.bytes;
  }
}

bool is_experts(const llm::Operator& op) { return std::holds_alternative<llm::MoeOp>(op.shape); }

// Work of a chunk in units of query-key pairs; the constant stands for what grows with its tokens
// alone. Prefill cells hold cost / weight, which varies little between nodes.
double prefill_weight(double tokens, double prior) {
  return tokens * (prior + 0.5 * tokens + 256.0);
}

double largest_batch(const DeploymentSpec& d) { return std::max(d.batching.max_sequences, 1); }
double largest_chunk(const DeploymentSpec& d) { return std::max(d.batching.max_tokens, 1); }
// A decode batch is padded to the next captured graph, and a step may hold both kinds of work.
double largest_step(const DeploymentSpec& d) {
  return 2.0 * std::max(largest_chunk(d), largest_batch(d)) + 64.0;
}

}  // namespace

StepModel::StepModel(const DeploymentSpec& deployment,
                     std::shared_ptr<const kernels::Calibration> calibration)
    : deployment_(deployment),
      kernels_(deployment.node, deployment.engine.tables, std::move(calibration)),
      streams_(deployment.layout.data_attention * deployment.layout.pipeline),
      token_axis_(largest_step(deployment)),
      group_axis_(largest_step(deployment) * streams_),
      batch_axis_(2.0 * largest_batch(deployment)),
      chunk_axis_(largest_chunk(deployment)),
      context_axis_(2.0 * deployment.model.max_positions + 2.0),
      prior_axis_(deployment.model.max_positions + kPrior),
      dense_(token_axis_.size()),
      group_(group_axis_.size()),
      head_(token_axis_.size()),
      decode_(batch_axis_.size() * context_axis_.size()),
      prefill_(chunk_axis_.size() * prior_axis_.size()) {
  auto& graphs = deployment_.engine.graph_batches;
  std::sort(graphs.begin(), graphs.end());
}

Cell::Field StepModel::family_of(const llm::OperatorShape& shape) {
  struct Visitor {
    Cell::Field operator()(const llm::GemmOp&) const { return Cell::gemm; }
    Cell::Field operator()(const llm::MlaBmmOp&) const { return Cell::gemm; }
    Cell::Field operator()(const llm::MoeOp&) const { return Cell::experts; }
    Cell::Field operator()(const llm::MlaBlockOp&) const { return Cell::attention; }
    Cell::Field operator()(const llm::ExpertExchangeOp&) const { return Cell::communication; }
    Cell::Field operator()(const llm::CollectiveOp&) const { return Cell::communication; }
    Cell::Field operator()(const llm::ElementwiseOp&) const { return Cell::elementwise; }
    Cell::Field operator()(const llm::PrefillAttentionOp&) const { return Cell::attention; }
    Cell::Field operator()(const llm::DecodeAttentionOp&) const { return Cell::attention; }
    Cell::Field operator()(const llm::MlaPrefillOp&) const { return Cell::attention; }
    Cell::Field operator()(const llm::MlaDecodeOp&) const { return Cell::attention; }
  };
  return std::visit(Visitor{}, shape);
}

double StepModel::peak(const llm::OperatorShape& shape) const {
  DType type = DType::bf16;
  if (const auto* gemm = std::get_if<llm::GemmOp>(&shape)) type = compute_type(gemm->format);
  if (const auto* bmm = std::get_if<llm::MlaBmmOp>(&shape)) type = compute_type(bmm->format);
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape)) type = compute_type(moe->format);
  const auto& peaks = deployment_.node.gpu.peak;
  for (const DType candidate : {type, DType::fp8, DType::bf16, DType::fp16, DType::fp32}) {
    if (candidate == DType::fp8 && type == DType::bf16) continue;
    const auto found = peaks.find(candidate);
    if (found != peaks.end() && found->second.value() > 0) return found->second.value();
  }
  throw sim::core::InputError("GPU card " + deployment_.node.gpu.name +
                              " states no peak arithmetic rate: add peak.bf16");
}

Cell StepModel::sum(const std::vector<llm::Operator>& operators) const {
  const auto& gpu = deployment_.node.gpu;
  Cell cell;
  for (const auto& op : operators) {
    const double seconds = op.repeat * kernels_.time(op.shape).seconds;
    cell.v[family_of(op.shape)] += seconds;
    if (const auto* collective = std::get_if<llm::CollectiveOp>(&op.shape)) {
      if (gpu.scale_up_bandwidth.value() > 0 && !collective->inter_node)
        cell.v[Cell::link] += op.repeat * link_bytes(*collective) / gpu.scale_up_bandwidth.value();
      continue;
    }
    cell.v[Cell::tensor] += op.repeat * llm::flops(op.shape).value() / peak(op.shape);
    cell.v[Cell::memory] +=
        op.repeat * seconds_of(llm::bytes_moved(op.shape), gpu.memory_bandwidth);
  }
  for (const auto f :
       {Cell::gemm, Cell::attention, Cell::experts, Cell::communication, Cell::elementwise})
    cell.v[Cell::total] += cell.v[f];
  return cell;
}

// --- tables -----------------------------------------------------------------------------------

std::vector<llm::Operator> StepModel::dense_operators(std::int64_t tokens,
                                                      std::int64_t group) const {
  const auto& d = deployment_;
  auto operators =
      llm::dense_operators(d.model, d.layout, d.precision, tokens, 0, group, d.expert_skew);
  auto communication = llm::communication_operators(d.model, d.layout, d.precision, tokens);
  operators.insert(operators.end(), std::make_move_iterator(communication.begin()),
                   std::make_move_iterator(communication.end()));
  return operators;
}

// With several attention ranks the experts see the tokens of all: their part is a table of its own.
Cell StepModel::fill_dense(std::size_t index) const {
  const int ranks = deployment_.layout.data_attention;
  const auto tokens = std::llround(LogAxis<4>::node(index));
  auto operators = dense_operators(tokens, tokens * ranks);
  if (ranks > 1) std::erase_if(operators, is_experts);
  return sum(operators);
}

Cell StepModel::fill_group(std::size_t index) const {
  const auto group = std::llround(LogAxis<4>::node(index));
  auto operators = dense_operators(1, group);
  std::erase_if(operators, [](const llm::Operator& op) { return !is_experts(op); });
  return sum(operators);
}

Cell StepModel::fill_head(std::size_t index) const {
  const auto& d = deployment_;
  const auto rows = std::llround(LogAxis<4>::node(index));
  return sum(llm::dense_operators(d.model, d.layout, d.precision, 0, rows, 0, d.expert_skew));
}

Cell StepModel::fill_decode(std::size_t index) const {
  const auto& d = deployment_;
  const auto batch = std::llround(LogAxis<3>::node(index / context_axis_.size()));
  const double context = LogAxis<2>::node(index % context_axis_.size());
  return sum(llm::decode_attention_operators(d.model, d.layout, d.precision, batch, context));
}

Cell StepModel::fill_prefill(std::size_t index) const {
  const auto& d = deployment_;
  const auto tokens = std::llround(LogAxis<3>::node(index / prior_axis_.size()));
  const auto prior =
      std::llround(std::max(0.0, LogAxis<2>::node(index % prior_axis_.size()) - kPrior));
  const Cell cost =
      sum(llm::prefill_attention_operators(d.model, d.layout, d.precision, {tokens, prior}));
  Cell cell;
  cell.add_scaled(cost,
                  1.0 / prefill_weight(static_cast<double>(tokens), static_cast<double>(prior)));
  return cell;
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

void StepModel::add_dense(Cell& cell, const Tokens& tokens) const {
  const auto add = [&cell](const LazyCells& table, const GridPoint& p, const auto& fill) {
    cell.add_scaled(table.at(p.index, fill), 1.0 - p.fraction);
    if (p.fraction > 0) cell.add_scaled(table.at(p.index + 1, fill), p.fraction);
  };
  add(dense_, LogAxis<4>::locate(tokens.rank), [this](std::size_t i) { return fill_dense(i); });
  if (deployment_.layout.data_attention > 1)
    add(group_, LogAxis<4>::locate(tokens.group), [this](std::size_t i) { return fill_group(i); });
}

void StepModel::add_head(Cell& cell, std::int32_t logits) const {
  if (logits <= 0) return;
  const GridPoint p = LogAxis<4>::locate(per_rank(logits));
  const auto fill = [this](std::size_t i) { return fill_head(i); };
  cell.add_scaled(head_.at(p.index, fill), 1.0 - p.fraction);
  if (p.fraction > 0) cell.add_scaled(head_.at(p.index + 1, fill), p.fraction);
}

double StepModel::Span::at(std::size_t field) const {
  return lerp(lerp(c[0]->v[field], c[1]->v[field], column),
              lerp(c[2]->v[field], c[3]->v[field], column), row);
}

StepModel::Span StepModel::decode_span(double batch, double context) const {
  const GridPoint row = LogAxis<3>::locate(batch);
  const GridPoint column = LogAxis<2>::locate(context);
  const auto fill = [this](std::size_t i) { return fill_decode(i); };
  const std::size_t width = context_axis_.size();
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
  const GridPoint row = LogAxis<3>::locate(tokens);
  const GridPoint column = LogAxis<2>::locate(prior + kPrior);
  const auto fill = [this](std::size_t i) { return fill_prefill(i); };
  const std::size_t width = prior_axis_.size();
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
// board's power limit and clocks fall. At full clocks the step would draw, in shares of tdp - idle,
//   p = busy + tensor u_t + memory u_m + link u_l          (u: activity while kernels run)
// against a limit l = (ceiling tdp - idle) / (tdp - idle). Dynamic power goes with f V^2 and V
// falls with f in the upper clock range, so p f^2 = l, between the f^1 of a fixed and the f^3 of a
// proportional voltage: time grows by sqrt(p / l). Coefficients: the GPU card's power block.
// Returns that factor, at least 1.
double StepModel::throttled(const Cell& cell) const {
  const auto& gpu = deployment_.node.gpu;
  const auto& model = deployment_.power;
  const double seconds = cell.v[Cell::total];
  const double range = (gpu.tdp - gpu.idle).value();
  if (seconds <= 0 || range <= 0) return 1.0;
  const auto share = [&](Cell::Field f) { return std::min(1.0, cell.v[f] / seconds); };
  const double power = model.busy + model.tensor * share(Cell::tensor) +
                       model.memory * share(Cell::memory) + model.link * share(Cell::link);
  const double limit = (gpu.tdp.value() * model.ceiling - gpu.idle.value()) / range;
  return power > limit && limit > 0 ? std::sqrt(power / limit) : 1.0;
}

double StepModel::host_seconds(std::int32_t sequences, bool prefill) const {
  const auto& engine = deployment_.engine;
  return engine.host_step_s + engine.host_sequence_s * sequences +
         (prefill ? engine.host_prefill_s : 0.0);
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
  return cost;
}

StepCost StepModel::cost(const StepInput& step) const {
  Cell cell;
  add_dense(cell, tokens_of(step));
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
  const auto sequences = step.decode_batch + static_cast<std::int32_t>(step.chunks.size());
  return priced(cell, host_seconds(sequences, !step.chunks.empty()));
}

// What does not change while the batch stays the same, summed in the order of cost(): the two must
// agree to the last bit.
Cell StepModel::fixed_decode(std::int32_t batch, std::int64_t context) const {
  Cell fixed;
  add_dense(fixed, tokens_of({batch, context, {}, batch}));
  add_head(fixed, batch);
  return fixed;
}

void StepModel::decode_run(std::int32_t batch, std::int64_t context,
                           std::span<Duration> durations) const {
  const Cell fixed = fixed_decode(batch, context);
  const double host = host_seconds(batch, false);
  const double rows = per_rank(batch);
  for (auto& duration : durations) {
    const Span span = decode_span(rows, static_cast<double>(context) / batch);
    duration = Duration::from_seconds(fixed.v[Cell::total] + span.at(Cell::total) + host);
    context += batch;
  }
}

void StepModel::decode_costs(std::int32_t batch, std::int64_t context,
                             std::span<StepCost> costs) const {
  const Cell fixed = fixed_decode(batch, context);
  const double host = host_seconds(batch, false);
  const double rows = per_rank(batch);
  for (auto& one : costs) {
    const Span span = decode_span(rows, static_cast<double>(context) / batch);
    Cell cell = fixed;
    for (std::size_t f = 0; f < Cell::kFields; ++f) cell.v[f] += span.at(f);
    one = priced(cell, host);
    context += batch;
  }
}

}  // namespace foretoken::models::serving
