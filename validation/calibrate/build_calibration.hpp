#pragma once
// Measurements -> calibration file: `foretoken calibrate`.
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "models/kernels/machine.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
class Catalogue;
}

namespace foretoken::validation::calibrate {

// Rows set aside because they beat a physical peak of their GPU.
struct SetAside {
  std::string table;  // GPU/OPERATOR.ENGINE-VERSION
  std::size_t rows = 0;
  double worst_ratio = 0;  // of the physical limit over the measured time
  std::string worst_row;   // in words
};

struct CalibrationReport {
  std::size_t files = 0;    // used
  std::size_t refused = 0;  // files that could not be used
  std::size_t rows = 0;     // read
  std::size_t keys = 0;     // kept, after duplicates became medians
  std::vector<SetAside> set_aside;
  std::vector<sim::core::Diagnostic> diagnostics;
  [[nodiscard]] bool ok() const { return refused == 0; }
};

// Folder name of measured tables -> the GPU they were measured on.
using TableGpus = std::map<std::string, models::kernels::Machine>;

// From the cards of the catalogue: by the folder that a card names, and by its own name in plain
// letters ("h100pcie" for h100-pcie), for tables of others.
TableGpus table_gpus(const scenarios::loader::Catalogue& catalogue);

// Reads a folder laid out GPU/OPERATOR.ENGINE-VERSION.csv[.gz]. Tables of GPUs that are not among
// `gpus` are refused: without the card no row can be checked against a physical peak.
models::kernels::Calibration read_measurements(const std::filesystem::path& folder,
                                               const TableGpus& gpus, CalibrationReport& report);

// The same, written to `out`. Throws InputError where nothing usable was found.
CalibrationReport build_calibration(const std::filesystem::path& folder,
                                    const std::filesystem::path& out,
                                    const scenarios::loader::Catalogue& catalogue);

}  // namespace foretoken::validation::calibrate
