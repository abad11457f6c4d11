#pragma once
#include <cstddef>
#include <string>

#include "models/kernels/calibration.hpp"

namespace foretoken::validation::calibrate {

// "h200_sxm/gemm.sglang-0.5.10"
std::string table_name(const models::kernels::Table& table);
// "gemm_dtype=fp8 m=16 n=4096 k=7168 12.3 us"
std::string row_in_words(const models::kernels::Table& table, std::size_t row);

}  // namespace foretoken::validation::calibrate
