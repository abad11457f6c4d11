#pragma once
// What a training job is: model, cluster, layout, schedule, precision, and the software that runs
// it with its few constants. Plain data; the loader and validation fill it.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "models/llm/model_spec.hpp"

namespace foretoken::models::training {

enum class Schedule { gpipe, one_f_one_b, interleaved, zb_h1, zb_v, dualpipe, dualpipe_v };
enum class Recompute { none, selective, full };
// Arithmetic of the matrix products inside the layers. fp8: one scale a tensor; fp8_block:
// DeepSeek's 1x128 and 128x128 scales; mxfp8: a scale for 32 elements.
enum class Arithmetic { fp32, bf16, fp16, fp8, fp8_block, mxfp8, nvfp4 };
// Who keeps what of the optimizer state, the gradients and the parameters (ZeRO-1, 2, 3).
enum class Sharding { none, optimizer, gradients, parameters };

std::string_view to_string(Schedule schedule);
std::string_view to_string(Recompute recompute);
std::string_view to_string(Arithmetic arithmetic);
std::string_view to_string(Sharding sharding);

// Ranks are dealt tensor first, then context, then data (expert groups lie inside context x data),
// then pipeline: Megatron's order tp-cp-ep-dp-pp.
struct Layout {
  int data = 1;
  int tensor = 1;
  int pipeline = 1;
  int virtual_stages = 1;  // chunks of layers a GPU holds (interleaved schedule)
  int context = 1;
  int expert = 1;
  int expert_tensor = 1;
  Sharding sharding = Sharding::optimizer;
  int shard_group = 0;  // ranks that share parameters or optimizer state; 0 = all of data x context
  // Layers of each chunk in the order of the pipeline; empty = spread evenly.
  std::vector<int> stage_layers;
  [[nodiscard]] int gpus() const { return data * tensor * pipeline * context; }
};

struct Batch {
  std::int64_t global = 1;  // sequences a step
  std::int64_t micro = 1;   // sequences a micro-batch
  std::int64_t sequence = 2048;
};

// What a framework does, and its constants. "gemm/GPU/ARITHMETIC" and the like: see constant().
struct Software {
  std::string name;
  bool flash_attention = true;    // else scores and probabilities go through memory
  bool sequence_parallel = true;  // norms split over the tensor ranks; gather + scatter, not sums
  bool overlap_tensor = false;    // tensor-parallel messages behind matrix products
  bool overlap_gradients = false;
  bool overlap_parameters = false;
  bool overlap_pipeline = false;  // stage-to-stage messages behind compute
  bool overlap_experts = false;   // dispatch and combine behind compute
  bool fused_cross_entropy = true;
  bool dropout = false;
  bool deduplicated_dispatch = false;  // a token goes once to a node, then spreads (DeepEP)
  bool fused_permutation = true;
  double gradient_bytes = 4;         // of an accumulated gradient
  double reduce_bytes = 4;           // of a gradient on the wire
  double gather_bytes = 2;           // of a parameter on the wire
  double optimizer_state_bytes = 8;  // both moments
  double main_parameter_bytes = 4;   // master copy
  double dispatch_bytes = 2;         // of an element on its way to an expert
  double pipeline_bytes = 2;
  int communication_sms = 0;  // set aside from the compute kernels
  double memory_reserve = 0;  // bytes: context, libraries, fragmentation
  double network = 0;  // byte/s per node where the job's nodes differ from the card; 0 = card
  // Attention with sinks was fused from this release on; empty = always.
  std::string fused_sinks_from;
  std::map<std::string, double> constants;
  std::map<std::string, double> error;  // "step_time" -> share, found by validation

  [[nodiscard]] bool unfused_sinks(const llm::ModelSpec& model, const std::string& release) const;
  // The common value times what is special to the GPU and to the arithmetic: "NAME" x
  // "NAME/gpu/GPU" x "NAME/arithmetic/ARITHMETIC".
  [[nodiscard]] double constant(const std::string& what, double otherwise) const;
  [[nodiscard]] double constant(const std::string& what, const hardware::GpuSpec& gpu,
                                Arithmetic arithmetic, double otherwise) const;
};

struct TrainingSpec {
  std::string name;
  llm::ModelSpec model;
  hardware::NodeSpec node;
  Layout layout;
  Batch batch;
  Schedule schedule = Schedule::one_f_one_b;
  Recompute recompute = Recompute::none;
  Arithmetic arithmetic = Arithmetic::bf16;
  bool cpu_offload = false;          // optimizer state and its step on the host
  bool offload_activations = false;  // to the host, over a link fast enough to hide it
  bool drop_tokens = false;          // experts take a fixed number of rows: shapes known beforehand
  bool mtp = false;                  // train the multi-token prediction modules too
  Software software;
  std::string release;  // of the software, where constants tell releases apart

  [[nodiscard]] std::int64_t micro_batches() const {
    return batch.global / (std::int64_t{layout.data} * batch.micro);
  }
  [[nodiscard]] double tokens_per_step() const {
    return static_cast<double>(batch.global) * static_cast<double>(batch.sequence);
  }
};

// Every rule that the job breaks, in words that name the divisor; empty = fine.
std::vector<std::string> layout_errors(const TrainingSpec& spec);

// Layers of each pipeline position (chunk), first to last: as given, or spread so that the first
// and last, which hold embedding and head, get what does not divide last.
std::vector<int> position_layers(const TrainingSpec& spec);
// Positions of the pipeline: stages x chunks (twice the stages where the schedule folds back).
int positions(const TrainingSpec& spec);
// Model copies per stage: DualPipe holds the position of the other direction as well.
int copies(Schedule schedule);
// The GPU (pipeline rank) that runs a position of a direction (0; 1 for DualPipe's other one).
int device_of(const TrainingSpec& spec, int position, int direction);

}  // namespace foretoken::models::training
