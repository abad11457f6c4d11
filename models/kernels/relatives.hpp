#pragma once
// Whose measurements serve a GPU and an engine: its own, those of another version or engine, those
// of the most similar GPU.
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "models/kernels/kernel_model.hpp"
#include "models/kernels/machine.hpp"

namespace foretoken::models::kernels {

struct TableSource {
  const Table* table = nullptr;
  Machine machine;  // of the GPU that the table was measured on
  bool same_gpu = true;
  bool same_engine = true;  // and version
};

// Distance between versions such as 0.5.9 and 0.5.10 (numbers compared part by part).
double version_distance(const std::string& a, const std::string& b);

// All usable tables, the most trusted first. `folder`: where this GPU's own tables are; empty =
// nowhere.
std::vector<TableSource> table_sources(const Machine& machine, const std::string& folder,
                                       const EngineVersion& engine, const Calibration& calibration);

}  // namespace foretoken::models::kernels
