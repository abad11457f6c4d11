#pragma once
// What a GPU of a measured server is busy with, from our own steps of that deployment.
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "models/kernels/calibration.hpp"
#include "models/power/gpu_power.hpp"
#include "validation/power/power_rows.hpp"
#include "validation/serving/row_scenario.hpp"

namespace foretoken::validation::power {

struct Utilisation {
  models::hardware::GpuSpec gpu;
  models::power::PowerModel card;
  // Shares of the time that one decode step takes with its part of prompt reading.
  models::power::Activity activity;  // as predicted
  double busy = 0.0;
  double tokens_per_s = 0.0;  // predicted, all GPUs
  // The same with the step as long as was measured.
  models::power::Activity measured_activity;
  double measured_busy = 0.0;
};

class UtilisationReader {
 public:
  UtilisationReader(const scenarios::loader::Catalogue& catalogue,
                    const std::filesystem::path& config_dir, std::filesystem::path calibration);
  // Throws InputError or InfeasibleError with the reason where the row cannot be predicted.
  Utilisation of(const PowerRow& row);

 private:
  serving::RowReader rows_;
  std::filesystem::path calibration_;
  std::map<std::string, std::shared_ptr<const models::kernels::Calibration>> tables_;
};

}  // namespace foretoken::validation::power
