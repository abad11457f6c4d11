#include "validation/importers/validate_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "sim/core/error.hpp"
#include "validation/importers/description.hpp"
#include "validation/importers/predict.hpp"

namespace foretoken::validation::importers {
namespace {

namespace loader = scenarios::loader;

// Products whose shapes were recorded form a class of their own, whatever kernels they launched.
constexpr const char* kProducts = "gemm of recorded shape";
constexpr const char* kAttention = "attention of recorded shape";

struct Group {
  std::vector<Interval> intervals;
  int n = 0;
  double summed_us = 0;
  void add(const Kernel& kernel) {
    intervals.push_back({kernel.start_us, kernel.end_us()});
    ++n;
    summed_us += kernel.duration_us;
  }
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string shape_text(const Product& p, Arithmetic arithmetic) {
  const char* format = arithmetic == Arithmetic::fp8    ? "FP8"
                       : arithmetic == Arithmetic::bf16 ? "16-bit"
                       : arithmetic == Arithmetic::tf32 ? "TF32"
                                                        : "FP32";
  return fmt::format("{}{} x {} x {} {}", p.batch > 1 ? fmt::format("{} of ", p.batch) : "", p.m,
                     p.n, p.k, format);
}

std::vector<ShapeRow> product_rows(const Trace& trace, const std::vector<Launched>& launched,
                                   const Predictor* predictor) {
  std::map<std::pair<std::string, std::string>, ShapeRow> rows;
  for (std::size_t i = 0; i < launched.size(); ++i) {
    const Launched& op = launched[i];
    if (!op.found || !op.product) continue;
    const Arithmetic arithmetic = arithmetic_of(op);
    const std::string shape = shape_text(*op.product, arithmetic);
    ShapeRow& row = rows[{trace.ops[i].name, shape}];
    row.name = trace.ops[i].name;
    row.shape = shape;
    row.n += 1;
    row.measured_us += op.measured_us;
    if (predictor != nullptr)
      row.predicted_us =
          row.predicted_us.value_or(0) + predictor->product_us(*op.product, arithmetic);
  }
  std::vector<ShapeRow> result;
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  std::stable_sort(result.begin(), result.end(), [](const ShapeRow& a, const ShapeRow& b) {
    return a.measured_us > b.measured_us;
  });
  return result;
}

std::string shape_text(const Attention& a) {
  return fmt::format("{} x {} tokens, {} keys, {} heads ({} KV) of {}{}", a.batch, a.tokens, a.keys,
                     a.heads, a.kv_heads, a.head_dim, a.causal ? "" : ", no mask");
}

std::vector<ShapeRow> attention_rows(const Trace& trace, const std::vector<Launched>& launched,
                                     const Predictor* predictor) {
  std::map<std::string, ShapeRow> rows;
  for (std::size_t i = 0; i < launched.size(); ++i) {
    const Launched& op = launched[i];
    if (!op.found || !op.attention) continue;
    const std::string shape = shape_text(*op.attention);
    ShapeRow& row = rows[shape];
    row.name = trace.ops[i].name;
    row.shape = shape;
    row.n += 1;
    row.measured_us += op.measured_us;
    if (predictor != nullptr)
      row.predicted_us = row.predicted_us.value_or(0) + predictor->attention_us(*op.attention);
  }
  std::vector<ShapeRow> result;
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  return result;
}

// Calls of one size together. A rank's kernel runs from its own start to the end of the slowest
// rank's: the shortest call waited least, and the wire's time is at most that.
std::vector<ShapeRow> collective_rows(const Trace& trace, const Predictor* predictor) {
  std::vector<ShapeRow> rows;
  for (const Kernel& kernel : trace.kernels) {
    if (!kernel.message) continue;
    const Message& message = *kernel.message;
    const std::string shape =
        fmt::format("{} {} among {}", message.elements, message.dtype, message.group);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const ShapeRow& r) {
      return r.name == message.collective && r.shape == shape;
    });
    if (row == rows.end()) {
      ShapeRow fresh;
      fresh.name = message.collective;
      fresh.shape = shape;
      fresh.measured_us = fresh.longest_us = kernel.duration_us;
      if (predictor != nullptr) fresh.predicted_us = predictor->message_us(message);
      rows.push_back(std::move(fresh));
      row = rows.end() - 1;
    }
    row->n += 1;
    row->measured_us = std::min(row->measured_us, kernel.duration_us);
    row->longest_us = std::max(row->longest_us, kernel.duration_us);
  }
  return rows;
}

std::vector<StreamRow> stream_rows(const Trace& trace) {
  std::map<std::int64_t, Group> groups;
  for (const Kernel& kernel : trace.kernels) groups[kernel.stream].add(kernel);
  std::vector<StreamRow> rows;
  for (auto& [stream, group] : groups)
    rows.push_back({stream, group.n, length(merged(std::move(group.intervals)))});
  return rows;
}

Overlap overlap_of(const Trace& trace) {
  std::vector<Interval> compute, communication;
  for (const Kernel& kernel : trace.kernels) {
    if (kernel.kind != Kernel::Kind::kernel) continue;
    (is_communication(class_of(kernel)) ? communication : compute)
        .push_back({kernel.start_us, kernel.end_us()});
  }
  compute = merged(std::move(compute));
  communication = merged(std::move(communication));
  Overlap overlap;
  overlap.compute_busy_us = length(compute);
  overlap.communication_busy_us = length(communication);
  overlap.overlapped_us = common_length(compute, communication);
  overlap.exposed_communication_us = overlap.communication_busy_us - overlap.overlapped_us;
  return overlap;
}

std::vector<ClassRow> class_rows(const Trace& trace, const std::vector<Launched>& launched) {
  std::map<std::string, Group> groups;
  for (const Kernel& kernel : trace.kernels) {
    const Launched* op = kernel.op >= 0 ? &launched[static_cast<std::size_t>(kernel.op)] : nullptr;
    std::string name = class_of(kernel);
    if (op != nullptr && op->product) name = kProducts;
    if (op != nullptr && op->attention) name = kAttention;
    groups[name].add(kernel);
  }
  std::vector<ClassRow> rows;
  for (auto& [name, group] : groups) {
    ClassRow row;
    row.kernel_class = name;
    row.n = group.n;
    row.summed_us = group.summed_us;
    row.measured_us = length(merged(std::move(group.intervals)));
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ClassRow& a, const ClassRow& b) {
    return a.measured_us > b.measured_us;
  });
  return rows;
}

void set_expected(TraceReport& report, const std::vector<Expected>& expected) {
  for (const Expected& item : expected) {
    const auto row =
        std::find_if(report.classes.begin(), report.classes.end(),
                     [&](const ClassRow& r) { return r.kernel_class == item.kernel_class; });
    if (row == report.classes.end()) {
      report.notes.push_back(fmt::format("the model expects {} kernels of '{}'; the trace has none",
                                         item.n, item.kernel_class));
      continue;
    }
    row->predicted_us = item.us;
    if (item.n > 0) row->expected_n = item.n;
    row->source = item.source;
    if (item.n > 0 && row->n != item.n)
      report.notes.push_back(fmt::format("'{}': {} kernels in the trace, {} by the model",
                                         item.kernel_class, row->n, item.n));
  }
}

// Compute and messages overlap but for the last of 4 messages a layer (DualPipe).
void set_span(TraceReport& report, const TrainingChunk& chunk) {
  double compute = 0, messages = 0;
  for (const ClassRow& row : report.classes)
    (is_communication(row.kernel_class) ? messages : compute) += row.predicted_us.value_or(0);
  report.predicted_compute_us = compute;
  report.predicted_communication_us = messages;
  report.predicted_span_us =
      std::max(compute, messages) + std::min(compute, messages) / (4.0 * chunk.layers);
}

// The sum over operators of recorded shape, onto their class.
void set_sum(TraceReport& report, const std::vector<ShapeRow>& shapes, const char* kernel_class) {
  double sum = 0;
  for (const ShapeRow& row : shapes) sum += row.predicted_us.value_or(0);
  for (ClassRow& row : report.classes)
    if (row.kernel_class == kernel_class && sum > 0) {
      row.predicted_us = sum;
      row.source = "recorded shapes";
    }
}

// GPUs that a node joins by PCIe alone do not use the links that their card would allow.
models::hardware::NodeSpec joined(models::hardware::NodeSpec node) {
  if (node.scale_up == "pcie" || node.scale_up == "none")
    node.gpu.scale_up_bandwidth = models::hardware::BytesPerSecond(0);
  return node;
}

constexpr const char* kWaiting =
    "a collective's kernel runs until the slowest rank has joined: measured is the shortest call "
    "of its size, and a trace of one rank cannot tell the rest of the waiting from the wire; "
    "--node NODE says how the GPUs are joined";

}  // namespace

std::string card_of_device(const std::string& name, double device_memory,
                           const loader::Catalogue& catalogue) {
  const std::string device = lower(name);
  std::string best;
  double best_distance = 0;
  for (const loader::CardEntry& entry : loader::list_cards("gpu", catalogue)) {
    // The chip's name stands first (h800-sxm), after the maker's line of products (rtx-4090).
    std::string chip = entry.name.substr(0, entry.name.find('-'));
    if (chip == "rtx" || chip == "ascend") chip = entry.name.substr(chip.size() + 1);
    if (device.find(chip) == std::string::npos) continue;
    const double memory = loader::load_gpu(entry.name, catalogue).card.spec.memory.value();
    const bool other_form = (entry.name.find("pcie") != std::string::npos) !=
                            (device.find("pcie") != std::string::npos);
    const double distance =
        (device_memory > 0 && memory > 0 ? std::abs(std::log(memory / device_memory)) : 0.0) +
        (other_form ? 0.1 : 0.0);
    if (!best.empty() && distance >= best_distance) continue;
    best = entry.name;
    best_distance = distance;
  }
  return best;
}

TraceReport validate_trace(const std::filesystem::path& file, const std::string& gpu,
                           const std::string& node, const loader::Catalogue& catalogue,
                           const std::filesystem::path& calibration_file) {
  const Trace trace = read_trace(file);
  const auto description = find_description(file, catalogue);
  TraceReport report;
  report.trace = file.string();
  std::optional<models::hardware::NodeSpec> machine;
  if (!node.empty()) machine = loader::load_node(node, catalogue).card.spec;
  if (machine && machine->gpu.processor == models::hardware::Processor::cpu)
    throw sim::core::InputError("node " + node + " has no GPU; name one that has");
  report.gpu = machine        ? machine->gpu.name
               : !gpu.empty() ? gpu
               : description  ? description->gpu
                              : card_of_device(trace.device, trace.device_memory, catalogue);
  for (const Kernel& kernel : trace.kernels)
    report.span_us = std::max(report.span_us, kernel.end_us());
  const std::vector<Launched> launched = launched_operators(trace);
  report.classes = class_rows(trace, launched);
  report.streams = stream_rows(trace);
  report.overlap = overlap_of(trace);
  if (report.gpu.empty()) {
    report.notes.push_back(
        trace.device.empty()
            ? std::string("the trace names no GPU: nothing is predicted; name it with --gpu CARD")
            : fmt::format("no card for '{}': nothing is predicted; name one with --gpu CARD",
                          trace.device));
    report.products = product_rows(trace, launched, nullptr);
    report.attention = attention_rows(trace, launched, nullptr);
    report.collectives = collective_rows(trace, nullptr);
    return report;
  }
  const auto card = machine ? machine->gpu : loader::load_gpu(report.gpu, catalogue).card.spec;
  const auto calibration = loader::read_calibration(calibration_file);
  int group = 1;
  for (const Kernel& kernel : trace.kernels)
    if (kernel.message) group = std::max(group, kernel.message->group);
  // Training frameworks call cuBLAS, which is what vLLM's bf16 products are.
  const models::kernels::EngineVersion engine{"vllm", ""};
  const Predictor predictor = machine ? Predictor(joined(*machine), engine, calibration)
                                      : Predictor(card, group, engine, calibration);
  report.products = product_rows(trace, launched, &predictor);
  report.attention = attention_rows(trace, launched, &predictor);
  report.collectives = collective_rows(trace, &predictor);
  set_sum(report, report.products, kProducts);
  set_sum(report, report.attention, kAttention);
  if (!report.collectives.empty()) report.notes.push_back(kWaiting);
  if (description) {
    set_expected(report, expect_training_chunk(description->chunk, card, calibration));
    set_span(report, description->chunk);
  } else if (report.products.empty() && report.attention.empty() && report.collectives.empty()) {
    report.notes.push_back(
        "no shapes were recorded and no description lies beside the trace: classes and overlap "
        "are reported, nothing is predicted");
  }
  return report;
}

}  // namespace foretoken::validation::importers
