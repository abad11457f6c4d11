#pragma once
// Predicted against measured for communication that no operator table covers: DeepEP's dispatch and
// combine (one-node tables, published internode figures), and NCCL on servers whose network is
// known by its measurements alone. Part of `foretoken validate kernels`.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/collective/expert_exchange.hpp"
#include "models/kernels/calibration.hpp"
#include "validation/calibrate/validate_kernels.hpp"

namespace foretoken::validation::calibrate {

// By table folder (h200_sxm): what its eight-GPU server has.
using Wires = std::map<std::string, models::collective::Wire>;

// Rows of the tables wideep_deepep_*; each fifth of the keys (hidden, top-k, experts) predicted
// with kernel parameters fitted on the others, all GPUs together. Tables of a GPU without a wire
// are refused.
void validate_exchange(const models::kernels::Calibration& data, const Wires& wires,
                       KernelValidation& result);

// FOLDER/deepep-published.csv; what one node cannot tell (share of the NIC's rate, round trips) is
// fitted on the other rows of the same kind and way.
void validate_published_exchange(const std::filesystem::path& folder,
                                 const models::collective::Wire& h800, KernelValidation& result);

// FOLDER/HOST/OPERATION.csv.gz as microsoft/vidur publishes them. `latency` leaves out whole keys
// (operation, GPUs, nodes), `latency_interpolate` rows inside known keys.
void validate_hosts(const std::filesystem::path& folder, const Wires& hosts,
                    KernelValidation& result);

}  // namespace foretoken::validation::calibrate
