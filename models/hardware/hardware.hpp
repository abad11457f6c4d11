#pragma once
// What the hardware cards say (scenarios/hardware/*.yaml): plain data, each figure with a source
// in the card. No formula lives here beyond simple look-ups.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/units.hpp"

namespace foretoken::models::hardware {

using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::FlopsPerSecond;
using sim::core::Watts;

// Number formats of weights, activations and KV cache.
enum class DType { fp32, tf32, bf16, fp16, fp8, int8, fp4, int4 };
double bytes_per_element(DType dtype);  // 0.5 for the 4-bit formats
std::string_view to_string(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);

// What a node computes with: GPUs, or, without any, the sockets of its CPUs (device_of).
enum class Processor { gpu, cpu };

struct GpuSpec {
  Processor processor = Processor::gpu;
  std::string name;               // catalogue name, e.g. h200-sxm
  std::string architecture;       // ampere, ada, hopper, blackwell, cdna3, ...
  std::string tables;             // folder of measured tables, e.g. h200_sxm; empty = none
  bool tables_in_engine = false;  // they were timed inside a running engine, not kernel by kernel
  int sm_count = 0;
  sim::core::Hertz boost_clock;  // of the SMs; 0 = unknown
  Bytes memory;                  // capacity as the driver reports it
  BytesPerSecond memory_bandwidth;
  Bytes l2_cache;
  std::map<DType, FlopsPerSecond> peak;  // dense tensor throughput
  // Share of the dense peak that survives power throttling in long matrix products (1 if unknown).
  double sustained_compute = 1.0;
  BytesPerSecond scale_up_bandwidth;  // NVLink/xGMI per GPU, one direction; 0 = none
  BytesPerSecond pcie_bandwidth;      // one direction
  Watts tdp;
  Watts idle;
  Watts power_limit;  // set by the operator below tdp (nvidia-smi -pl); 0 = tdp
  std::map<std::string, std::string> sources;  // key of the card -> source and date
};

struct CpuSpec {  // one socket with its memory
  std::string name;
  std::string architecture;  // ice-lake-sp, granite-rapids-ap, ...
  int cores = 0;
  sim::core::Hertz clock;  // of all cores under heavy vector or matrix work
  Bytes memory;            // fitted to one socket
  BytesPerSecond memory_bandwidth;
  Bytes cache;                           // last level
  std::map<DType, FlopsPerSecond> peak;  // of vector and matrix units, all cores
  BytesPerSecond socket_bandwidth;       // to the other sockets, one direction; 0 = none
  BytesPerSecond pcie_bandwidth;         // one x16 slot, one direction
  Watts tdp;
  Watts idle;
  std::map<std::string, std::string> sources;
};

struct NicSpec {
  std::string name;
  BytesPerSecond bandwidth;  // a port, one direction, on the wire
  double efficiency = 1.0;   // share of it that large transfers reach
  double latency_s = 0.0;    // small message, software and one switch hop included
  bool rdma = false;         // without the CPU copying
  Watts power;
  std::map<std::string, std::string> sources;
};

struct StorageSpec {
  std::string name;
  Bytes capacity;
  BytesPerSecond read_bandwidth;   // large sequential reads, as one client sees them
  BytesPerSecond write_bandwidth;  // large sequential writes
  double latency_s = 0.0;          // small random read
  bool networked = false;          // reached over the node's network ports
  Watts idle;
  Watts power;  // reading at full rate
  std::map<std::string, std::string> sources;
};

struct NodeSpec {
  std::string name;  // catalogue name, e.g. hgx-h200
  GpuSpec gpu;       // of a node without GPUs: one socket (device_of)
  int gpus = 0;      // those that compute: GPUs, or sockets
  // The host. Nodes whose card names no CPU have 0 sockets.
  CpuSpec cpu;
  int sockets = 0;
  std::optional<StorageSpec> storage;  // where the model is kept
  std::string scale_up;                // nvswitch, nvlink-pairs, pcie
  double scale_up_latency_s = 0.0;     // one hop, software included
  int nics = 0;
  BytesPerSecond nic_bandwidth;  // each, one direction
  double nic_latency_s = 0.0;
  double nic_efficiency = 1.0;  // share of nic_bandwidth that large transfers reach
  Watts host_idle;              // CPU, DRAM, fans, NICs at idle, without the GPUs
  Watts host_load;              // the same under load
  // The same taken apart (cpu, dram, nic, switch, fans, storage, other), where the card says.
  struct PartWatts {
    Watts idle, load;
  };
  std::map<std::string, PartWatts> host_parts;
  Watts rack_share;  // of switches and whatever else of the rack is no node's own, per node, AC
  double psu_efficiency = 0.95;
  std::map<std::string, std::string> sources;
};

// A socket as a device that computes: cores take the place of SMs, the last-level cache that of
// L2, the links between sockets that of NVLink.
GpuSpec device_of(const CpuSpec& cpu);

}  // namespace foretoken::models::hardware
