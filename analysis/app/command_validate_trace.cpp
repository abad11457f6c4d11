// foretoken validate trace: kernels of a profiler's trace, predicted against measured.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "validation/importers/validate_trace.hpp"

namespace foretoken::analysis::app {
namespace {

namespace importers = validation::importers;
using Json = nlohmann::ordered_json;

CommandPage validate_trace_page() {
  CommandPage page;
  page.synopsis = "validate trace FILE [options]";
  page.about =
      "FILE is a PyTorch profiler (Kineto) trace, .json or .json.gz, a Nsight Systems export,\n"
      ".sqlite, or a table of kernels, .csv or .csv.gz. Kernels are sorted into classes; where\n"
      "shapes or message sizes were recorded, or NAME.json beside the trace says what ran, they\n"
      "are predicted for the GPU. Measured is the time during which a class's kernels ran:\n"
      "kernels of two streams at once count once.\n";
  page.examples =
      "  foretoken validate trace "
      "validation/measurements/traces/deepseek-v3-train-h800.csv.gz\n"
      "  foretoken validate trace my.pt.trace.json.gz --gpu a100-40gb-sxm --json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"gpu", "CARD", "GPU to predict for (default: the one the trace names)"},
      {"node", "NODE", "node card instead: its GPU, and how its GPUs are joined"},
      {"detail", "", "every recorded shape and message, not only the largest"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json shapes_json(const std::vector<importers::ShapeRow>& rows) {
  Json json = Json::array();
  for (const auto& row : rows) {
    json.push_back({{"operator", row.name},
                    {"shape", row.shape},
                    {"n", row.n},
                    {"measured_us", row.measured_us},
                    {"predicted_us", number_or_null(row.predicted_us)}});
    if (row.longest_us > 0) json.back()["longest_us"] = row.longest_us;
  }
  return json;
}

Json report_json(const importers::TraceReport& report) {
  Json json = {
      {"trace", report.trace},
      {"gpu", report.gpu.empty() ? Json(nullptr) : Json(report.gpu)},
      {"span_us",
       {{"measured", report.span_us}, {"predicted", number_or_null(report.predicted_span_us)}}},
      {"classes", Json::array()}};
  for (const auto& row : report.classes) {
    Json item = {{"class", row.kernel_class},
                 {"n", row.n},
                 {"measured_us", row.measured_us},
                 {"predicted_us", number_or_null(row.predicted_us)},
                 {"summed_us", row.summed_us}};
    if (row.expected_n) item["expected_n"] = *row.expected_n;
    if (!row.source.empty()) item["source"] = row.source;
    json["classes"].push_back(std::move(item));
  }
  json["overlap"] = {{"compute_busy_us", report.overlap.compute_busy_us},
                     {"communication_busy_us", report.overlap.communication_busy_us},
                     {"overlapped_us", report.overlap.overlapped_us},
                     {"exposed_communication_us", report.overlap.exposed_communication_us}};
  json["streams"] = Json::array();
  for (const auto& row : report.streams)
    json["streams"].push_back({{"stream", row.stream}, {"n", row.n}, {"busy_us", row.busy_us}});
  json["products"] = shapes_json(report.products);
  json["attention"] = shapes_json(report.attention);
  json["collectives"] = shapes_json(report.collectives);
  json["notes"] = report.notes;
  return json;
}

std::string compared(double measured, const std::optional<double>& predicted) {
  if (!predicted || measured <= 0) return fmt::format("{:>12} {:>8}", "-", "");
  return fmt::format("{:>12.1f} {:>+7.1f}%", *predicted, 100 * (*predicted / measured - 1));
}

void print_shapes(const char* title, const std::vector<importers::ShapeRow>& rows, bool all) {
  if (rows.empty()) return;
  constexpr std::size_t kShown = 12;
  const std::size_t shown = all ? rows.size() : std::min(kShown, rows.size());
  std::cout << fmt::format("\n{:<52} {:>6} {:>12} {:>12} {:>8}\n", title, "n", "measured us",
                           "predicted us", "off by");
  for (std::size_t i = 0; i < shown; ++i)
    std::cout << fmt::format("  {:<50} {:>6} {:>12.1f} {}\n", rows[i].name + "  " + rows[i].shape,
                             rows[i].n, rows[i].measured_us,
                             compared(rows[i].measured_us, rows[i].predicted_us));
  if (shown < rows.size())
    std::cout << fmt::format("  ... {} more: --detail\n", rows.size() - shown);
}

void print_text(const importers::TraceReport& report, bool detail) {
  std::cout << fmt::format("{}: {:.1f} ms on {}\n\n", report.trace, report.span_us * 1e-3,
                           report.gpu.empty() ? "an unknown GPU" : report.gpu);
  std::cout << fmt::format("{:<32} {:>6} {:>12} {:>12} {:>8}  {}\n", "class of kernels", "n",
                           "measured us", "predicted us", "off by", "from");
  for (const auto& row : report.classes)
    std::cout << fmt::format("  {:<30} {:>6} {:>12.1f} {}  {}\n", row.kernel_class, row.n,
                             row.measured_us, compared(row.measured_us, row.predicted_us),
                             row.source);
  const auto& overlap = report.overlap;
  if (report.predicted_span_us)
    std::cout << fmt::format(
        "\npredicted: span {:.1f} ms ({:+.1f} %), compute {:.1f} ms, communication {:.1f} ms\n",
        *report.predicted_span_us * 1e-3, 100 * (*report.predicted_span_us / report.span_us - 1),
        *report.predicted_compute_us * 1e-3, *report.predicted_communication_us * 1e-3);
  std::cout << fmt::format(
      "\nbusy: compute {:.1f} ms, communication {:.1f} ms, of which {:.1f} ms behind compute and "
      "{:.1f} ms exposed\n",
      overlap.compute_busy_us * 1e-3, overlap.communication_busy_us * 1e-3,
      overlap.overlapped_us * 1e-3, overlap.exposed_communication_us * 1e-3);
  for (const auto& row : report.streams)
    std::cout << fmt::format("  stream {:<6} {:>6} kernels, busy {:.1f} ms\n", row.stream, row.n,
                             row.busy_us * 1e-3);
  print_shapes("matrix products of recorded shape", report.products, detail);
  print_shapes("attention of recorded shape", report.attention, detail);
  print_shapes("collectives of recorded size, shortest call", report.collectives, detail);
  for (const auto& note : report.notes) std::cout << "\nnote: " << note << '\n';
}

}  // namespace

int validate_trace_command(const Invocation& invocation) {
  const auto line = parse(validate_trace_page(), invocation);
  if (!line) return kOk;
  if (line->has("gpu") && line->has("node")) {
    throw UsageError("--node names its GPU itself: give one of --gpu and --node");
  }
  const auto report = importers::validate_trace(
      line->arguments[0], line->has("gpu") ? line->text("gpu") : std::string(),
      line->has("node") ? line->text("node") : std::string(),
      scenarios::loader::Catalogue(invocation.home), calibration_file(invocation.home));
  if (line->has("json")) {
    std::cout << report_json(report).dump(2) << '\n';
  } else {
    print_text(report, line->has("detail"));
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
