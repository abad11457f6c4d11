#pragma once
// Measured training jobs: rows of CSV files, told apart by their header, as jobs that the model can
// predict.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/training/spec.hpp"
#include "scenarios/loader/cards_training.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::validation::training {

inline constexpr int kFolds = 5;

struct Row {
  std::string source;    // stem of the file
  std::string software;  // card
  std::string id;        // file:line and the job in words
  std::string refused;   // why it cannot be predicted; empty = it can
  std::string key;       // model, accelerator, precision, layout: what a fold leaves out
  std::string family;    // model and GPUs: within it layouts are ordered
  int fold = 0;
  bool experts = false;
  bool chunks_unknown = false;          // pipelined, virtual stages left blank
  bool recompute_unknown = false;       // the source does not say: the least that fits
  models::training::TrainingSpec spec;  // with the software's card, full constants
  double step_s = 0;
  std::optional<double> peak_bytes;
};

struct Dataset {
  std::vector<std::string> files;
  std::vector<Row> rows;
  std::map<std::string, scenarios::loader::SoftwareCard> software;
  std::string hash;  // of the files
};

// Every .csv of a folder. Throws InputError where there is none, or one whose header is unknown.
Dataset read_dataset(const std::filesystem::path& folder,
                     const scenarios::loader::Catalogue& catalogue);

// Stable: FNV-1a of the key, modulo kFolds.
int fold_of(const std::string& key);

// The node card whose GPU an accelerator's name means ("a100-sxm-80gb", "H100", "gb300").
std::string node_of_accelerator(const std::string& accelerator,
                                const scenarios::loader::Catalogue& catalogue);

}  // namespace foretoken::validation::training
