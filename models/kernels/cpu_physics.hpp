#pragma once
// Operators on the sockets of a CPU: a node without GPUs, or experts kept in host memory.
//
//   t = launch + bytes / memory + flops / matrix + converted weights / conversion
//
// The terms add up: threads load, widen and multiply in turn, and nothing runs beside them.
#include <optional>

#include "models/hardware/hardware.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

// Alike for every CPU. `memory` is what SGLang's authors measured. `launch`, `matrix` and
// `conversion` are fitted on six figures of two Xeon 6980P (LMSYS with Intel, 2025-07-14: TTFT of
// 1,024 tokens and TPOT of DeepSeek-R1 in INT8 and FP8 and of R1-Distill-Llama-70B in INT8; all
// within 8 %), `vector` on the prefill of KTransformers 0.2 without AMX. Left out of every fit:
// KTransformers' decoding on one and two Xeon Gold 6454S and its prefill with AMX (2025-02), which
// come out within 5 %. Engines without such kernels are slower: llama.cpp took 172 ms a token where
// SGLang took 68.
struct CpuParameters {
  double memory_efficiency = 0.85;   // of the card's bandwidth
  double launch_s = 28e-6;           // an operator: hand-out to all threads, barrier, reduction
  double matrix_per_clock = 106;     // operations a clock and core with AMX: bound by its feed
  double vector_efficiency = 0.44;   // of the FP32 peak, where there is no AMX
  double conversions_per_clock = 8;  // weights a clock and core: 4 and 8 bits to what multiplies
  double link_efficiency = 0.7;      // of the links between sockets; assumed
  double copy_latency_s = 10e-6;     // host copy: driver call, engine start, completion; assumed
  double relative_error = 0.15;      // worst of the figures named above, fitted and left out
};

struct CpuMachine {
  double cores = 0, clock = 0;  // of one socket; Hz
  double bandwidth = 0;         // memory of one socket, byte/s
  double vector_flops = 0;      // FP32 peak of one socket
  double matrix_flops = 0;      // 16-bit AMX peak of one socket; 0 = none
  double socket_bandwidth = 0, socket_latency_s = 0;
};
CpuMachine cpu_machine_of(const hardware::CpuSpec& cpu, double socket_latency_s = 0.0);
CpuMachine cpu_machine_of(const hardware::NodeSpec& node);  // that computes on its sockets

// Time of one call that `sockets` sockets share evenly, each from its own memory. Collectives are
// between sockets of one machine.
double cpu_seconds(const llm::OperatorShape& shape, const CpuMachine& machine, int sockets,
                   const CpuParameters& parameters = {});

// Copy of `bytes` between host memory and a GPU whose slot moves `pcie` bytes/s in one direction.
double host_copy_seconds(double bytes, double pcie, const CpuParameters& parameters = {});

}  // namespace foretoken::models::kernels
