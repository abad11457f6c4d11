#pragma once
// Cards of training software: what a framework does (scenarios/software/NAME.yaml, by hand, with
// sources) and its fitted constants (scenarios/software/constants/NAME.yaml, written by
// `foretoken calibrate training`: one set from every measurement, one for each fold left out).
#include <map>
#include <string>
#include <vector>

#include "models/training/spec.hpp"
#include "scenarios/loader/cards.hpp"

namespace foretoken::scenarios::loader {

// A constant that calibration may move. ln(value) ~ normal(ln(prior), spread): with few
// measurements it stays near its prior.
struct FittedConstant {
  std::string name;
  double prior = 1.0, spread = 0.1;
  double least = 0.0, most = 1e9;
  std::string by;           // empty; "gpu", "gpu_arithmetic" or "release": special values too
  double by_spread = 0.05;  // ln distance of special values from the common one
};

struct SoftwareCard {
  std::string summary;
  models::training::Software software;  // constants: the full set over the card's own
  std::vector<FittedConstant> fitted;
  std::vector<std::map<std::string, double>> folds;  // full constants with a fold left out
  std::map<std::string, std::string> sources;
};

Loaded<SoftwareCard> load_training_software(const std::string& name, const Catalogue& catalogue,
                                            const std::filesystem::path& base = {});

// The text of a constants card. Same figures, same bytes.
std::string constants_card(const std::string& name, const std::string& data_hash,
                           const std::map<std::string, double>& full,
                           const std::vector<std::map<std::string, double>>& folds,
                           const std::map<std::string, double>& error);
std::filesystem::path constants_file(const Catalogue& catalogue, const std::string& name);

}  // namespace foretoken::scenarios::loader
