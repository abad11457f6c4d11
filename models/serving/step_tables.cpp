#include "models/serving/step_tables.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/kernels/network_part.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

using hardware::DType;
using llm::WeightFormat;

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

// Of what the last of all ranks is behind, the part that a rank waits on average.
double waits_for_others(const llm::CollectiveOp& op) {
  const bool all_meet = op.kind != llm::CollectiveKind::send_recv &&
                        op.kind != llm::CollectiveKind::host_copy && op.gpus > 1;
  return all_meet ? 1.0 - 1.0 / op.gpus : 0.0;
}

// Replaced by the operators of step_wide.cpp.
bool is_exchange(const llm::Operator& op) {
  return op.name == "experts.dispatch" || op.name == "experts.combine";
}

bool is_experts(const llm::Operator& op) { return std::holds_alternative<llm::MoeOp>(op.shape); }

// Guesses are checked as so many more tokens of the batch.
double largest_batch(const DeploymentSpec& d) {
  return std::max(d.batching.max_sequences, 1) * (1.0 + d.speculation.guesses());
}
double largest_chunk(const DeploymentSpec& d) { return std::max(d.batching.max_tokens, 1); }
// A decode batch is padded to the next captured graph, and a step may hold both kinds of work.
double largest_step(const DeploymentSpec& d) {
  return 2.0 * std::max(largest_chunk(d), largest_batch(d)) + 64.0;
}
double streams(const DeploymentSpec& d) { return d.layout.data_attention * d.layout.pipeline; }

}  // namespace

std::shared_ptr<const KernelSet> make_kernels(
    const hardware::NodeSpec& node, const EngineSpec& engine,
    const std::shared_ptr<const kernels::Calibration>& calibration) {
  auto set = std::make_shared<KernelSet>();
  set->own = std::make_unique<const kernels::KernelModel>(node, engine.tables, calibration);
  set->machine = kernels::machine_of(node);
  set->parameters = kernels::PhysicalParameters::from(calibration->parameters);
  std::map<std::string, std::string> versions;  // the newest of each engine
  const std::string& folder = node.gpu.tables;
  // On a GPU without tables only an engine that borrows another's looks at all of them.
  const bool borrowed = !engine.name.starts_with(engine.tables.engine);
  if (engine.in_situ.kernel_slack > 0 && (borrowed || !folder.empty()))
    for (const auto& table : calibration->tables)
      if ((folder.empty() || table.gpu == folder) && table.engine != engine.tables.engine &&
          table.op != "nccl")
        versions[table.engine] = std::max(versions[table.engine], table.version);
  for (const auto& table : calibration->tables)
    if (table.own_rows > 0)
      set->own_tables.insert(table.gpu + "/" + table.op + "." + table.engine + "-" + table.version);
  for (const auto& [name, version] : versions)
    set->others.emplace_back(node, kernels::EngineVersion{name, version}, calibration);
  return set;
}

StepTables::StepTables(const DeploymentSpec& deployment, std::shared_ptr<const KernelSet> kernels)
    : deployment_(deployment),
      kernels_(std::move(kernels)),
      token_axis_(largest_step(deployment)),
      group_axis_(largest_step(deployment) * streams(deployment)),
      batch_axis_(2.0 * largest_batch(deployment)),
      chunk_axis_(largest_chunk(deployment)),
      context_axis_(2.0 * deployment.model.max_positions + 2.0),
      prior_axis_(deployment.model.max_positions + kPriorShift),
      dense_(token_axis_.size()),
      group_(group_axis_.size()),
      head_(token_axis_.size()),
      decode_(batch_axis_.size() * context_axis_.size()),
      prefill_(chunk_axis_.size() * prior_axis_.size()),
      experts_{
          {LazyCellsOf<RawCell>(group_axis_.size()), LazyCellsOf<RawCell>(group_axis_.size())}},
      exchange_{
          {LazyCellsOf<RawCell>(token_axis_.size()), LazyCellsOf<RawCell>(token_axis_.size())}} {}

Cell::Field StepTables::family_of(const llm::OperatorShape& shape) {
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

double StepTables::peak(const llm::OperatorShape& shape) const {
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

// Of the engine's own kernel, or of a better one that it is known to have access to: see
// InSitu::kernel_slack.
double StepTables::seconds(const llm::OperatorShape& shape) const {
  const auto own = kernels_->own->time(shape);
  double least = own.seconds;
  if (std::holds_alternative<llm::CollectiveOp>(shape) ||
      std::holds_alternative<llm::ExpertExchangeOp>(shape) ||
      std::holds_alternative<llm::ElementwiseOp>(shape) ||
      kernels_->own_tables.contains(own.source))
    return least;
  // Of the same GPU; of a GPU without tables, on the relative whose tables stand in for it.
  const std::string& gpu = deployment_.node.gpu.tables;
  const std::string folder =
      gpu.empty() ? own.source.substr(0, own.source.find('/') + 1) : gpu + "/";
  if (folder.empty()) return least;
  const InSitu& factors = deployment_.engine.in_situ;
  const auto* prompt = std::get_if<llm::MlaPrefillOp>(&shape);
  const bool nothing_cached = prompt != nullptr && prompt->context == 0;
  const double slack =
      nothing_cached && factors.prompt_slack > 0 ? factors.prompt_slack : factors.kernel_slack;
  for (const auto& other : kernels_->others) {
    const auto time = other.time(shape);
    if (time.source.starts_with(folder)) least = std::min(least, slack * time.seconds);
  }
  return least;
}

// What a product spends on bringing its input into blocks of a narrow format. Tables time it with
// the product; in an engine it is a kernel of its own, which fusion does not take away. Where one
// scale serves a whole tensor, the norm or activation before writes the narrow format itself.
double StepTables::quantise_seconds(const llm::OperatorShape& shape) const {
  const auto* gemm = std::get_if<llm::GemmOp>(&shape);
  if (gemm == nullptr ||
      (gemm->format != llm::WeightFormat::fp8_block && gemm->format != llm::WeightFormat::nvfp4))
    return 0.0;
  const double values = static_cast<double>(gemm->m) * static_cast<double>(gemm->k);
  return seconds(llm::ElementwiseOp{values * (2.0 + llm::bytes_per_weight(gemm->format)), 1});
}

RawCell StepTables::sum(const std::vector<llm::Operator>& operators) const {
  const auto& gpu = deployment_.node.gpu;
  RawCell cell;
  const auto add = [&cell](RawCell::Field all, RawCell::Field least, double repeat, double whole_s,
                           double least_s) {
    cell.v[all] += repeat * whole_s;
    cell.v[least] += repeat * std::min(whole_s, least_s);
    cell.v[RawCell::kernels] += repeat;
  };
  for (const auto& op : operators) {
    const double alone = seconds(op.shape);
    const kernels::NetworkPart between =
        kernels::network_part(op.shape, kernels_->machine, kernels_->parameters);
    cell.v[RawCell::network] += op.repeat * std::min(between.added_s, alone);
    cell.v[RawCell::network_wire] += op.repeat * between.wire_s;
    cell.v[RawCell::network_bytes] += op.repeat * between.bytes;
    if (const auto* collective = std::get_if<llm::CollectiveOp>(&op.shape)) {
      const bool inside = gpu.scale_up_bandwidth.value() > 0 && !collective->inter_node &&
                          collective->kind != llm::CollectiveKind::host_copy;
      const double wire = inside ? link_bytes(*collective) / gpu.scale_up_bandwidth.value() : 0.0;
      cell.v[RawCell::communication] += op.repeat * alone;
      cell.v[RawCell::wire] += op.repeat * (inside ? std::min(wire, alone) : alone);
      cell.v[RawCell::collectives] += op.repeat * waits_for_others(*collective);
      cell.v[RawCell::link] += op.repeat * wire;
      continue;
    }
    if (std::holds_alternative<llm::ExpertExchangeOp>(op.shape)) {
      // Measured as engines run it: nothing to correct.
      cell.v[RawCell::communication] += op.repeat * alone;
      cell.v[RawCell::wire] += op.repeat * alone;
      continue;
    }
    if (const auto* moe = std::get_if<llm::MoeOp>(&op.shape); moe && moe->on_host) {
      add(RawCell::experts, RawCell::experts_least, op.repeat, alone, alone);
      continue;
    }
    const double arithmetic = llm::flops(op.shape).value() / peak(op.shape);
    const double memory = seconds_of(llm::bytes_moved(op.shape), gpu.memory_bandwidth);
    cell.v[RawCell::tensor] += op.repeat * arithmetic;
    cell.v[RawCell::memory] += op.repeat * memory;
    const double least = std::max(arithmetic, memory);
    switch (family_of(op.shape)) {
      case Cell::gemm: {
        const double quantise = std::min(quantise_seconds(op.shape), std::max(0.0, alone - least));
        add(RawCell::gemm, RawCell::gemm_least, op.repeat, alone - quantise, least);
        if (quantise > 0.0) {
          cell.v[RawCell::elementwise] += op.repeat * quantise;
          cell.v[RawCell::elementwise_kernels] += op.repeat;
        }
        break;
      }
      case Cell::attention:
        add(RawCell::attention, RawCell::attention_least, op.repeat, alone, least);
        break;
      case Cell::experts:
        add(RawCell::experts, RawCell::experts_least, op.repeat, alone, least);
        break;
      default:
        cell.v[RawCell::elementwise] += op.repeat * alone;
        cell.v[RawCell::elementwise_kernels] +=
            op.repeat * std::get<llm::ElementwiseOp>(op.shape).kernels;
    }
  }
  return cell;
}

std::vector<llm::Operator> StepTables::dense_operators(std::int64_t tokens,
                                                       std::int64_t group) const {
  const auto& d = deployment_;
  auto operators =
      llm::dense_operators(d.model, d.layout, d.precision, tokens, 0, group, d.expert_skew);
  auto communication = llm::communication_operators(d.model, d.layout, d.precision, tokens);
  const double row_bytes = 2.0 * d.model.hidden * static_cast<double>(tokens);
  const auto& on = d.engine.fused_norm_on;
  const bool fuses = on.empty() || std::ranges::find(on, d.node.gpu.architecture) != on.end();
  if (d.layout.tensor > 1 && fuses && row_bytes <= d.engine.fused_norm_reduce.value())
    for (auto& op : operators)
      if (op.name == "add_norm") op.repeat = 1;  // the first; the others follow an all-reduce
  operators.insert(operators.end(), std::make_move_iterator(communication.begin()),
                   std::make_move_iterator(communication.end()));
  return operators;
}

// With several attention ranks the experts see the tokens of all: their part is a table of its own.
RawCell StepTables::fill_dense(std::size_t index) const {
  const int ranks = deployment_.layout.data_attention;
  const auto tokens = std::llround(TokenAxis::node(index));
  auto operators = dense_operators(tokens, tokens * ranks);
  if (ranks > 1 || deployment_.layout.all_to_all) std::erase_if(operators, is_experts);
  if (deployment_.layout.all_to_all) std::erase_if(operators, is_exchange);
  return sum(operators);
}

RawCell StepTables::fill_group(std::size_t index) const {
  const auto group = std::llround(TokenAxis::node(index));
  auto operators = dense_operators(1, group);
  std::erase_if(operators, [](const llm::Operator& op) { return !is_experts(op); });
  return sum(operators);
}

RawCell StepTables::fill_head(std::size_t index) const {
  const auto& d = deployment_;
  const auto rows = std::llround(TokenAxis::node(index));
  return sum(llm::dense_operators(d.model, d.layout, d.precision, 0, rows, 0, d.expert_skew));
}

RawCell StepTables::fill_decode(std::size_t index) const {
  const auto& d = deployment_;
  const auto batch = std::llround(BatchAxis::node(index / context_axis_.size()));
  const double context = ContextAxis::node(index % context_axis_.size());
  return sum(llm::decode_attention_operators(d.model, d.layout, d.precision, batch, context));
}

RawCell StepTables::fill_prefill(std::size_t index) const {
  const auto& d = deployment_;
  const auto tokens = std::llround(BatchAxis::node(index / prior_axis_.size()));
  const auto prior =
      std::llround(std::max(0.0, ContextAxis::node(index % prior_axis_.size()) - kPriorShift));
  const RawCell cost =
      sum(llm::prefill_attention_operators(d.model, d.layout, d.precision, {tokens, prior}));
  RawCell cell;
  cell.add_scaled(cost,
                  1.0 / prefill_weight(static_cast<double>(tokens), static_cast<double>(prior)));
  return cell;
}

const RawCell& StepTables::dense(std::size_t index) const {
  return dense_.at(index, [this](std::size_t i) { return fill_dense(i); });
}
const RawCell& StepTables::group(std::size_t index) const {
  return group_.at(index, [this](std::size_t i) { return fill_group(i); });
}
const RawCell& StepTables::head(std::size_t index) const {
  return head_.at(index, [this](std::size_t i) { return fill_head(i); });
}
const RawCell& StepTables::decode(std::size_t index) const {
  return decode_.at(index, [this](std::size_t i) { return fill_decode(i); });
}
const RawCell& StepTables::prefill(std::size_t index) const {
  return prefill_.at(index, [this](std::size_t i) { return fill_prefill(i); });
}

}  // namespace foretoken::models::serving
