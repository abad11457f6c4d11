#pragma once
// Published figures beside predictions, one row a case.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader/scenario.hpp"
#include "validation/cases/case_file.hpp"

namespace foretoken::validation::cases {

struct CaseRow {
  CaseHead head;
  std::optional<double> predicted;
  double error = 0.0;   // percent of measured, or points
  std::string refused;  // why there is no prediction
  // Within the limit; where measured is a gain, also of the right sign.
  [[nodiscard]] bool holds() const;
};

struct CaseOptions {
  std::filesystem::path folder;
  std::filesystem::path calibration;
  std::vector<std::string> only;  // ids of points or of whole files; empty = all
};

// Throws InputError with every problem of every file, and for an id that no file has.
std::vector<CaseRow> run_cases(const scenarios::loader::Catalogue& catalogue,
                               const CaseOptions& options);

}  // namespace foretoken::validation::cases
