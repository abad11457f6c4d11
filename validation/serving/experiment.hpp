#pragma once
// One served run, simulated: the scenario of a row through the engine replica, with step tables
// shared by rows of one deployment.
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "models/kernels/calibration.hpp"
#include "models/serving/step_tables.hpp"
#include "validation/serving/row_scenario.hpp"

namespace foretoken::validation::serving {

struct Prediction {
  double ttft_s = 0.0, tpot_s = 0.0;                // means over the requests, as a client sees
  double ttft_median_s = 0.0, tpot_median_s = 0.0;  //
};

// A pure decode step and one prompt alone, by family, before corrections: what fits look at.
struct RowParts {
  models::serving::RawCell decode, prefill;
};

class Laboratory {
 public:
  explicit Laboratory(std::shared_ptr<const models::kernels::Calibration> calibration)
      : calibration_(std::move(calibration)) {}

  // Tables of the deployment, large enough for every row.
  std::shared_ptr<const models::serving::StepTables> tables(
      const models::serving::ServingSpec& spec);
  Prediction run(const models::serving::ServingSpec& spec);
  RowParts parts(const models::serving::ServingSpec& spec);

 private:
  std::shared_ptr<const models::kernels::Calibration> calibration_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const models::serving::KernelSet>> kernels_;
  std::map<std::string, std::shared_ptr<const models::serving::StepTables>> tables_;
};

}  // namespace foretoken::validation::serving
