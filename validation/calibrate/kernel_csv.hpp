#pragma once
// Measured operator times as they are published: GPU/OPERATOR.ENGINE-VERSION.csv or .csv.gz.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::calibrate {

struct KernelFile {
  std::filesystem::path path;
  std::string gpu, op, engine, version;
};

// Files of that name pattern below `folder`, by name; others are reported as warnings.
std::vector<KernelFile> find_kernel_files(const std::filesystem::path& folder,
                                          std::vector<sim::core::Diagnostic>& diagnostics);

struct KernelTables {
  std::vector<models::kernels::Table> tables;  // more than one where a row holds several times
  std::size_t rows = 0;                        // data rows of the file
  std::string bytes_hash;                      // of the file as it lies on disk
};

// Rows without a positive finite latency are left out and reported; rows of one key become their
// median, and are reported when they disagree by more than 2x. A file that cannot be read to its
// end, or lacks a column, gives an error and no table.
KernelTables read_kernel_file(const KernelFile& file,
                              std::vector<sim::core::Diagnostic>& diagnostics);

}  // namespace foretoken::validation::calibrate
