#include "analysis/estimate.hpp"

#include <algorithm>
#include <map>
#include <variant>

#include "models/kernels/kernel_model.hpp"
#include "models/llm/operators.hpp"
#include "models/serving/step_model.hpp"

namespace foretoken::analysis {
namespace {

namespace llm = models::llm;
namespace hardware = models::hardware;
using models::serving::Cell;
using models::serving::DeploymentSpec;
using models::serving::StepModel;
using models::serving::StepTables;

// Number format in which the matrix units work: weight-only formats are widened first.
hardware::DType arithmetic_of(llm::WeightFormat format) {
  switch (format) {
    case llm::WeightFormat::fp8:
    case llm::WeightFormat::fp8_block:
      return hardware::DType::fp8;
    case llm::WeightFormat::nvfp4:
      return hardware::DType::fp4;
    case llm::WeightFormat::fp16:
      return hardware::DType::fp16;
    case llm::WeightFormat::bf16:
    case llm::WeightFormat::int8_wo:
    case llm::WeightFormat::int4_wo:
    case llm::WeightFormat::mxfp4:
      return hardware::DType::bf16;
  }
  return hardware::DType::bf16;
}

hardware::DType arithmetic_of(const llm::OperatorShape& shape) {
  if (const auto* gemm = std::get_if<llm::GemmOp>(&shape)) return arithmetic_of(gemm->format);
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape)) return arithmetic_of(moe->format);
  if (const auto* bmm = std::get_if<llm::MlaBmmOp>(&shape)) return arithmetic_of(bmm->format);
  return hardware::DType::bf16;
}

// Dense peak of a format, of 16 bits, or else fp32, where there are no units for it; 0 = the card
// gives none.
double peak_flops(const hardware::GpuSpec& gpu, hardware::DType dtype) {
  for (const hardware::DType candidate :
       {dtype, hardware::DType::bf16, hardware::DType::fp16, hardware::DType::fp32}) {
    if (const auto found = gpu.peak.find(candidate); found != gpu.peak.end()) {
      return found->second.value();
    }
  }
  return 0.0;
}

struct Bounds {
  double arithmetic_s = 0, memory_s = 0, link_s = 0;
  bool off_gpu = false;  // the time of other parts: no part of the GPU's MFU and MBU
};

// Experts in host memory, shared by the sockets.
Bounds host_bounds(const llm::OperatorShape& shape, const hardware::NodeSpec& node) {
  const hardware::GpuSpec socket = hardware::device_of(node.cpu);
  const double sockets = std::max(1, node.sockets);
  const double peak = peak_flops(socket, arithmetic_of(shape));
  Bounds least;
  least.off_gpu = true;
  if (peak > 0) least.arithmetic_s = llm::flops(shape).value() / (sockets * peak);
  const double bandwidth = sockets * socket.memory_bandwidth.value();
  if (bandwidth > 0) least.memory_s = llm::bytes_moved(shape).value() / bandwidth;
  return least;
}

Bounds bounds(const llm::OperatorShape& shape, const hardware::NodeSpec& node) {
  const hardware::GpuSpec& gpu = node.gpu;
  Bounds least;
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape); moe != nullptr && moe->on_host)
    return host_bounds(shape, node);
  if (const auto* collective = std::get_if<llm::CollectiveOp>(&shape)) {
    if (collective->kind == llm::CollectiveKind::host_copy) {
      least.link_s = collective->bytes / gpu.pcie_bandwidth.value();
      return least;
    }
    const double wire = collective->inter_node
                            ? node.nic_bandwidth.value() * node.nics / std::max(node.gpus, 1)
                            : std::max(gpu.scale_up_bandwidth.value(), gpu.pcie_bandwidth.value());
    // A ring moves (n-1)/n of the buffer at least once over each GPU's link.
    const double share = static_cast<double>(collective->gpus - 1) / collective->gpus;
    if (wire > 0) least.link_s = collective->bytes * share / wire;
    return least;
  }
  const double peak = peak_flops(gpu, arithmetic_of(shape));
  if (peak > 0) least.arithmetic_s = llm::flops(shape).value() / peak;
  least.memory_s = llm::bytes_moved(shape).value() / gpu.memory_bandwidth.value();
  return least;
}

// Engines pad the decode batch to a captured CUDA-graph size.
std::int64_t padded(std::int64_t batch, const std::vector<int>& sizes) {
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), batch);
  return size == sizes.end() ? batch : *size;
}

struct Part {
  const char* name;
  std::vector<llm::Operator> operators;
  double times = 1;
};

// Expert ranks that exchange tokens: experts and exchange as steps with or without prompts use
// them.
void exchange_tokens(std::vector<Part>& parts, const StepTables& tables, std::int64_t tokens,
                     std::int64_t group, bool prompts, bool rebalanced) {
  for (Part& part : parts)
    std::erase_if(part.operators, [](const llm::Operator& op) {
      return std::holds_alternative<llm::MoeOp>(op.shape) || op.name == "experts.dispatch" ||
             op.name == "experts.combine";
    });
  const auto kind = prompts ? StepTables::Exchange::normal : StepTables::Exchange::low_latency;
  parts.push_back({"dense", tables.expert_operators(group, kind, rebalanced)});
  parts.push_back({"communication", tables.exchange_operators(tokens, kind)});
}

std::vector<Part> parts_of(const DeploymentSpec& d, const StepShape& shape,
                           const StepTables& tables) {
  const bool decode = shape.kind == StepKind::decode;
  const std::int64_t tokens =
      decode ? padded(shape.batch, d.engine.graph_batches) : shape.batch * shape.tokens;
  std::vector<Part> parts;
  parts.push_back(
      {"dense", llm::dense_operators(d.model, d.layout, d.precision, tokens, shape.batch,
                                     tokens * d.layout.data_attention, d.expert_skew)});
  if (decode) {
    // Each sequence attends to its own new token as well.
    const auto context = static_cast<double>(shape.context + 1);
    parts.push_back({"attention", llm::decode_attention_operators(d.model, d.layout, d.precision,
                                                                  shape.batch, context)});
  } else {
    parts.push_back({"attention",
                     llm::prefill_attention_operators(d.model, d.layout, d.precision,
                                                      {shape.tokens, shape.context}),
                     static_cast<double>(shape.batch)});
  }
  parts.push_back(
      {"communication", llm::communication_operators(d.model, d.layout, d.precision, tokens)});
  if (d.layout.all_to_all)
    exchange_tokens(parts, tables, tokens, tokens * d.layout.data_attention, !decode,
                    d.expert_parallel.rebalanced);
  return parts;
}

// What the step of a simulation costs, by families of operators, with the engine's corrections
// (InSitu), and with what two micro-batches hide of the exchange.
std::map<Cell::Field, double> in_engine(const StepModel& model, const DeploymentSpec& d,
                                        const StepShape& shape, double& host_s) {
  const std::int64_t sequences = shape.batch * d.layout.data_attention;
  const std::vector<llm::Chunk> chunks(
      shape.kind == StepKind::prefill ? static_cast<std::size_t>(sequences) : 0,
      llm::Chunk{shape.tokens, shape.context});
  models::serving::StepInput input;
  input.chunks = chunks;
  input.logits = static_cast<std::int32_t>(sequences);
  if (shape.kind == StepKind::decode) {
    input.decode_batch = static_cast<std::int32_t>(sequences);
    input.decode_context = sequences * (shape.context + 1);
  }
  const auto cost = model.cost(input);
  host_s = cost.host_s;
  return {{Cell::gemm, cost.gemm_s},
          {Cell::attention, cost.attention_s},
          {Cell::experts, cost.experts_s},
          {Cell::communication, cost.communication_s},
          {Cell::elementwise, cost.elementwise_s}};
}

// Operators were timed alone. In the engine each family takes what a simulation's step gives it;
// an operator keeps its share of its family.
void suit_to_engine(StepEstimate& step, const std::vector<Cell::Field>& families,
                    const std::map<Cell::Field, double>& seconds) {
  std::map<Cell::Field, double> alone;
  for (std::size_t i = 0; i < families.size(); ++i) alone[families[i]] += step.operators[i].seconds;
  step.gpu_s = step.relative_error = 0;
  for (std::size_t i = 0; i < families.size(); ++i) {
    OperatorEstimate& row = step.operators[i];
    if (alone[families[i]] > 0) row.seconds *= seconds.at(families[i]) / alone[families[i]];
    step.gpu_s += row.seconds;
    step.relative_error += row.seconds * row.relative_error;
  }
}

void add_totals(StepEstimate& step, const DeploymentSpec& d) {
  step.step_s = step.gpu_s + step.host_s;
  const double new_tokens =
      static_cast<double>(step.shape.batch * step.shape.tokens) * d.layout.data_attention;
  step.tokens_per_s = new_tokens / step.step_s;
  step.tokens_per_s_per_gpu = step.tokens_per_s / d.layout.gpus();
  step.mfu /= step.step_s;
  step.mbu /= step.step_s;
  step.relative_error = step.gpu_s > 0 ? step.relative_error / step.gpu_s : 0.0;
  // Found on whole decode steps of real servers, where the engine's card says so.
  if (step.shape.kind == StepKind::decode && d.engine.served_tpot_error > 0)
    step.relative_error = d.engine.served_tpot_error;
}

}  // namespace

StepEstimate estimate_step(const DeploymentSpec& deployment,
                           std::shared_ptr<const models::kernels::Calibration> calibration,
                           const StepShape& shape) {
  DeploymentSpec reach = deployment;  // of the model's axes
  reach.batching.max_tokens =
      std::max(reach.batching.max_tokens, static_cast<std::int32_t>(shape.batch * shape.tokens));
  reach.batching.max_sequences =
      std::max(reach.batching.max_sequences, static_cast<std::int32_t>(shape.batch));
  const auto tables = std::make_shared<const StepTables>(
      reach, models::serving::make_kernels(reach.node, reach.engine, calibration));
  StepEstimate step;
  step.shape = shape;
  std::vector<Cell::Field> families;
  for (const Part& part : parts_of(deployment, shape, *tables)) {
    for (const llm::Operator& op : part.operators) {
      const auto time = tables->kernels().time(op.shape);
      const Bounds least = bounds(op.shape, deployment.node);
      const double calls = op.repeat * part.times;
      OperatorEstimate row{part.name,
                           op.name,
                           calls,
                           calls * time.seconds,
                           calls * llm::flops(op.shape).value(),
                           calls * llm::bytes_moved(op.shape).value(),
                           calls * std::max({least.arithmetic_s, least.memory_s, least.link_s}),
                           time.provenance,
                           time.relative_error,
                           time.source};
      step.gpu_s += row.seconds;
      if (!least.off_gpu) {
        step.mfu += calls * least.arithmetic_s;
        step.mbu += calls * least.memory_s;
      }
      step.relative_error += row.seconds * row.relative_error;
      if (row.seconds > 0) step.provenance = weakest(step.provenance, row.provenance);
      step.operators.push_back(std::move(row));
      families.push_back(StepTables::family_of(op.shape));
    }
  }
  const auto seconds = in_engine(StepModel(reach, tables), deployment, shape, step.host_s);
  // A pipeline's stages hold other micro-batches meanwhile: this is the way of one through all.
  if (deployment.layout.pipeline == 1 && deployment.speculation.guesses() == 0)
    suit_to_engine(step, families, seconds);
  std::stable_sort(step.operators.begin(), step.operators.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  add_totals(step, deployment);
  return step;
}

}  // namespace foretoken::analysis
