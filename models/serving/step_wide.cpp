// Steps of attention ranks that exchange tokens with expert ranks (DeepEP): the operators of the
// exchange, what imbalance does to them, and what two micro-batches hide.
#include <algorithm>
#include <cmath>

#include "models/serving/expert_balance.hpp"
#include "models/serving/step_model.hpp"

namespace foretoken::models::serving {
namespace {

using llm::DType;
using llm::ExpertExchangeOp;
using llm::ExpertInput;
using llm::MoeOp;
}  // namespace

// --- operators ----------------------------------------------------------------------------------

// Dispatch in 8 bits where the experts compute in 8, combine in 16, once a routed layer. Tensor
// ranks hold the same tokens; each sends its part of them.
std::vector<llm::Operator> StepTables::exchange_operators(std::int64_t tokens,
                                                          Exchange exchange) const {
  const auto& d = deployment_;
  const auto& moe = *d.model.moe;
  ExpertExchangeOp op;
  op.low_latency = exchange == Exchange::low_latency;
  op.tokens = (tokens + d.layout.tensor - 1) / d.layout.tensor;
  op.hidden = d.model.hidden;
  op.top_k = moe.top_k;
  op.experts = std::max(moe.experts, moe.experts + d.layout.redundant_experts);
  op.ranks = d.layout.expert;
  op.group_limit = d.expert_parallel.token_nodes;
  op.sms = d.expert_parallel.communication_sms;
  const bool eight = d.precision.weights == llm::WeightFormat::fp8_block ||
                     d.precision.weights == llm::WeightFormat::fp8;
  const double layers = moe_layers(d.model);
  op.payload = eight ? DType::fp8 : DType::bf16;
  std::vector<llm::Operator> operators{{"experts.dispatch", layers, op}};
  op.combine = true;
  op.payload = DType::bf16;
  operators.push_back({"experts.combine", layers, op});
  return operators;
}

// The experts of one micro-batch, fed by the exchange.
std::vector<llm::Operator> StepTables::expert_operators(std::int64_t group, Exchange exchange,
                                                        bool rebalanced) const {
  const auto& d = deployment_;
  auto operators = llm::dense_operators(d.model, d.layout, d.precision, 1, 0, group, d.expert_skew);
  std::erase_if(operators,
                [](const llm::Operator& op) { return !std::holds_alternative<MoeOp>(op.shape); });
  for (auto& op : operators) {
    auto& moe = std::get<MoeOp>(op.shape);
    moe.input = exchange == Exchange::normal ? ExpertInput::dispatched : ExpertInput::masked;
    moe.slots = moe.experts + d.layout.redundant_experts;
    moe.rebalanced = rebalanced;
  }
  return operators;
}

std::vector<llm::Operator> StepTables::layer_operators(std::int64_t tokens, std::int64_t group,
                                                       bool prompts) const {
  auto operators = dense_operators(tokens, group);
  if (!deployment_.layout.all_to_all) return operators;
  std::erase_if(operators, [](const llm::Operator& op) {
    return std::holds_alternative<MoeOp>(op.shape) || op.name == "experts.dispatch" ||
           op.name == "experts.combine";
  });
  const auto exchange = prompts ? Exchange::normal : Exchange::low_latency;
  for (auto& more : {exchange_operators(tokens, exchange),
                     expert_operators(group, exchange, deployment_.expert_parallel.rebalanced)})
    operators.insert(operators.end(), more.begin(), more.end());
  return operators;
}

RawCell StepTables::fill_experts(std::size_t index, Exchange exchange) const {
  const auto group = std::llround(TokenAxis::node(index));
  const ExpertParallelSpec& spec = deployment_.expert_parallel;
  const double moved = spec.rebalanced ? spec.drift : 0.0;
  RawCell cell;
  cell.add_scaled(sum(expert_operators(group, exchange, spec.rebalanced)), 1.0 - moved);
  if (moved > 0) cell.add_scaled(sum(expert_operators(group, exchange, false)), moved);
  return cell;
}

RawCell StepTables::fill_exchange(std::size_t index, Exchange exchange) const {
  const auto tokens = std::llround(TokenAxis::node(index));
  const auto group = tokens * deployment_.layout.data_attention;
  RawCell cell;
  // The exchange waits for the rank that gets the most; a token of a prompt goes once to each node.
  const ExpertBalance balance = expert_balance(deployment_, group);
  cell.add_scaled(sum(exchange_operators(tokens, exchange)),
                  exchange == Exchange::normal ? balance.busiest_place : balance.busiest);
  return cell;
}

const RawCell& StepTables::experts(std::size_t index, Exchange exchange) const {
  return experts_[static_cast<std::size_t>(exchange)].at(
      index, [&](std::size_t i) { return fill_experts(i, exchange); });
}
const RawCell& StepTables::exchange(std::size_t index, Exchange exchange) const {
  return exchange_[static_cast<std::size_t>(exchange)].at(
      index, [&](std::size_t i) { return fill_exchange(i, exchange); });
}

// --- one step -----------------------------------------------------------------------------------

namespace {

void add(Cell& cell, const LazyCells& table, double x, double times, const auto& fill) {
  const GridPoint p = TokenAxis::locate(x);
  cell.add_scaled(table.at(p.index, fill), times * (1.0 - p.fraction));
  if (p.fraction > 0) cell.add_scaled(table.at(p.index + 1, fill), times * p.fraction);
}

}  // namespace

// With one micro-batch the parts follow one another. With two, each of half the tokens, a layer
// computes one while the other's tokens travel. With C the computing time of both, D the travelling
// time of both and s the share of the shorter that is not hidden (multiprocessors that the exchange
// takes while it runs, or what the engine is known to lose),
//   T = max(C, D) + s min(C, D) + (D / 2) / layers
// The last term is the first exchange of the first layer and the last of the last, which nothing
// hides: half of one micro-batch's share of a layer at either end. Products of half the tokens read
// the same weights twice; that is what two micro-batches cost where they are small.
StepCost StepModel::wide_cost(const StepInput& step) const {
  const bool prompts = !step.chunks.empty();
  const auto exchange = prompts ? StepTables::Exchange::normal : StepTables::Exchange::low_latency;
  const auto e = static_cast<std::size_t>(exchange);
  const ExpertParallelSpec& spec = deployment_.expert_parallel;
  const bool two = prompts ? spec.overlap_prefill : spec.overlap_decode;
  const double batches = two ? 2.0 : 1.0;
  Tokens tokens = tokens_of(step);
  tokens.rank = std::ceil(tokens.rank / batches);
  tokens.group = std::ceil(tokens.group / batches);
  const auto in_engine = [this, prompts](const RawCell& raw) {
    return prompts ? alone(raw) : corrected(raw);
  };
  Cell compute, travel;
  add(compute, prompts ? prompt_dense_ : dense_, tokens.rank, batches,
      [&](std::size_t i) { return in_engine(tables_->dense(i)); });
  add(compute, experts_[e], tokens.group, batches,
      [&](std::size_t i) { return in_engine(tables_->experts(i, exchange)); });
  add(travel, exchange_[e], tokens.rank, batches,
      [&](std::size_t i) { return in_engine(tables_->exchange(i, exchange)); });
  add_prefill(compute, step.chunks);
  if (step.decode_batch > 0) {
    const Span span = decode_span(std::ceil(per_rank(step.decode_batch) / batches),
                                  static_cast<double>(step.decode_context) / step.decode_batch);
    for (std::size_t f = 0; f < Cell::kFields; ++f) compute.v[f] += batches * span.at(f);
  }
  if (prompts) {
    const double slower = throttled(compute);
    for (std::size_t f = 0; f <= Cell::elementwise; ++f) compute.v[f] *= slower;
  }
  contend(compute, step.network_stretch);
  contend(travel, step.network_stretch);
  const double c = compute.v[Cell::total], d = travel.v[Cell::total];
  double added = d;  // by the exchange, to the time of the step
  if (two) {
    const double sms =
        prompts ? static_cast<double>(spec.communication_sms) / deployment_.node.gpu.sm_count : 0.0;
    const double lost = std::max(sms, deployment_.engine.overlap_loss) * std::min(c, d);
    const double ends = d / 2 / std::max(1, moe_layers(deployment_.model));
    added = std::max(c, d) + lost - c + ends;
  }
  compute.v[Cell::communication] += added;
  compute.v[Cell::total] += added;
  for (const auto f : {Cell::link, Cell::network, Cell::network_wire, Cell::network_bytes})
    compute.v[f] += travel.v[f];
  add_head(compute, step.logits);
  // Every attention rank has a host process of its own.
  const double on_rank =
      per_rank(step.decode_batch) + per_rank(static_cast<double>(step.chunks.size()));
  return priced(compute,
                host_seconds(compute.v[Cell::total], static_cast<std::int32_t>(on_rank), prompts));
}

}  // namespace foretoken::models::serving
