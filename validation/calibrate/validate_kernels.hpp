#pragma once
// Predicted against measured for every row of kernel measurements, with whole keys left out of what
// is learned (DESIGN section 5): `foretoken validate kernels`.
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"

namespace foretoken::validation::calibrate {

inline constexpr int kFolds = 5;

// Errors in percent.
struct ErrorFigures {
  std::size_t n = 0;
  double mape = 0.0, median_ape = 0.0, p95_ape = 0.0, bias = 0.0;
};
ErrorFigures error_figures(std::vector<double> relative_errors);

struct KernelGroup {
  std::map<std::string, std::string> key;  // operator, gpu, engine, table, scope
  std::size_t n = 0;
  ErrorFigures latency;                             // whole keys (or the GPU) left out
  std::optional<ErrorFigures> latency_interpolate;  // rows left out inside known keys
};

struct WorstRow {
  std::string table, row;  // in words
  double measured_s = 0.0, predicted_s = 0.0;
};

struct RefusedRows {
  std::string id;      // table
  std::string reason;  // with the number of rows
  std::size_t rows = 0;
};

struct KernelValidation {
  std::string dataset;
  std::size_t rows = 0, predicted = 0;
  std::vector<RefusedRows> refused;
  ErrorFigures latency;
  std::optional<ErrorFigures> latency_interpolate;
  std::vector<KernelGroup> groups;  // a family each; then by GPU; then by table
  std::vector<WorstRow> worst;      // ten
};

struct KernelValidationOptions {
  std::string only;           // a family (gemm, ...) or an operator's name; empty = all
  std::string leave_out_gpu;  // folder name: predict this GPU alone, from the others and its card
  std::size_t stride = 1;     // predict every n-th row of what is left out
  unsigned threads = 2;
};

// Rows of `data` are predicted; what is learned comes from `data` and from `known` (the shipped
// calibration; may be the same object), the fold in question left out of both.
KernelValidation validate_kernels(const models::kernels::Calibration& data,
                                  const models::kernels::Calibration& known,
                                  const KernelValidationOptions& options = {});

// A GPU by its table folder, its catalogue card or without separators (h200_sxm, h200-sxm, H200).
// Throws InputError that lists what there is.
std::string table_gpu(const std::string& name, const models::kernels::Calibration& data);

}  // namespace foretoken::validation::calibrate
