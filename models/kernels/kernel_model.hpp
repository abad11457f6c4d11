#pragma once
// Operator -> time, for one GPU and one engine. Measured tables where there are any
// (interpolating efficiency = roofline time over measured time, in log space), a physical model
// elsewhere; says which was used and how far off such figures have been found to be.
#include <memory>
#include <string>

#include "models/hardware/hardware.hpp"
#include "models/kernels/calibration.hpp"
#include "models/llm/operators.hpp"
#include "sim/core/provenance.hpp"

namespace foretoken::models::kernels {

struct OperatorTime {
  double seconds = 0.0;
  sim::core::Provenance provenance = sim::core::Provenance::analytical;
  double relative_error = 0.0;  // mean absolute error found by validation for this kind
  std::string source;           // table or model used, e.g. "h200_sxm/gemm.sglang-0.5.10"
};

// Whose tables to use: "sglang", "0.5.9". Where the version has none, the nearest serves and is
// named in `source`; where the engine has none for this GPU, the physical model does.
struct EngineVersion {
  std::string engine;
  std::string version;
};

class KernelModel {
 public:
  KernelModel(const hardware::NodeSpec& node, const EngineVersion& engine,
              std::shared_ptr<const Calibration> calibration);
  ~KernelModel();
  KernelModel(KernelModel&&) noexcept;

  // Time of one call. Never faster than the limit of the memory level that holds the data, the
  // arithmetic peak, or the wire.
  [[nodiscard]] OperatorTime time(const llm::OperatorShape& shape) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foretoken::models::kernels
