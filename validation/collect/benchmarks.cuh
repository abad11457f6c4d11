#pragma once
#include "common.cuh"

namespace collect {

void gemm(const Options& options);
void copies(const Options& options);       // device to device, and over PCIe both ways
void elementwise(const Options& options);  // read two, write one
void attention(const Options& options);    // one decode step over a KV cache, grouped heads
void collectives(const Options& options);  // NCCL among all GPUs of this machine

}  // namespace collect
