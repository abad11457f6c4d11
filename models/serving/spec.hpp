#pragma once
// A serving scenario, typed: what scenarios/loader produces and the simulation consumes.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "models/kernels/kernel_model.hpp"
#include "models/llm/operators.hpp"
#include "models/power/gpu_power.hpp"
#include "models/serving/batching.hpp"
#include "models/serving/client_pool.hpp"
#include "models/serving/cluster.hpp"
#include "models/serving/expert_parallel.hpp"
#include "models/serving/speculation.hpp"
#include "sim/core/time.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;

enum class MemoryRule { by_engine, whole, static_pool, free_memory };

// Kernels inside a running engine against the same kernels timed alone: engines fuse, tune and
// overlap, and their weights do not stay in the caches. Of each family of operators `*_least` is a
// factor on the least time that memory, arithmetic and wire allow, and the other the share of what
// the kernel alone takes above it that is left in the engine; 1 and 1 = as measured alone. Fitted
// on served rows (validation/serving), the same for every model and GPU.
struct InSitu {
  double gemm_least = 1.0, gemm = 1.0;
  double attention_least = 1.0, attention = 1.0;
  double experts_least = 1.0, experts = 1.0;
  double wire = 1.0, communication = 1.0;
  // Ranks do not reach a collective at one time: what it waits for the last of n is (1 - 1 / n) of
  // this, in seconds.
  double rank_skew_s = 0.0;
  double elementwise = 1.0;  // share of element-wise time left after fusion
  double prefill = 1.0;      // factor on the kernels of steps that carry prompts, as timed alone
  // Tables may time a fallback kernel that no engine runs on that GPU. Where another engine's
  // kernel for the same operator on the same GPU takes less, no more than this multiple of it; 0 =
  // off.
  double kernel_slack = 0.0;
  // The same for latent attention to a prompt of which nothing is cached. Engines attend to it with
  // full keys and values; tables may time the form that reads the latent cache. 0 = kernel_slack.
  double prompt_slack = 0.0;
  // As timed alone; which tables may stand for which kernels stays.
  [[nodiscard]] InSitu as_timed() const {
    InSitu alone;
    alone.kernel_slack = kernel_slack;
    alone.prompt_slack = prompt_slack;
    return alone;
  }
};

// Overheads that a real engine pays; few, explicit, from the engine's card with a source.
struct EngineSpec {
  std::string name;  // catalogue name, e.g. sglang-0.5.9
  kernels::EngineVersion tables;
  std::string default_policy;  // chunked_prefill or prefill_first, ...
  int default_max_tokens = 0;  // tokens a step
  int default_max_sequences = 0;
  int kv_block_tokens = 16;
  // What the engine sizes the KV pool from: a share of all memory with weights and activations
  // inside it (vLLM, gpu_memory_utilization); of all memory with weights inside and activations
  // outside (SGLang, mem_fraction_static); of what weights and activations leave (TensorRT-LLM,
  // free_gpu_memory_fraction). by_engine: decided by tables.engine.
  MemoryRule memory_rule = MemoryRule::by_engine;
  double memory_fraction = 0.9;
  double kv_watermark = 0.0;  // share of blocks kept free when a request is admitted
  // A request is admitted only when all of its prompt finds free blocks, not only the first chunk.
  bool admit_whole_prompt = false;
  // Share of its output a request must find free blocks for when admitted: 0 = only the prompt
  // (vLLM), 1 = all of it, so that nothing is ever preempted (TensorRT-LLM), between (SGLang).
  double kv_reserve_output = 0.0;
  hardware::Bytes framework_reserve;  // CUDA context, libraries, graphs: per GPU
  double host_step_s = 0.0;           // host time a step that the GPU waits for
  double host_sequence_s = 0.0;       // per running sequence and step
  double host_prefill_s = 0.0;        // more when the step carries prefill
  // The host prepares a step while the GPU runs the one before. The terms above are then kernels
  // outside of the layers (sampling, inputs), which tables timed alone leave out: a GPU whose
  // tables were timed in the engine has them there, and waits only where the host takes longer.
  bool overlap_schedule = false;
  double client_s = 0.0;             // tokenise, HTTP, first token out: per request
  double host_relative_error = 0.0;  // how far off the host terms were found to be
  int stream_interval = 1;           // tokens per streamed chunk
  bool first_token_at_once = true;   // false: even the first token waits for a full chunk
  double stream_chunk_s = 0.0;       // front end, per streamed chunk: its rate is a limit
  int poll_steps = 1;                // decode steps between two looks at new requests
  std::vector<int>
      graph_batches;         // CUDA-graph capture sizes (decode batch is padded up); empty = none
  double expert_skew = 0.0;  // power-law exponent of routed traffic, when the scenario has none
  // All-reduces up to so many bytes take the residual add and the norm behind them along; 0 = none.
  hardware::Bytes fused_norm_reduce;
  std::vector<std::string> fused_norm_on;  // GPU architectures that have it; empty = all
  InSitu in_situ;
  // Of two micro-batches that take turns: the share of the shorter of computing and travelling that
  // adds to the longer all the same, for stages that do not match and for what both want.
  double overlap_loss = 0.0;
  // Mean absolute error over runs of real servers of this engine, deployments left out of the fit;
  // 0 = not known.
  double served_ttft_error = 0.0, served_tpot_error = 0.0;
};

// One pool of equal replicas.
struct DeploymentSpec {
  PoolRole role = PoolRole::whole;
  llm::ModelSpec model;
  llm::Precision precision;
  llm::Layout layout;
  hardware::NodeSpec node;
  int nodes = 1;
  int replicas = 1;
  EngineSpec engine;
  BatchingSpec batching;
  double expert_skew = 0.0;
  ExpertParallelSpec expert_parallel;
  SpeculationSpec speculation;
  power::PowerModel power;
  std::string router = "round_robin";  // see router_policies()
  Duration router_load_age;            // how old the loads are that it goes by
  std::vector<ServiceStep> schedule;   // ascending; empty: every replica, always
  AutoscaleSpec autoscale;
};

struct TraceRequest {
  std::int64_t arrival_ps = 0;
  std::int32_t input_tokens = 0;
  std::int32_t output_tokens = 0;
  std::int32_t tenant = 0;
  std::int32_t priority = 0;       // lower is more urgent
  std::int32_t session = -1;       // conversation; its turns share a growing prefix
  std::int32_t shared_tokens = 0;  // of the prompt, seen in the session's earlier turns
  std::int64_t deadline_ps = -1;   // after arrival; -1 = none
};

// Which blocks of its prompt a request shares with others: ids[offset[i]] .. ids[offset[i + 1]],
// each standing for `block_tokens` tokens and all before them; the last may be shorter.
struct PrefixBlocks {
  std::int32_t block_tokens = 0;
  std::vector<std::uint32_t> offset, ids;
};

struct TraceArrivals {                                        // replay
  std::shared_ptr<const std::vector<TraceRequest>> requests;  // sorted by arrival
  double rate_scale = 1.0;
  std::shared_ptr<const PrefixBlocks> prefix = {};  // of the requests, if the trace says
};
struct PoissonArrivals {
  double requests_per_s = 0.0;
};
enum class GapShape : std::uint8_t { deterministic, gamma, weibull };
struct RenewalArrivals {  // independent gaps
  GapShape shape = GapShape::gamma;
  double requests_per_s = 0.0;
  double cv = 1.0;  // standard deviation of the gaps over their mean
};
struct ModulatedArrivals {  // Poisson whose rate changes at random (MMPP)
  struct State {
    double requests_per_s = 0.0, dwell_s = 0.0;  // mean stay, exponential; then another at random
  };
  std::vector<State> states;
};
struct PoolArrivals {  // clients of a real service
  std::shared_ptr<const ClientPool> pool;
  double rate_scale = 1.0;
  double from_s = 0.0;  // of the pool's day
};
struct ClosedLoopArrivals {
  int concurrency = 0;   // requests in flight; the next is sent as one ends
  double think_s = 0.0;  // after a pause of this mean, exponential
};
struct SessionArrivals {        // conversations whose every turn sends all that was said before
  double sessions_per_s = 0.0;  // Poisson
  double turns = 1.0;           // mean, geometric
  double think_s = 0.0;         // from an answer to the next turn: mean, exponential
};
using Arrivals = std::variant<TraceArrivals, PoissonArrivals, RenewalArrivals, ModulatedArrivals,
                              PoolArrivals, ClosedLoopArrivals, SessionArrivals>;

struct LengthSpec {           // for arrivals without lengths of their own
  double low_fraction = 1.0;  // uniform integer in [low_fraction * tokens, tokens]; 1 = fixed
  int tokens = 0;
  double mean = 0.0, sigma = 0.0;  // mean > 0: log-normal instead, cut at `tokens`
};

// Factor on the rate of random arrivals over time, linear between points; `period_s` > 0: repeats,
// else the last factor holds.
struct RateProfile {
  struct Point {
    double at_s = 0.0, factor = 1.0;
  };
  std::vector<Point> points;
  double period_s = 0.0;
};

// A kind of request: who sends it and what it is entitled to.
struct RequestClass {
  std::string name;
  double share = 1.0;
  std::int32_t priority = 0;      // lower is more urgent
  std::int64_t deadline_ps = -1;  // after arrival; -1 = none
};

struct WorkloadSpec {
  std::string name;
  Arrivals arrivals;
  LengthSpec input;
  LengthSpec output;
  // Pairs of lengths to draw from instead, e.g. those of a trace.
  std::shared_ptr<const std::vector<TraceRequest>> lengths;
  double input_scale = 1.0, output_scale = 1.0;  // on lengths, wherever they come from
  RateProfile profile;
  std::vector<RequestClass> classes;     // drawn by share; a request's tenant is its class
  std::optional<Duration> duration;      // arrivals stop here; the run then drains
  std::optional<std::int64_t> requests;  // or after so many
  Duration warmup;                       // requests that arrive earlier are served but not counted
  bool truncate_over_context =
      false;  // longer than the model's context: cut, else reject and count
};

struct ServingSpec {
  DeploymentSpec deployment;
  std::vector<DeploymentSpec> pools;  // more of them; a prefill pool is followed by its decode pool
  ClusterSpec cluster;
  WorkloadSpec workload;
  std::uint64_t seed = 1;
  std::int64_t record_one_in = 1;  // keeps a record of one request of so many in a row; 0: of none
  bool record_steps = true;        // per-iteration log (bounded, see result)
  std::int64_t watch = -1;         // number of a request to record step by step; -1 = none
  bool decode_runs = true;         // false: one event a decode step; results are the same
};

}  // namespace foretoken::models::serving
