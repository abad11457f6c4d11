#pragma once
// What an operator has to do on one GPU, in the terms of the physical model.
#include <string>

#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct Work {
  double flops = 0;
  double padded_flops = 0;  // with rows and columns rounded up to whole tiles
  double bytes = 0;
  double weight_bytes = 0;  // part of bytes
  double chain_steps = 0;   // that follow each other inside one block
  hardware::DType arithmetic = hardware::DType::bf16;
};

Work work_of(const llm::OperatorShape& shape, const std::string& variant);

}  // namespace foretoken::models::kernels
