#include "models/hardware/hardware.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::hardware;

TEST_CASE("number formats: names parse back and sizes are their bit widths") {
  // Bit widths by definition: 32, 32 (tf32 is stored as fp32), 16, 16, 8, 8, 4, 4.
  const std::pair<DType, double> sizes[] = {
      {DType::fp32, 4.0}, {DType::tf32, 4.0}, {DType::bf16, 2.0}, {DType::fp16, 2.0},
      {DType::fp8, 1.0},  {DType::int8, 1.0}, {DType::fp4, 0.5},  {DType::int4, 0.5}};
  for (const auto& [dtype, bytes] : sizes) {
    CHECK(bytes_per_element(dtype) == bytes);
    CHECK(parse_dtype(to_string(dtype)) == dtype);
  }
}

TEST_CASE("number formats: the names of configs and tables") {
  CHECK(parse_dtype("bfloat16") == DType::bf16);
  CHECK(parse_dtype("float8_e4m3fn") == DType::fp8);
  CHECK(parse_dtype("half") == DType::fp16);
  CHECK_FALSE(parse_dtype("bf17").has_value());
  CHECK_FALSE(parse_dtype("").has_value());
}
