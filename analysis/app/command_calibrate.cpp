// foretoken calibrate: measurements -> calibration file.
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/build_calibration.hpp"
#include "validation/importers/measured_rows.hpp"
#include "validation/importers/validate_trace.hpp"
#include "validation/serving/fit_serving.hpp"

namespace foretoken::analysis::app {
namespace {

namespace calibrate = validation::calibrate;
namespace importers = validation::importers;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

CommandPage calibrate_page() {
  CommandPage page;
  page.synopsis = "calibrate [FOLDER | FILE...] [options]";
  page.about =
      "Builds the calibration file from measured operator times, laid out as\n"
      "GPU/OPERATOR.ENGINE-VERSION.csv or .csv.gz. Without FOLDER: the product's own "
      "measurements,\n"
      "into the file that every run reads. The same measurements give the same bytes.\n"
      "\n"
      "FILEs are measurements of your own: PyTorch profiler (Kineto) traces with shapes, .json or\n"
      ".json.gz; Nsight Systems exports, .sqlite, of runs that announced shapes (emit_nvtx with\n"
      "record_shapes); output of nccl-tests, text or JSON; or CSVs named "
      "OPERATOR.ENGINE-VERSION.csv.\n"
      "A scenario uses the result beside the product's own: calibration: mine.h5\n"
      "'calibrate serving' fits engines to runs of real servers, 'calibrate training' training\n"
      "software to real jobs.\n";
  page.examples =
      "  foretoken calibrate\n"
      "  foretoken calibrate my-measurements --out mine.h5\n"
      "  foretoken calibrate all_reduce_perf.txt step.pt.trace.json.gz --gpu h100-sxm \\\n"
      "    --engine vllm-0.19.0 --out mine.h5\n"
      "  foretoken estimate my.yaml --set calibration=mine.h5\n"
      "  foretoken calibrate serving\n"
      "  foretoken calibrate training\n";
  page.max_arguments = -1;
  page.options = {
      {"out,o", "FILE", "file to write (default: the product's, if FOLDER is left out)"},
      {"gpu", "CARD", "GPU that FILEs were measured on (default: the one they name)"},
      {"engine", "NAME-VERSION", "whose kernels the traces show", "vllm-0.19.0"},
      {"operation", "NAME", "of nccl-tests output that does not say it, such as all_reduce"},
      {"rows", "FOLDER", "keep the rows read from FILEs there, as CSV"},
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

// Notes and problems go to stderr, the account to stdout.
int build(const fs::path& folder, const fs::path& out, const Invocation& invocation,
          const std::vector<std::string>& notes, const ParsedLine& line) {
  for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
  const auto report =
      calibrate::build_calibration(folder, out, scenarios::loader::Catalogue(invocation.home));
  bool problems = false;
  for (const auto& diagnostic : report.diagnostics) {
    fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
    problems = problems || !diagnostic.warning;
  }
  line.has("json") ? print_json(report, out) : print_text(report, out);
  return report.ok() && !problems ? kOk : kBadInput;
}

// A folder of this process's own, gone at the end.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "foretoken-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw sim::core::InputError("cannot make a folder in " + fs::temp_directory_path().string());
    }
    path_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Which folder of tables a card's measurements belong to.
std::string table_folder(const std::string& card, const scenarios::loader::Catalogue& catalogue) {
  const auto spec = scenarios::loader::load_gpu(card, catalogue).card.spec;
  return spec.tables.empty() ? spec.name : spec.tables;
}

std::string card_for(const ParsedLine& line, const std::string& file, const std::string& device,
                     double memory, const scenarios::loader::Catalogue& catalogue) {
  if (line.has("gpu")) return line.text("gpu");
  const std::string card =
      device.empty() ? "" : importers::card_of_device(device, memory, catalogue);
  if (card.empty()) {
    throw sim::core::InputError(
        fmt::format("{}: {}; name the card with --gpu", file,
                    device.empty() ? "does not say which GPU it was measured on"
                                   : fmt::format("no card of the catalogue is a '{}'", device)));
  }
  return card;
}

models::kernels::EngineVersion engine_of(const std::string& text) {
  const auto dash = text.find('-');
  if (dash == std::string::npos || dash == 0 || dash + 1 == text.size()) {
    throw UsageError(fmt::format("--engine {}: expected NAME-VERSION, such as vllm-0.19.0", text));
  }
  return {text.substr(0, dash), text.substr(dash + 1)};
}

// Reads one file into `folder`; what is of no use becomes notes.
void convert(const ParsedLine& line, const std::string& file, const fs::path& folder,
             const scenarios::loader::Catalogue& catalogue, std::vector<std::string>& notes) {
  const auto add = [&](const importers::MeasuredRows& rows, const std::string& card) {
    importers::write_rows(rows, table_folder(card, catalogue), folder);
    notes.push_back(fmt::format("{}: {} rows for {}", file, rows.size(), card));
    for (const std::string& note : rows.notes) notes.push_back(fmt::format("{}: {}", file, note));
  };
  if (!fs::is_regular_file(file)) throw sim::core::InputError(file + ": no such file");
  if (file.ends_with(".csv") || file.ends_with(".csv.gz")) {
    if (!line.has("gpu")) {
      throw sim::core::InputError(file +
                                  ": does not say which GPU it was measured on; name the "
                                  "card with --gpu");
    }
    const fs::path place = folder / table_folder(line.text("gpu"), catalogue);
    fs::create_directories(place);
    fs::copy_file(file, place / fs::path(file).filename(), fs::copy_options::overwrite_existing);
  } else if (importers::is_nccl_tests(file)) {
    const auto tests = importers::read_nccl_tests(
        file, line.has("operation") ? line.text("operation") : std::string());
    add(importers::rows_of(tests), card_for(line, file, tests.device, 0.0, catalogue));
  } else {
    const auto trace = importers::read_trace(file);
    add(importers::rows_of(trace, engine_of(line.text("engine"))),
        card_for(line, file, trace.device, trace.device_memory, catalogue));
  }
}

// Files that cannot be read are told; the others are still used.
int calibrate_files(const ParsedLine& line, const Invocation& invocation, const fs::path& out) {
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const Scratch scratch;
  const fs::path folder = line.has("rows") ? fs::path(line.text("rows")) : scratch.path();
  (void)engine_of(line.text("engine"));
  std::vector<std::string> notes;
  int refused = 0;
  for (const std::string& file : line.arguments) {
    try {
      convert(line, file, folder, catalogue, notes);
    } catch (const sim::core::InputError& error) {
      ++refused;
      for (const auto& diagnostic : error.diagnostics()) {
        fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
      }
    }
  }
  const int code = build(folder, out, invocation, notes, line);
  return refused > 0 ? kBadInput : code;
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
  if (!invocation.args.empty() && invocation.args[0] == "training") {
    Invocation inner = invocation;
    inner.args.erase(inner.args.begin());
    return calibrate_training_command(inner);
  }
  if (!invocation.args.empty() && invocation.args[0] == "serving") {
    Invocation rest = invocation;
    rest.args.erase(rest.args.begin());
    return calibrate_serving(rest);
  }
  const auto line = parse(calibrate_page(), invocation);
  if (!line) return kOk;
  const bool own = !line->arguments.empty();
  if (own && !line->has("out")) {
    throw UsageError(
        "calibrate FOLDER or FILE needs --out FILE: the product's own file is left alone");
  }
  const fs::path out =
      line->has("out") ? fs::path(line->text("out")) : calibration_file(invocation.home);
  const bool folder = !own || fs::is_directory(line->arguments[0]);
  if (folder && line->arguments.size() > 1) {
    throw UsageError("calibrate takes one folder, or any number of files");
  }
  if (!folder) return calibrate_files(*line, invocation, out);
  return build(own ? fs::path(line->arguments[0])
                   : invocation.home / "validation" / "measurements" / "kernels",
               out, invocation, {}, *line);
}

}  // namespace foretoken::analysis::app
