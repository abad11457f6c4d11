#include "validation/calibrate/build_calibration.hpp"

#include <cctype>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/kernels/operator_tables.hpp"
#include "models/kernels/physics.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/calibrate/kernel_csv.hpp"
#include "validation/calibrate/table_words.hpp"
#include "validation/calibrate/validate_kernels.hpp"

namespace foretoken::validation::calibrate {
namespace {

using models::kernels::Calibration;
using models::kernels::Machine;
using models::kernels::Table;

// Every so many rows are predicted to find the errors that the file states; thousands a family are
// left.
constexpr std::size_t kErrorStride = 5;

// Removes the rows that beat the limit of arithmetic, memory or wire.
std::optional<SetAside> remove_impossible(Table& table, const Machine& machine) {
  const models::kernels::RowReader reader(table);
  if (!reader.understood()) return std::nullopt;
  SetAside aside{table_name(table), 0, 0, {}};
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < reader.size(); ++i) {
    const auto row = reader.row(i);
    const double least =
        row ? models::kernels::least_seconds(row->shape, row->variant, machine) : 0.0;
    if (!row || row->seconds >= least) {
      kept.push_back(i);
      continue;
    }
    ++aside.rows;
    if (const double ratio = least / row->seconds; ratio > aside.worst_ratio) {
      aside.worst_ratio = ratio;
      aside.worst_row = row_in_words(table, i);
    }
  }
  if (aside.rows == 0) return std::nullopt;
  const auto keep = [&](std::vector<float>& values) {
    std::vector<float> left;
    left.reserve(kept.size());
    for (const std::size_t i : kept) left.push_back(values[i]);
    values = std::move(left);
  };
  for (auto& column : table.values) keep(column);
  keep(table.seconds);
  return aside;
}

std::string plain(const std::string& name) {
  std::string letters;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters;
}

}  // namespace

TableGpus table_gpus(const scenarios::loader::Catalogue& catalogue) {
  TableGpus gpus;
  for (const auto& entry : scenarios::loader::list_cards("gpu", catalogue)) {
    const auto loaded = scenarios::loader::load_gpu(entry.name, catalogue);
    const auto& spec = loaded.card.spec;
    if (!spec.tables.empty()) gpus.emplace(spec.tables, models::kernels::machine_of(spec));
    gpus.emplace(plain(entry.name), models::kernels::machine_of(spec));
  }
  return gpus;
}

Calibration read_measurements(const std::filesystem::path& folder, const TableGpus& gpus,
                              CalibrationReport& report) {
  Calibration calibration;
  std::string hashes;
  std::set<std::string> unknown;
  for (const KernelFile& file : find_kernel_files(folder, report.diagnostics)) {
    auto gpu = gpus.find(file.gpu);
    if (gpu == gpus.end()) gpu = gpus.find(plain(file.gpu));
    if (gpu == gpus.end()) {
      ++report.refused;
      if (unknown.insert(file.gpu).second)
        report.diagnostics.push_back(
            {(folder / file.gpu).string(),
             0,
             0,
             "no GPU card has this name or names this folder by 'tables'; its files are "
             "left out",
             {},
             false});
      continue;
    }
    KernelTables read = read_kernel_file(file, report.diagnostics);
    if (read.tables.empty()) {
      ++report.refused;
      continue;
    }
    ++report.files;
    report.rows += read.rows;
    hashes += file.gpu + "/" + file.path.filename().string() + " " + read.bytes_hash + "\n";
    models::kernels::store_machine(file.gpu, gpu->second, calibration.parameters);
    for (Table& table : read.tables) {
      if (auto aside = remove_impossible(table, gpu->second))
        report.set_aside.push_back(std::move(*aside));
      report.keys += table.seconds.size();
      if (!table.seconds.empty()) calibration.tables.push_back(std::move(table));
    }
  }
  calibration.source_hash = scenarios::loader::hash_text(hashes);
  return calibration;
}

namespace {

// The figures a KernelModel states for its operators, as shares: a measured one was inside a known
// key, a calibrated one outside, an analytical one on a GPU that was never measured.
void store_errors(Calibration& calibration, std::size_t stride) {
  const auto per_family = [](const KernelValidation& validation, const auto& visit) {
    for (const KernelGroup& group : validation.groups)
      if (group.key.size() == 1 && group.key.contains("operator") && group.n > 0)
        visit(group.key.at("operator"), group);
  };
  std::map<std::string, double> found;
  KernelValidationOptions options;
  options.stride = stride;
  per_family(validate_kernels(calibration, calibration, options),
             [&](const std::string& family, const KernelGroup& group) {
               found["error/" + family + "/calibrated"] = group.latency.mape / 100.0;
               if (group.latency_interpolate)
                 found["error/" + family + "/measured"] = group.latency_interpolate->mape / 100.0;
             });
  std::set<std::string> gpus;
  for (const Table& table : calibration.tables) gpus.insert(table.gpu);
  std::map<std::string, std::vector<double>> blind;
  for (const std::string& gpu : gpus) {
    if (gpus.size() < 2) break;
    options.leave_out_gpu = gpu;
    per_family(validate_kernels(calibration, calibration, options),
               [&](const std::string& family, const KernelGroup& group) {
                 blind[family].push_back(group.latency.mape / 100.0);
               });
  }
  for (const auto& [family, errors] : blind)
    found["error/" + family + "/analytical"] =
        std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(errors.size());
  calibration.parameters.insert(found.begin(), found.end());
}

}  // namespace

CalibrationReport build_calibration(const std::filesystem::path& folder,
                                    const std::filesystem::path& out,
                                    const scenarios::loader::Catalogue& catalogue) {
  CalibrationReport report;
  Calibration calibration = read_measurements(folder, table_gpus(catalogue), report);
  if (calibration.tables.empty()) {
    report.diagnostics.push_back(
        {folder.string(), 0, 0, "holds no usable GPU/OPERATOR.ENGINE-VERSION.csv[.gz]", {}, false});
    throw sim::core::InputError(report.diagnostics);
  }
  models::kernels::PhysicalParameters{}.store(calibration.parameters);
  store_errors(calibration, kErrorStride);
  scenarios::loader::write_calibration(out, calibration);
  return report;
}

}  // namespace foretoken::validation::calibrate
