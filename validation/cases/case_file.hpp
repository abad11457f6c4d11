#pragma once
// A published case: a file that says what was measured, by whom, how near a prediction must come,
// and which evaluator predicts it. Everything else in the file belongs to the evaluator.
//
//   case: profile-decode                 # the file's own name
//   quantity: output tokens/s per GPU
//   measured: 2324
//   limit: 8%                            # or `12 points`, where measured is itself a percentage
//   source: {is: "who measured it, where it stands", date: 2025-02}
//   evaluate: step                       # see evaluators.hpp
//   scenario: ../../scenarios/deepseek/profile-decode.yaml
//
// Several measurements of one kind share a file: `points` in place of `measured`, each with its own
// `measured`, a `point` that its name ends in, and the evaluator's keys that tell it apart.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::validation::cases {

struct CaseHead {
  std::string id, quantity, evaluator, source, date;
  double measured = 0.0;
  double limit = 0.0;   // percent of measured, or percentage points
  bool points = false;  // measured is a percentage: the error is a difference, and signs must agree
};

// Reads the keys that every case has; problems are noted in `file`. Where it has points, measured
// is theirs.
CaseHead read_case_head(const scenarios::loader::YamlFile& file, const std::filesystem::path& path);

struct CasePoint {
  CaseHead head;
  std::optional<scenarios::loader::YamlNode> keys;  // its own; none where the file is one case
};
// One for each of the file's points, or the file's only one.
std::vector<CasePoint> read_points(const scenarios::loader::YamlFile& file, const CaseHead& head);

// Every .yaml of the folder, by name. Throws InputError if there is none.
std::vector<std::filesystem::path> case_files(const std::filesystem::path& folder);

}  // namespace foretoken::validation::cases
