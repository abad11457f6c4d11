#pragma once
// `foretoken validate training` and `foretoken calibrate training`: measured training jobs beside
// what is predicted for them with constants that never saw their fold.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "validation/calibrate/validate_kernels.hpp"
#include "validation/training/fit.hpp"

namespace foretoken::validation::training {

using calibrate::ErrorFigures;

struct PredictedRow {
  std::string source, id, family;
  bool experts = false;
  double measured_s = 0, predicted_s = 0;
  double baseline_s = 0;  // by one constant MFU a source, its fold left out as well
  std::optional<double> measured_bytes, predicted_bytes;
  models::training::StepTime step;  // with its parts
  const Sample* sample = nullptr;
};

struct SourceResult {
  std::map<std::string, std::string> key;  // source; or source and part
  std::size_t n = 0;
  ErrorFigures step_time;
  std::optional<ErrorFigures> peak_memory;
  double baseline_mape = 0;
  std::optional<double> pairs_right, regret_pct;  // where layouts of a model vary
};

struct TrainingValidation {
  std::string dataset;
  std::size_t rows = 0;
  std::vector<std::pair<std::string, std::string>> refused;  // id, reason
  std::vector<PredictedRow> predicted;
  ErrorFigures step_time;
  std::optional<ErrorFigures> peak_memory;
  std::vector<SourceResult> sources;
};

// Writes a whole file or throws InputError.
void write_text(const std::filesystem::path& file, const std::string& text);

class TrainingStudy {
 public:
  TrainingStudy(Dataset data, std::shared_ptr<const models::kernels::Calibration> calibration);
  // Samples point into the data.
  TrainingStudy(const TrainingStudy&) = delete;
  TrainingStudy& operator=(const TrainingStudy&) = delete;

  [[nodiscard]] const Dataset& data() const { return data_; }
  [[nodiscard]] TrainingValidation validate() const;

  struct Fitted {
    Constants full;
    std::vector<Constants> folds;
    std::map<std::string, double> error;  // of rows by constants without their fold
  };
  // What calibration finds for one software card.
  [[nodiscard]] Fitted fit(const std::string& software) const;

 private:
  [[nodiscard]] std::vector<const Sample*> of_software(const std::string& name, int without) const;
  [[nodiscard]] SourceResult summarise(const std::vector<const PredictedRow*>& rows) const;

  Dataset data_;
  std::vector<Sample> samples_;
  std::vector<std::pair<std::string, std::string>> refused_;
};

}  // namespace foretoken::validation::training
