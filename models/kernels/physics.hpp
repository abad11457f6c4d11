#pragma once
// The physical model of an operator: its time from the card alone, and the limit that nothing
// beats. `variant` is what a shape cannot say (operator_tables.hpp).
#include <map>
#include <string>

#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

// Few numbers, alike for every GPU, fitted on the kernel measurements of five GPUs (A100, H100,
// H200, B200, L40S; ai-dynamo/aiconfigurator, 2026-08). What they leave over is what the measured
// tables correct. "physics/NAME" in a calibration overrides one.
struct PhysicalParameters {
  double launch_s = 3e-6;            // one kernel in a CUDA graph
  double moe_launch_s = 25e-6;       // sort, permute, two grouped products, activation, sum
  double memory_efficiency = 0.8;    // of the card's bandwidth
  double compute_efficiency = 0.75;  // of the card's dense peak
  double sharpness = 4.0;            // of max(memory, compute) as a p-norm
  double wire_efficiency = 0.75;     // rings, of the link's rate in one direction
  double direct_efficiency = 0.58;   // an engine's own all-reduce, loads from its peers
  double direct_launch_s = 4.3e-6;
  double direct_round_s = 1.5e-6;   // the second round of the two-round form
  double direct_most_bytes = 16e6;  // engines hand longer messages to the ring
  double eager_launch_s = 18e-6;    // outside a CUDA graph
  double ring_launch_s = 2.6e-6;    // all-reduce: this + per_gpu x GPUs
  double ring_per_gpu_s = 1.7e-6;
  double half_ring_launch_s = 3.2e-6;  // all-gather, reduce-scatter
  double half_ring_per_gpu_s = 1.0e-6;
  double exchange_launch_s = 5.3e-6;  // all-to-all, send-receive
  double exchange_per_gpu_s = 0.5e-6;

  static PhysicalParameters from(const std::map<std::string, double>& parameters);
};

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine, const PhysicalParameters& parameters = {});

// The limit of arithmetic, of the memory level that can hold the data, of the wire.
double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine);

}  // namespace foretoken::models::kernels
