#pragma once
// The physical model of an operator: its time from the card alone, and the limit that nothing
// beats. `variant` is what a shape cannot say (operator_tables.hpp).
//
//   t = launch + (memory^p + sm^p + compute^p + chain^p)^(1/p)
//
// memory: bytes that miss the L2 cache over the card's bandwidth; sm: all bytes over what the SMs
// can take in flight; compute: flops over the card's peak, rows padded to whole tiles; chain: steps
// that follow each other inside one block (along k, along the context), at the SM's clock.
#include <map>
#include <string>

#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct RooflineParameters {
  double launch_s;            // at 1.755 GHz (H100)
  double launch_clock_share;  // of the launch that goes with the clock, 0..1
  double memory_efficiency;   // of the card's bandwidth
  double compute_efficiency;  // of the card's dense peak
  double sharpness;           // p
  double l2_share;            // of the L2 cache that still holds a call's data from the call before
  double sm_bytes_per_clock;  // that one SM keeps in flight
  double chain_s_per_step;    // at 1 GHz
  double padding;             // share of the padded tile that is really computed
};

struct CollectiveParameters {
  double wire_efficiency = 0.5;      // rings inside a node, of the link's rate in one direction
  double network_efficiency = 0.85;  // between nodes
  double direct_efficiency = 0.58;   // an engine's own all-reduce, loads from its peers
  double direct_launch_s = 6.7e-6;   // this + per_gpu x GPUs
  double direct_per_gpu_s = 0.22e-6;
  double direct_round_s = 2.0e-6;  // the second round of the two-round form
  double direct_round_per_gpu_s = 0.65e-6;
  double direct_most_bytes = 21.6e6;  // engines hand longer messages to the ring
  double eager_launch_s = 43e-6;      // outside a CUDA graph
  double ring_launch_s = 6.4e-6;      // all-reduce
  double ring_per_gpu_s = 1.95e-6;
  double half_ring_launch_s = 4.3e-6;  // all-gather, reduce-scatter
  double half_ring_per_gpu_s = 0.87e-6;
  double exchange_launch_s = 6.5e-6;  // all-to-all, send-receive
  double exchange_per_gpu_s = 0.27e-6;
};

// DeepEP's kernels. Inside a node from measurements on H100, H200 and B200 (aiconfigurator,
// 2026-08); the network's share from its published table (deepseek-ai/DeepEP, docs/legacy.md).
// Normal: each SM copies messages one after another; links and network at a share of their rate.
// Low latency: every SM sends at once.
struct ExchangeParameters {
  double normal_launch_s = 26e-6;
  double normal_message_s = 0.1375e-6;   // of one SM, at 1.755 GHz
  double normal_sm_byte_s = 33.4e-12;    // of one SM, at 1.755 GHz
  double normal_wire_efficiency = 0.66;  // of the link's rate in one direction
  double low_latency_launch_s = 7e-6;
  double low_latency_expert_s = 0.011e-6;  // flags of each expert
  double low_latency_wire_efficiency = 0.55;
  double network_efficiency = 0.88;  // of the network's rate
  double sharpness = 3.0;            // of the passage from one bound to another
};

// Few numbers, alike for every GPU and engine, fitted on the kernel measurements of five GPUs
// (A100, H100, H200, B200, L40S; ai-dynamo/aiconfigurator, 2026-08) so that one GPU's corrections
// serve another best. What they leave over is what the measured tables correct.
// "physics/FAMILY/NAME" in a calibration overrides one.
struct PhysicalParameters {
  RooflineParameters gemm{5.9e-6, 0.66, 0.85, 0.75, 3.5, 0.157, 38, 0.15e-9, 0.62};
  RooflineParameters prefill{11.7e-6, 0.7, 0.467, 0.386, 1.34, 0.92, 6.2, 0.3e-9, 0.57};
  RooflineParameters decode{6.5e-6, 0.62, 1.0, 0.408, 2.07, 1.14, 17, 0.65e-9, 0.5};
  RooflineParameters mla_prefill{8.0e-6, 0.7, 0.607, 0.756, 2.04, 0.57, 9, 0.3e-9, 0.357};
  RooflineParameters mla_decode{3.2e-6, 0.7, 1.0, 0.29, 2.07, 1.04, 17, 1.1e-9, 0.5};
  RooflineParameters mla_bmm{8.3e-6, 0.0, 1.0, 0.61, 8.5, 0.27, 24, 0.2e-9, 0.7};
  RooflineParameters moe{45e-6, 0.93, 0.85, 0.536, 2.85, 1.08, 29.8, 0.2e-9, 0.26};
  RooflineParameters moe_dispatched{100e-6, 0.0, 0.85, 0.536, 2.85, 1.08, 29.8, 0.2e-9, 0.26};
  RooflineParameters moe_masked{20e-6, 0.0, 0.85, 0.536, 2.85, 1.08, 29.8, 0.2e-9, 0.26};
  // Launch from layer profiles of five GPUs (LLMServingSim, Vidur); bytes at the share of memory
  // bandwidth that aiconfigurator gives and the passes of the H800 training trace keep to.
  RooflineParameters elementwise{2.2e-6, 0.0, 0.8, 1.0, 3.0, 0.95, 29.8, 0.0, 1.0};
  CollectiveParameters collective;
  ExchangeParameters exchange;

  static PhysicalParameters from(const std::map<std::string, double>& parameters);
  void store(std::map<std::string, double>& parameters) const;
};

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine, const PhysicalParameters& parameters = {});

// The limit of arithmetic, of the memory level that can hold the data, of the wire.
double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine);

// Inside a step the weights of an operator come from memory, whatever a measurement of the same
// call over and over found in the L2 cache: a limit for operators that have weights, else 0.
double least_weight_seconds(const llm::OperatorShape& shape, const std::string& variant,
                            const Machine& machine);

}  // namespace foretoken::models::kernels
