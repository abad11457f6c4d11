#pragma once
// Predicted against measured for runs of real servers: `foretoken validate serving`.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/calibrate/validate_kernels.hpp"
#include "validation/serving/experiment.hpp"
#include "validation/serving/served_rows.hpp"
#include "validation/serving/serving_fit.hpp"

namespace foretoken::validation::serving {

using calibrate::ErrorFigures;

struct PredictedRow {
  ServedRow row;
  int fold = 0;
  std::optional<Prediction> prediction;
  std::string refused;    // why there is none
  std::string set_aside;  // why the row does not count; it is predicted all the same
  std::string protocol;   // how the run is taken to have been made
  std::optional<RowParts> parts;
};

struct Errors {
  ErrorFigures ttft, tpot;
};

struct ServingGroup {
  std::map<std::string, std::string> key;
  std::size_t n = 0;
  Errors own;
  std::optional<Errors> peer;
};

struct ServingValidation {
  std::string dataset;
  std::vector<PredictedRow> rows;  // in the order of the file
  std::size_t predicted = 0;
  Errors own;
  std::optional<Errors> peer;        // over the rows predicted here that the peer predicted as well
  std::vector<ServingGroup> groups;  // by engine, GPU, model, engine and GPU and model, curve
};

struct ServingOptions {
  // `fit` and `set_aside`: see ServingFit and SetAside; `assumptions`: settings on top, for
  // studies.
  std::filesystem::path data, config_dir, fit, set_aside, assumptions;
  std::string only;  // rows whose curve key holds this; empty = all
  bool parts = false;
  unsigned threads = 2;
};

ServingValidation validate_serving(const scenarios::loader::Catalogue& catalogue,
                                   std::shared_ptr<const models::kernels::Calibration> calibration,
                                   const ServingOptions& options);

// predictions.csv: id, predicted and measured TTFT and TPOT, fold or reason of refusal.
void write_predictions(const ServingValidation& validation, const std::filesystem::path& folder);

}  // namespace foretoken::validation::serving
