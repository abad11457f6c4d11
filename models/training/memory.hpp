#pragma once
// Memory of the fullest GPU of a training job.
#include <string>

#include "models/training/account.hpp"
#include "models/training/schedule.hpp"

namespace foretoken::models::training {

struct MemoryAccount {  // bytes
  int device = 0;       // pipeline rank of the fullest GPU
  double parameters = 0, gradients = 0, optimizer = 0;
  double activations = 0;  // of the micro-batches in flight
  double working = 0;  // of the layer that runs: logits, recomputed activations, gathered shards
  double reserve = 0;  // context, libraries, fragmentation
  double capacity = 0;
  [[nodiscard]] double allocated() const {
    return parameters + gradients + optimizer + activations + working;
  }
  [[nodiscard]] double total() const { return allocated() + reserve; }
  [[nodiscard]] bool fits() const { return total() <= capacity; }
};

MemoryAccount account_memory(const TrainingSpec& spec, const StepAccount& account,
                             const Order& order);
// "needs 95.2 GB of 85.9 GB, 9.3 GB too much: parameters ..."
std::string describe(const MemoryAccount& memory);

// Bytes an element of parameters costs a GPU: 16-bit copy, gradient, and its part of master copy
// and moments (Megatron-LM: 18 with fp32 gradients, 6 + 12/d when sharded over d; in fp32, where
// the copy is the master: 16 or 8 + 8/d).
double bytes_per_parameter(const Software& software, Arithmetic arithmetic, Sharding sharding,
                           double ranks);

}  // namespace foretoken::models::training
