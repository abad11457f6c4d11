// foretoken calibrate: measurements -> calibration file.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/calibrate/build_calibration.hpp"
#include "validation/serving/fit_serving.hpp"

namespace foretoken::analysis::app {
namespace {

namespace calibrate = validation::calibrate;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

CommandPage calibrate_page() {
  CommandPage page;
  page.synopsis = "calibrate [FOLDER] [options]";
  page.about =
      "Builds the calibration file from measured operator times, laid out as\n"
      "GPU/OPERATOR.ENGINE-VERSION.csv or .csv.gz. Without FOLDER: the product's own "
      "measurements,\n"
      "into the file that every run reads. The same measurements give the same bytes.\n"
      "'calibrate serving' fits engines to runs of real servers instead.\n";
  page.examples =
      "  foretoken calibrate\n"
      "  foretoken calibrate my-measurements --out mine.h5\n"
      "  foretoken calibrate serving\n";
  page.max_arguments = 1;
  page.options = {
      {"out,o", "FILE", "file to write (default: the product's, if FOLDER is left out)"},
      {"json", "", "the account as JSON"},
  };
  return page;
}

void print_text(const calibrate::CalibrationReport& report, const fs::path& out) {
  std::cout << fmt::format("{}: {} rows of {} files became {} times; {:.2f} MB\n", out.string(),
                           report.rows, report.files, report.keys,
                           static_cast<double>(fs::file_size(out)) * 1e-6);
  if (report.refused > 0) std::cout << fmt::format("{} files could not be used\n", report.refused);
  for (const auto& aside : report.set_aside) {
    std::cout << fmt::format(
        "set aside: {} rows of {} beat a physical limit, up to {:.1f} times: {}\n", aside.rows,
        aside.table, aside.worst_ratio, aside.worst_row);
  }
}

void print_json(const calibrate::CalibrationReport& report, const fs::path& out) {
  Json aside = Json::array();
  for (const auto& item : report.set_aside) {
    aside.push_back({{"table", item.table},
                     {"rows", item.rows},
                     {"worst_ratio", item.worst_ratio},
                     {"worst_row", item.worst_row}});
  }
  const Json json = {{"file", out.string()},         {"bytes", fs::file_size(out)},
                     {"files", report.files},        {"refused", report.refused},
                     {"rows", report.rows},          {"keys", report.keys},
                     {"set_aside", std::move(aside)}};
  std::cout << json.dump(2) << '\n';
}

CommandPage serving_page() {
  CommandPage page;
  page.synopsis = "calibrate serving [options]";
  page.about =
      "Fits a dozen factors an engine, and how each family of runs was made, to runs of real\n"
      "servers: once from all rows, and once a fold from the rows of the other folds, which is\n"
      "what 'validate serving' predicts with. The same rows give the same bytes.\n";
  page.options = {
      {"data", "FILE", "runs of servers (default: our own)"},
      {"out,o", "FILE", "file to write (default: the product's, without --data)"},
      {"iterations", "N", "Gauss-Newton steps", "3"},
      {"threads", "N", "threads (default: all cores)"},
  };
  return page;
}

int calibrate_serving(const Invocation& invocation) {
  namespace serving = validation::serving;
  const auto line = parse(serving_page(), invocation);
  if (!line) return kOk;
  if (line->has("data") && !line->has("out"))
    throw UsageError("calibrate serving --data needs --out FILE: the product's own is left alone");
  const fs::path folder = invocation.home / "validation/measurements/serving";
  serving::FitOptions options;
  options.data =
      line->has("data") ? fs::path(line->text("data")) : folder / "served-aggregated.csv";
  options.set_aside = folder / "set-aside.csv";
  options.iterations = static_cast<int>(line->integer("iterations", 1, 50));
  options.threads = line->has("threads") ? static_cast<unsigned>(line->integer("threads", 1, 1024))
                                         : std::max(1U, std::thread::hardware_concurrency());
  options.progress = [](const std::string& words) { fmt::print(stderr, "{}\n", words); };
  const auto fit = serving::fit_serving(
      scenarios::loader::Catalogue(invocation.home),
      scenarios::loader::read_calibration(calibration_file(invocation.home)), options);
  const fs::path out = line->has("out") ? fs::path(line->text("out"))
                                        : invocation.home / "validation/serving/serving_fit.json";
  serving::write_serving_fit(out, fit);
  for (const auto& [engine, settings] : fit.all.engines) {
    std::cout << engine << ":";
    for (const auto& [name, value] : settings) std::cout << fmt::format(" {} {:.4g}", name, value);
    std::cout << "\n";
  }
  return kOk;
}

}  // namespace

int calibrate_command(const Invocation& invocation) {
  if (!invocation.args.empty() && invocation.args[0] == "serving") {
    Invocation rest = invocation;
    rest.args.erase(rest.args.begin());
    return calibrate_serving(rest);
  }
  const auto line = parse(calibrate_page(), invocation);
  if (!line) return kOk;
  const bool own = !line->arguments.empty();
  if (own && !line->has("out")) {
    throw UsageError("calibrate FOLDER needs --out FILE: the product's own file is left alone");
  }
  const fs::path folder = own ? fs::path(line->arguments[0])
                              : invocation.home / "validation" / "measurements" / "kernels";
  const fs::path out =
      line->has("out") ? fs::path(line->text("out")) : calibration_file(invocation.home);
  const auto report =
      calibrate::build_calibration(folder, out, scenarios::loader::Catalogue(invocation.home));
  for (const auto& diagnostic : report.diagnostics) {
    fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
  }
  line->has("json") ? print_json(report, out) : print_text(report, out);
  return report.ok() ? kOk : kBadInput;
}

}  // namespace foretoken::analysis::app
