#pragma once
// Measured operator times in memory. Read from and written to HDF5 by scenarios/loader;
// built from CSV by validation/calibrate.
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace foretoken::models::kernels {

// One table: one operator of one engine version on one GPU. Rows are sorted by (key, axes).
struct Table {
  std::string gpu;      // folder name, e.g. h200_sxm
  std::string op;       // gemm, context_attention, generation_mla, moe, custom_allreduce, nccl, ...
  std::string engine;   // sglang, trtllm, vllm, nccl
  std::string version;  // 0.5.10
  // Categorical columns as indices into `labels` (dtype, distribution, kernel, ...), numeric
  // columns as they are; `seconds` the measured latency.
  std::vector<std::string> columns;                        // names of all key columns, in order
  std::map<std::string, std::vector<std::string>> labels;  // categorical column -> its values
  std::vector<std::vector<float>> values;  // one vector a column, label index or number
  std::vector<float> seconds;
  // The last so many rows are a user's own: believed even where their neighbours contradict them.
  // Not kept in the file.
  std::size_t own_rows = 0;
};

struct Calibration {
  int format_version = 2;
  std::string source_hash;  // of the measurements it was built from
  std::vector<Table> tables;
  // Few physical parameters, fitted: "GPU/OPERATOR/name" -> value; error figures found by
  // validation under "error/...".
  std::map<std::string, double> parameters;
};

// `base` with the rows of `own`: where both measured the same, own counts, and own rows
// are never doubted. Tables of one name whose
// columns differ stand side by side.
Calibration merged(const Calibration& base, const Calibration& own);

}  // namespace foretoken::models::kernels
