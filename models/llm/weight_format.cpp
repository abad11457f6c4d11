#include <array>
#include <utility>

#include "models/llm/model_spec.hpp"

namespace foretoken::models::llm {
namespace {

constexpr std::array<std::pair<WeightFormat, std::string_view>, 8> kNames{{
    {WeightFormat::bf16, "bf16"},
    {WeightFormat::fp16, "fp16"},
    {WeightFormat::fp8, "fp8"},
    {WeightFormat::fp8_block, "fp8_block"},
    {WeightFormat::int8_wo, "int8_wo"},
    {WeightFormat::int4_wo, "int4_wo"},
    {WeightFormat::nvfp4, "nvfp4"},
    {WeightFormat::mxfp4, "mxfp4"},
}};

}  // namespace

double bytes_per_weight(WeightFormat format) {
  switch (format) {
    case WeightFormat::bf16:
    case WeightFormat::fp16:
      return 2.0;
    case WeightFormat::fp8:
      return 1.0;  // one scale a tensor
    case WeightFormat::fp8_block:
      return 1.0 + 4.0 / (128 * 128);  // fp32 scale per 128x128 block
    case WeightFormat::int8_wo:
      return 1.0;  // one scale a column: below 0.1 %
    case WeightFormat::int4_wo:
      return 0.5 + 2.5 / 128;  // 16-bit scale, 4-bit zero per 128 (GPTQ, AWQ)
    case WeightFormat::nvfp4:
      return 0.5 + 1.0 / 16;  // fp8 scale per 16
    case WeightFormat::mxfp4:
      return 0.5 + 1.0 / 32;  // 8-bit exponent per 32 (OCP MX)
  }
  return 2.0;
}

std::string_view to_string(WeightFormat format) {
  for (const auto& [value, name] : kNames)
    if (value == format) return name;
  return "?";
}

std::optional<WeightFormat> parse_weight_format(std::string_view name) {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  if (name == "bfloat16") return WeightFormat::bf16;
  if (name == "float16" || name == "half") return WeightFormat::fp16;
  if (name == "int8") return WeightFormat::int8_wo;
  if (name == "int4") return WeightFormat::int4_wo;
  if (name == "fp4") return WeightFormat::nvfp4;
  return std::nullopt;
}

}  // namespace foretoken::models::llm
