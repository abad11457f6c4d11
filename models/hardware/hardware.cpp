#include "models/hardware/hardware.hpp"

#include <array>
#include <utility>

#include "sim/core/error.hpp"

namespace foretoken::models::hardware {
namespace {

struct Format {
  DType dtype;
  std::string_view name;
  double bytes;
};

constexpr std::array<Format, 8> kFormats{{{DType::fp32, "fp32", 4.0},
                                          {DType::tf32, "tf32", 4.0},
                                          {DType::bf16, "bf16", 2.0},
                                          {DType::fp16, "fp16", 2.0},
                                          {DType::fp8, "fp8", 1.0},
                                          {DType::int8, "int8", 1.0},
                                          {DType::fp4, "fp4", 0.5},
                                          {DType::int4, "int4", 0.5}}};

const Format& format_of(DType dtype) {
  for (const Format& format : kFormats)
    if (format.dtype == dtype) return format;
  sim::core::assertion_failed("format_of", "a number format outside the list", __FILE__, __LINE__);
}

}  // namespace

double bytes_per_element(DType dtype) { return format_of(dtype).bytes; }

std::string_view to_string(DType dtype) { return format_of(dtype).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const Format& format : kFormats)
    if (format.name == name) return format.dtype;
  // Names that configs and tables use for the same formats.
  constexpr std::array<std::pair<std::string_view, DType>, 7> kAliases{
      {{"float32", DType::fp32},
       {"bfloat16", DType::bf16},
       {"float16", DType::fp16},
       {"half", DType::fp16},
       {"float8_e4m3fn", DType::fp8},
       {"fp8_e4m3", DType::fp8},
       {"nvfp4", DType::fp4}}};
  for (const auto& [alias, dtype] : kAliases)
    if (alias == name) return dtype;
  return std::nullopt;
}

GpuSpec device_of(const CpuSpec& cpu) {
  GpuSpec device;
  device.processor = Processor::cpu;
  device.name = cpu.name;
  device.architecture = cpu.architecture;
  device.sm_count = cpu.cores;
  device.boost_clock = cpu.clock;
  device.memory = cpu.memory;
  device.memory_bandwidth = cpu.memory_bandwidth;
  device.l2_cache = cpu.cache;
  device.peak = cpu.peak;
  device.scale_up_bandwidth = cpu.socket_bandwidth;
  device.pcie_bandwidth = cpu.pcie_bandwidth;
  device.tdp = cpu.tdp;
  device.idle = cpu.idle;
  device.sources = cpu.sources;
  return device;
}

}  // namespace foretoken::models::hardware
