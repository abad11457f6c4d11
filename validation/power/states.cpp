#include "validation/power/states.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/power/gpu_power.hpp"
#include "scenarios/loader/cards.hpp"
#include "validation/training/csv.hpp"

namespace foretoken::validation::power {
namespace {

namespace fs = std::filesystem;
using models::power::Activity;
using training::Csv;

constexpr std::string_view kEnding = "-states.csv";
constexpr double kMilli = 1e-3, kGiga = 1e9, kTera = 1e12;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string reason_against(const StateRow& row) {
  if (contains(row.state, "pauses")) return "how long it was busy is not recorded";
  if (contains(row.state, "host")) return "copy engines work, no kernel runs";
  if (contains(row.state, "no context")) return "no engine is loaded";
  return {};
}

double predict(const scenarios::loader::GpuCard& card, const Csv& csv, const Csv::Line& line,
               const StateRow& row) {
  const auto& gpu = card.spec;
  if (row.kind == "idle") return models::power::gpu_power(gpu, card.power, {}, 0.0).value();
  const double seconds = csv.required(line, "ms") * kMilli;
  const auto format = models::hardware::parse_dtype(csv.text(line, "format"));
  Activity activity;
  if (format && gpu.peak.contains(*format))
    activity.tensor = std::min(
        1.0, csv.number(line, "tflop", 0) * kTera / seconds / gpu.peak.at(*format).value());
  // Blank: caches and intermediates decide; nothing is assumed.
  activity.memory =
      std::min(1.0, csv.number(line, "gbyte", 0) * kGiga / seconds / gpu.memory_bandwidth.value());
  return models::power::gpu_power(gpu, card.power, activity, 1.0).value();
}

}  // namespace

std::vector<StateRow> validate_states(const scenarios::loader::Catalogue& catalogue,
                                      const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    if (name.size() > kEnding.size() && name.ends_with(kEnding)) files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<StateRow> rows;
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    const std::string gpu = name.substr(0, name.size() - kEnding.size());
    const auto card = scenarios::loader::load_gpu(gpu, catalogue).card;
    const Csv csv = training::read_csv(file);
    for (const auto& line : csv.lines) {
      StateRow row{
          gpu, csv.text(line, "state"), csv.text(line, "kind"), csv.required(line, "watts"), {},
          {}};
      row.refused = reason_against(row);
      if (row.refused.empty()) row.predicted_w = predict(card, csv, line, row);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace foretoken::validation::power
