#include "scenarios/loader/model_quantization.hpp"

#include <algorithm>

namespace foretoken::scenarios::loader {
namespace {

using models::llm::WeightFormat;
using nlohmann::json;

constexpr const char* kKey = "quantization_config";

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

int number_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_integer() && it->is_number_unsigned() &&
                 it->get<std::uint64_t>() < 1000
             ? it->get<int>()
             : 0;
}

bool flag_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

std::optional<WeightFormat> integer_bits(int bits) {
  if (bits == 4) return WeightFormat::int4_wo;
  if (bits == 8) return WeightFormat::int8_wo;
  return std::nullopt;
}

std::optional<WeightFormat> fp8_format(const json& quant) {
  const auto block = quant.find("weight_block_size");
  if (block == quant.end() || block->is_null()) return WeightFormat::fp8;
  if (*block == json::array({128, 128})) return WeightFormat::fp8_block;
  return std::nullopt;
}

// One group of a compressed-tensors checkpoint: {"weights": {"num_bits", "type", "strategy"}}.
std::optional<WeightFormat> group_format(const json& group) {
  const auto weights = group.find("weights");
  if (weights == group.end() || !weights->is_object()) return std::nullopt;
  const int bits = number_of(*weights, "num_bits");
  const std::string type = text_of(*weights, "type");
  if (type == "float" && bits == 8)
    return text_of(*weights, "strategy") == "block" ? WeightFormat::fp8_block : WeightFormat::fp8;
  if (type == "float" && bits == 4)
    return number_of(*weights, "group_size") == 32 ? WeightFormat::mxfp4 : WeightFormat::nvfp4;
  const auto inputs = group.find("input_activations");
  const bool weight_only = inputs == group.end() || inputs->is_null();
  return type == "int" && weight_only ? integer_bits(bits) : std::nullopt;
}

std::optional<WeightFormat> compressed_format(const json& quant) {
  const auto groups = quant.find("config_groups");
  if (groups == quant.end() || !groups->is_object() || groups->empty()) return std::nullopt;
  std::optional<WeightFormat> found;
  for (const auto& group : *groups) {
    const auto format = group.is_object() ? group_format(group) : std::nullopt;
    if (!format || (found && *found != *format)) return std::nullopt;
    found = format;
  }
  return found;
}

std::optional<WeightFormat> modelopt_format(const json& quant) {
  std::string algorithm = text_of(quant, "quant_algo");
  const auto inner = quant.find("quantization");
  if (algorithm.empty() && inner != quant.end() && inner->is_object())
    algorithm = text_of(*inner, "quant_algo");
  if (algorithm == "NVFP4") return WeightFormat::nvfp4;
  if (algorithm == "FP8") return WeightFormat::fp8;
  if (algorithm == "FP8_PB_WO") return WeightFormat::fp8_block;
  return algorithm.empty() ? compressed_format(quant) : std::nullopt;
}

// AMD Quark: {"global_quant_config": {"weight": {"dtype": "fp4", ...}}}.
std::optional<WeightFormat> quark_format(const json& quant) {
  const auto config = quant.find("global_quant_config");
  if (config == quant.end() || !config->is_object()) return std::nullopt;
  const auto weight = config->find("weight");
  if (weight == config->end() || !weight->is_object()) return std::nullopt;
  const std::string type = text_of(*weight, "dtype");
  if (type == "fp4") return WeightFormat::mxfp4;
  if (type == "fp8_e4m3") return WeightFormat::fp8;
  return std::nullopt;
}

std::optional<WeightFormat> quantized_format(const json& quant, const std::string& method) {
  if (method == "fp8") return fp8_format(quant);
  if (method == "fbgemm_fp8") return WeightFormat::fp8;
  if (method == "mxfp4") return WeightFormat::mxfp4;
  if (method == "quark") return quark_format(quant);
  if (method == "compressed-tensors") return compressed_format(quant);
  if (method == "modelopt" || method == "modelopt_fp4") return modelopt_format(quant);
  if (method == "gptq" || method == "awq" || method == "gptq_marlin" || method == "awq_marlin" ||
      method == "auto-round")
    return integer_bits(number_of(quant, "bits"));
  if (method == "bitsandbytes") {
    if (flag_of(quant, "load_in_4bit")) return WeightFormat::int4_wo;
    if (flag_of(quant, "load_in_8bit")) return WeightFormat::int8_wo;
  }
  return std::nullopt;
}

}  // namespace

WeightFormat checkpoint_format(JsonObject& config) {
  config.use("dtype");  // the newer name of torch_dtype
  const std::string type = config.string_or("torch_dtype", config.string_or("dtype", "bfloat16"));
  const WeightFormat plain = type == "float16" ? WeightFormat::fp16 : WeightFormat::bf16;
  if (type != "float16" && type != "bfloat16" && type != "float32")
    config.error(config.has("torch_dtype") ? "torch_dtype" : "dtype",
                 "weights of type '" + type + "' are not known; float16, bfloat16 and float32 are");
  const json* quant = config.find(kKey);
  if (quant == nullptr) return plain;
  if (!quant->is_object()) {
    config.error(kKey, "quantization_config must be an object");
    return plain;
  }
  const std::string method = text_of(*quant, "quant_method");
  if (const auto format = quantized_format(*quant, method)) return *format;
  config.error(kKey, "quantisation '" + (method.empty() ? "(no quant_method)" : method) +
                         "' with these settings is not understood; known: fp8 (per tensor or "
                         "128x128 blocks), compressed-tensors (one weight scheme: fp8, nvfp4, int8 "
                         "or int4 weight-only), modelopt (NVFP4, FP8), mxfp4, quark (fp4, "
                         "fp8_e4m3), gptq, awq, auto-round and "
                         "bitsandbytes of 4 or 8 bits");
  return plain;
}

}  // namespace foretoken::scenarios::loader
