#pragma once
// Fits the few constants of a training software on measured steps: least squares of ln(predicted /
// measured), large errors counted less, priors on every constant. The kernels are not asked again.
#include <map>
#include <string>
#include <vector>

#include "models/training/compose.hpp"
#include "scenarios/loader/cards_training.hpp"
#include "validation/training/dataset.hpp"

namespace foretoken::validation::training {

// A row with its work already accounted.
struct Sample {
  const Row* row = nullptr;
  mutable models::training::TrainingSpec spec;  // its constants change from trial to trial
  models::training::StepAccount account;
  double peak_bytes = 0;  // predicted
};

using Constants = std::map<std::string, double>;

// `base`: the card's own constants; what is fitted lies over them.
Constants fit_constants(const std::vector<const Sample*>& samples, const Constants& base,
                        const std::vector<scenarios::loader::FittedConstant>& fitted);

// Step time of a sample under other constants.
double predict(const Sample& sample, const Constants& constants);

}  // namespace foretoken::validation::training
