#pragma once
#include "models/llm/model_spec.hpp"
#include "scenarios/loader/json_object.hpp"

namespace foretoken::scenarios::loader {

// Weight format of the large matrices, from quantization_config (fp8, compressed-tensors,
// modelopt, mxfp4, gptq, awq, bitsandbytes, fbgemm) or else from torch_dtype.
models::llm::WeightFormat checkpoint_format(JsonObject& config);

}  // namespace foretoken::scenarios::loader
