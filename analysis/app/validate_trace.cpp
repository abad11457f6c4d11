// foretoken validate trace: a profiler's trace beside what the models predict for it.
#include "validation/importers/validate_trace.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"

namespace foretoken::analysis::app {
namespace {

namespace importers = validation::importers;
using importers::TraceReport;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate trace FILE [options]";
  page.about =
      "Reads a PyTorch profiler trace (.json[.gz]), an Nsight Systems export (.sqlite) or a table "
      "of\n"
      "kernels (.csv[.gz]); predicts each class of kernels, and each matrix product and "
      "collective\n"
      "whose shape was recorded, and prints it beside the measured time.\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"gpu", "CARD", "GPU that ran it, e.g. h800-sxm (default: as the trace says)"},
      {"json", "", "as JSON"},
  };
  return page;
}

template <class T>
Json optional(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json rows_json(const std::vector<importers::ShapeRow>& rows) {
  Json json = Json::array();
  for (const auto& row : rows) {
    json.push_back({{"name", row.name},
                    {"shape", row.shape},
                    {"n", row.n},
                    {"measured_us", row.measured_us},
                    {"predicted_us", optional(row.predicted_us)}});
  }
  return json;
}

// Time of the classes that were predicted, as measured and as predicted.
std::pair<double, double> predicted_part(const TraceReport& report) {
  std::pair<double, double> sum{0.0, 0.0};
  for (const auto& row : report.classes) {
    if (!row.predicted_us) continue;
    sum.first += row.measured_us;
    sum.second += *row.predicted_us;
  }
  return sum;
}

Json to_json(const TraceReport& report) {
  Json classes = Json::array(), streams = Json::array();
  for (const auto& row : report.classes) {
    classes.push_back({{"class", row.kernel_class},
                       {"n", row.n},
                       {"measured_us", row.measured_us},
                       {"predicted_us", optional(row.predicted_us)},
                       {"summed_us", row.summed_us},
                       {"expected_n", optional(row.expected_n)},
                       {"source", row.source}});
  }
  for (const auto& row : report.streams) {
    streams.push_back({{"stream", row.stream}, {"n", row.n}, {"busy_us", row.busy_us}});
  }
  const auto [measured, predicted] = predicted_part(report);
  return {{"trace", report.trace},
          {"gpu", report.gpu},
          {"span_us", {{"measured", report.span_us}, {"predicted", nullptr}}},
          {"predicted_classes_us", {{"measured", measured}, {"predicted", predicted}}},
          {"classes", std::move(classes)},
          {"products", rows_json(report.products)},
          {"collectives", rows_json(report.collectives)},
          {"streams", std::move(streams)},
          {"overlap",
           {{"compute_busy_us", report.overlap.compute_busy_us},
            {"communication_busy_us", report.overlap.communication_busy_us},
            {"overlapped_us", report.overlap.overlapped_us},
            {"exposed_communication_us", report.overlap.exposed_communication_us}}},
          {"notes", report.notes}};
}

std::string compared(const std::string& name, int n, double measured,
                     const std::optional<double>& predicted) {
  std::string text = fmt::format("  {:<44} {:>6} {:>13.1f}", name, n, measured);
  if (predicted && measured > 0) {
    text += fmt::format(" {:>13.1f} {:>+8.1f} %", *predicted, 100 * (*predicted / measured - 1));
  }
  return text + "\n";
}

void print_text(const TraceReport& report) {
  std::cout << fmt::format("{}: {:.1f} ms on {}\n\n  {:<44} {:>6} {:>13} {:>13} {:>10}\n",
                           report.trace, report.span_us * 1e-3,
                           report.gpu.empty() ? "an unknown GPU (name it with --gpu)" : report.gpu,
                           "class", "n", "measured us", "predicted us", "off by");
  for (const auto& row : report.classes) {
    std::cout << compared(row.kernel_class, row.n, row.measured_us, row.predicted_us);
  }
  for (const auto* rows : {&report.products, &report.collectives}) {
    if (!rows->empty()) std::cout << '\n';
    for (const auto& row : *rows) {
      std::cout << compared(row.name + " " + row.shape, row.n, row.measured_us, row.predicted_us);
    }
  }
  const importers::Overlap& o = report.overlap;
  std::cout << fmt::format(
      "\n  compute busy {:.1f} ms, communication {:.1f} ms, both at once {:.1f} ms, exposed "
      "communication {:.1f} ms\n",
      o.compute_busy_us * 1e-3, o.communication_busy_us * 1e-3, o.overlapped_us * 1e-3,
      o.exposed_communication_us * 1e-3);
  for (const std::string& note : report.notes) std::cout << "  note: " << note << '\n';
}

}  // namespace

int validate_trace_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const TraceReport report = importers::validate_trace(
      line->arguments[0], line->has("gpu") ? line->text("gpu") : std::string(),
      scenarios::loader::Catalogue(invocation.home), calibration_file(invocation.home));
  if (line->has("json")) {
    std::cout << to_json(report).dump(2) << '\n';
  } else {
    print_text(report);
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
