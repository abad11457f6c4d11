#pragma once
// GPU watts and joules a token, predicted against measured, with the group in question left out of
// the fit.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/power/gpu_power.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/power/power_rows.hpp"

namespace foretoken::validation::power {

struct PowerOptions {
  std::filesystem::path data;        // ml-energy.csv or a file of its shape
  std::filesystem::path own_data;    // what constants are fitted on
  std::filesystem::path prompts;     // prompts.csv
  std::filesystem::path config_dir;  // empty = none
  std::filesystem::path calibration;
};

struct PowerPrediction {
  double watts = 0.0;             // all GPUs, from the predicted step
  double joules_per_token = 0.0;  // given the measured tokens/s
  double end_to_end = 0.0;        // joules a token with the predicted tokens/s
  double tokens_per_s = 0.0;
};

struct PowerRowResult {
  PowerRow row;
  std::optional<PowerPrediction> prediction;
  std::string refused;
};

struct Figures {
  std::size_t n = 0;
  double mape = 0.0, median_ape = 0.0, p95_ape = 0.0, bias = 0.0;
};
Figures figures_of(const std::vector<double>& relative_errors);  // (predicted - measured)/measured

struct PowerErrors {
  Figures watts, joules_per_token, end_to_end, tokens_per_s;
};

struct PowerGroup {
  std::map<std::string, std::string> key;
  PowerErrors errors;
};

struct PowerFit {  // of all rows of an accelerator: what its card should say
  std::string gpu;
  models::power::PowerModel model;
  std::size_t rows = 0;
  double mean_error = 0.0;  // with groups left out
};

struct PowerValidation {
  std::string dataset;
  std::vector<PowerRowResult> rows;
  std::size_t predicted = 0;
  PowerErrors all;
  std::vector<PowerGroup> groups;
  std::vector<PowerFit> fits;
};

PowerValidation validate_power(const scenarios::loader::Catalogue& catalogue,
                               const PowerOptions& options);

}  // namespace foretoken::validation::power
