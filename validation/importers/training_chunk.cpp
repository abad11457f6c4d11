// Operators of a training chunk, counted and timed from the model card.
#include <algorithm>
#include <cmath>
#include <map>

#include "sim/core/error.hpp"
#include "validation/importers/predict.hpp"

namespace foretoken::validation::importers {
namespace {

namespace hardware = models::hardware;
namespace kernels = models::kernels;
namespace llm = models::llm;

struct Matrix {
  std::string name;
  std::int64_t in = 0, out = 0;
};

std::vector<Matrix> dense_matrices(const llm::ModelSpec& model) {
  const llm::MlaSpec& mla = *model.attention.mla;
  const llm::MoeSpec& moe = *model.moe;
  const std::int64_t heads = model.attention.heads, hidden = model.hidden;
  const std::int64_t query = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
  const std::int64_t shared = std::int64_t{moe.intermediate} * moe.shared_experts;
  std::vector<Matrix> matrices;
  if (mla.q_lora_rank > 0) {
    matrices.push_back({"q_a", hidden, mla.q_lora_rank});
    matrices.push_back({"q_b", mla.q_lora_rank, query});
  } else {
    matrices.push_back({"q", hidden, query});
  }
  matrices.push_back({"kv_a", hidden, mla.kv_lora_rank + mla.qk_rope_head_dim});
  matrices.push_back({"kv_b", mla.kv_lora_rank, heads * (mla.qk_nope_head_dim + mla.v_head_dim)});
  matrices.push_back({"o", heads * mla.v_head_dim, hidden});
  if (shared > 0) {
    matrices.push_back({"shared_gate_up", hidden, 2 * shared});
    matrices.push_back({"shared_down", shared, hidden});
  }
  return matrices;
}

// SMs set aside for communication take their share of the arithmetic; the memory is shared.
hardware::GpuSpec without_sms(hardware::GpuSpec gpu, int sms) {
  const double share = static_cast<double>(gpu.sm_count - sms) / gpu.sm_count;
  gpu.sm_count -= sms;
  for (auto& [dtype, rate] : gpu.peak) rate = rate * share;
  return gpu;
}

hardware::NodeSpec node_of(const hardware::GpuSpec& gpu) {
  hardware::NodeSpec node;
  node.name = gpu.name;
  node.gpu = gpu;
  node.gpus = 8;
  return node;
}

class Chunk {
 public:
  Chunk(const TrainingChunk& chunk, const hardware::GpuSpec& gpu,
        const std::shared_ptr<const kernels::Calibration>& calibration)
      : chunk_(chunk),
        gemm_(node_of(without_sms(gpu, chunk.communication_sms)), chunk.gemm_tables, calibration),
        attention_(node_of(without_sms(gpu, chunk.communication_sms)), chunk.attention_tables,
                   calibration) {
    const auto peaks = without_sms(gpu, chunk.communication_sms).peak;
    const auto fp8 = peaks.find(hardware::DType::fp8);
    if (fp8 == peaks.end())
      throw sim::core::InputError(gpu.name + ": the trace multiplies in FP8, which this GPU lacks");
    fp8_peak_ = fp8->second.value();
    bandwidth_ = gpu.memory_bandwidth.value();
  }

  std::vector<Expected> all() {
    for (const Matrix& matrix : dense_matrices(chunk_.model)) dense(matrix);
    experts();
    router();
    attention();
    casts();
    norms_and_rotation();
    activations();
    permutation();
    exchange();
    std::vector<Expected> result;
    for (auto& [name, expected] : classes_) {
      expected.kernel_class = name;
      result.push_back(expected);
    }
    return result;
  }

 private:
  void add(const std::string& kernel_class, int n, double us, const std::string& source) {
    Expected& expected = classes_[kernel_class];
    expected.n += n * chunk_.layers;
    expected.us += us * n * chunk_.layers;
    expected.source = source;
  }
  // A library's fused pass over memory: wide loads, every SM; eager kernels, which the kernel
  // tables measured, are slower. Efficiency as models/training has it, launch as CUDA graphs show
  // it.
  [[nodiscard]] double memory_us(double bytes) const {
    constexpr double kEfficiency = 0.8, kLaunchUs = 3;
    return kLaunchUs + bytes / (kEfficiency * bandwidth_) * 1e6;
  }
  // The measured FP8 products quantise their input first (bf16 read, fp8 written: 3 bytes an
  // element); in training that is a kernel of its own, used by the weight gradient as well.
  double fp8_us(std::int64_t m, std::int64_t n, std::int64_t k, std::string& source) const {
    const auto time = gemm_.time(llm::GemmOp{m, n, k, llm::WeightFormat::fp8_block});
    source = time.source;
    const double floor = 2.0 * static_cast<double>(m) * static_cast<double>(n) *
                         static_cast<double>(k) / fp8_peak_ * 1e6;
    const double quantise = memory_us(3.0 * static_cast<double>(m) * static_cast<double>(k));
    return std::max(time.seconds * 1e6 - quantise, floor);
  }
  // Gradient of a weight matrix, added to what is there: read and written at `gradient_bytes`, of
  // which the measured product writes 2.
  double gradient_us(const Matrix& matrix, std::int64_t rows, std::string& source) const {
    const double weights = static_cast<double>(matrix.in) * static_cast<double>(matrix.out);
    return fp8_us(matrix.out, matrix.in, rows, source) +
           memory_us(weights * (2 * chunk_.gradient_bytes - 2));
  }

  void dense(const Matrix& matrix) {
    std::string source;
    const auto& again = chunk_.recomputed;
    const bool twice = std::find(again.begin(), again.end(), matrix.name) != again.end();
    const double forward = fp8_us(chunk_.tokens, matrix.out, matrix.in, source);
    add("gemm fp8", twice ? 2 : 1, forward, source);
    add("gemm fp8", 1, fp8_us(chunk_.tokens, matrix.in, matrix.out, source), source);
    add("gemm fp8 weight gradient", 1, gradient_us(matrix, chunk_.tokens, source), source);
  }

  // Balanced routing: each rank's experts take tokens x top-k rows in all. One grouped launch a
  // matrix forward and one for the gradient of its input; one launch an expert for its weights.
  void experts() {
    const llm::MoeSpec& moe = *chunk_.model.moe;
    const int held = moe.experts / chunk_.expert_parallel;
    const std::int64_t rows = chunk_.tokens * moe.top_k;
    const Matrix gate_up{"gate_up", chunk_.model.hidden, std::int64_t{2} * moe.intermediate};
    const Matrix down{"down", moe.intermediate, chunk_.model.hidden};
    for (const Matrix& matrix : {gate_up, down}) {
      std::string source;
      add("grouped gemm fp8", 1, fp8_us(rows, matrix.out, matrix.in, source), source);
      add("grouped gemm fp8", 1, fp8_us(rows, matrix.in, matrix.out, source), source);
      add("gemm fp8 weight gradient", held, gradient_us(matrix, rows / held, source), source);
    }
  }

  // The router stays in bf16; its logits and the gradient of its weights are 32-bit.
  void router() {
    const std::int64_t m = chunk_.tokens, n = chunk_.model.moe->experts, k = chunk_.model.hidden;
    const auto product = [&](std::int64_t rows, std::int64_t columns, std::int64_t depth,
                             double more_bytes) {
      const auto time = gemm_.time(llm::GemmOp{rows, columns, depth, llm::WeightFormat::bf16});
      add("gemm bf16", 1,
          kInSitu * time.seconds * 1e6 + (more_bytes > 0 ? memory_us(more_bytes) : 0), time.source);
    };
    product(m, n, k, 2.0 * static_cast<double>(m * n));
    product(m, k, n, 0);
    product(n, k, m, (2 * chunk_.gradient_bytes - 2) * static_cast<double>(n * k));
  }

  // FlashAttention-3 (Shah et al. 2024): forward QK' and PV; backward QK', dO V', P' dO, dS K and
  // dS' Q: of head sizes qk and v, 2 (qk + v) and 2 (3 qk + 2 v) FLOPs a pair. Measured kernels
  // have equal heads of v_head_dim; arithmetic scales them, of which attention of whole prompts
  // consists.
  void attention() {
    const llm::MlaSpec& mla = *chunk_.model.attention.mla;
    const double qk = mla.qk_nope_head_dim + mla.qk_rope_head_dim, v = mla.v_head_dim;
    llm::PrefillAttentionOp op;
    op.tokens = chunk_.tokens;
    op.heads = op.kv_heads = chunk_.model.attention.heads;
    op.head_dim = mla.v_head_dim;
    const auto time = attention_.time(op);
    const double per_flop = time.seconds * 1e6 / (4 * v);
    add("attention forward", 1, per_flop * 2 * (qk + v), time.source);
    add("attention backward", 1, per_flop * 2 * (3 * qk + 2 * v), time.source);
    // Before: O and dO are read (bf16) and the 32-bit sum of dQ cleared; after: it is read and
    // written as bf16.
    const double rows = static_cast<double>(chunk_.tokens) * op.heads;
    add("attention backward pre/post", 1, memory_us(rows * (2 * 2 * v + 4 * qk)),
        "memory bandwidth");
    add("attention backward pre/post", 1, memory_us(rows * (4 + 2) * qk), "memory bandwidth");
  }

  // Passes over memory. `bytes` of one layer, in n kernels.
  void pass(const std::string& kernel_class, int n, double bytes, double factor) {
    add(kernel_class, n, factor * memory_us(bytes / n), "memory bandwidth");
    classes_[kernel_class].n = 0;  // fusion decides how many: no claim
  }
  [[nodiscard]] double routed_rows() const {
    return static_cast<double>(chunk_.tokens) * chunk_.model.moe->top_k;
  }

  // Scaling to FP8 (report, section 3.3): the input of every product along its rows (2 bytes read,
  // 1 written), shared where two products read the same; backward the output's gradient along rows
  // and along columns, and the kept input again along columns (1 read, 1 written).
  void casts() {
    const llm::ModelSpec& model = chunk_.model;
    const double tokens = static_cast<double>(chunk_.tokens);
    double in = model.hidden, out = 0, again = 0;  // in: what is dispatched, as well
    bool first = true;
    for (const Matrix& m : dense_matrices(model)) {
      const bool shares = m.name == "kv_a";  // the input of the query's down-projection
      if (!shares || first) in += static_cast<double>(m.in);
      first = false;
      out += static_cast<double>(m.out);
      const auto& twice = chunk_.recomputed;
      if (std::find(twice.begin(), twice.end(), m.name) != twice.end())
        again += static_cast<double>(m.in);
    }
    const double inter = model.moe->intermediate, hidden = model.hidden;
    const double dense = tokens * (3 * (in + again) + 6 * out + 2 * (in - hidden));
    const double routed = routed_rows() * (6 * (hidden + 2 * inter) + 2 * (hidden + inter));
    constexpr int kKernels = 67;  // of a layer, by the trace's count; each a launch
    pass("cast and transpose", kKernels, dense + routed, chunk_.transposing);
  }

  // Norms of hidden states and latents forward, again in the backward pass (recomputed), and their
  // gradients; rotation of queries and keys in place, three times.
  void norms_and_rotation() {
    const llm::MlaSpec& mla = *chunk_.model.attention.mla;
    const double tokens = static_cast<double>(chunk_.tokens);
    const double width = 2.0 * chunk_.model.hidden + mla.q_lora_rank + mla.kv_lora_rank;
    pass("norm", 12, tokens * width * (2 * 4 + 6), chunk_.transposing);
    const double rotated = (chunk_.model.attention.heads + 1.0) * mla.qk_rope_head_dim;
    // A part of each head, so that rows are strided.
    pass("rotary embedding", 6, tokens * rotated * 4 * 3, chunk_.transposing);
  }

  // SwiGLU: both halves read, the product written in FP8; backward both halves and the gradient
  // read, both gradients and the product written.
  void activations() {
    const llm::MoeSpec& moe = *chunk_.model.moe;
    const double rows = routed_rows() + static_cast<double>(chunk_.tokens) * moe.shared_experts;
    const double inter = moe.intermediate;
    pass("activation", 6, rows * inter * ((4 + 1) + (4 + 2 + 4 + 2)), chunk_.streaming);
  }

  // Rows that arrive are spread by expert (FP8) and summed up again (bf16), forward and backward.
  void permutation() {
    const double elements = routed_rows() * chunk_.model.hidden;
    pass("expert permutation", 6, 2 * elements * ((1 + 1) + (2 + 2)), chunk_.streaming);
  }

  // Dispatch in FP8 with a scale for 128, combine in bf16, both ways; a token once to each of its
  // nodes. The kernels in a trace wait for their peers as well, which is not predicted.
  void exchange() {
    if (chunk_.network_per_gpu <= 0) return;
    const llm::MoeSpec& moe = *chunk_.model.moe;
    const double nodes = static_cast<double>(chunk_.expert_parallel) / chunk_.gpus_per_node;
    double reached = nodes * (1 - std::pow(1 - 1 / nodes, moe.top_k));
    if (chunk_.node_limit > 0) reached = std::min<double>(reached, chunk_.node_limit);
    constexpr double kEfficiency = 0.85;  // of a NIC's rate, long messages
    const double elements = static_cast<double>(chunk_.tokens) * reached * chunk_.model.hidden;
    const double us = elements * (nodes - 1) / nodes / (kEfficiency * chunk_.network_per_gpu) * 1e6;
    add("dispatch", 2, us * (1 + 4.0 / 128), "network bandwidth");
    add("combine", 2, us * 2, "network bandwidth");
    classes_["dispatch"].n = classes_["combine"].n = 0;
  }

  const TrainingChunk& chunk_;
  kernels::KernelModel gemm_, attention_;
  std::map<std::string, Expected> classes_;
  double fp8_peak_ = 0;   // FLOP/s of the SMs that are left
  double bandwidth_ = 0;  // byte/s of the memory
};

}  // namespace

std::vector<Expected> expect_training_chunk(
    const TrainingChunk& chunk, const hardware::GpuSpec& gpu,
    const std::shared_ptr<const kernels::Calibration>& calibration) {
  SIM_ASSERT(chunk.model.moe && chunk.model.attention.mla,
             "a training chunk needs experts and latent attention");
  SIM_ASSERT(chunk.communication_sms < gpu.sm_count, "some SMs must be left for arithmetic");
  Chunk work(chunk, gpu, calibration);
  return work.all();
}

}  // namespace foretoken::validation::importers
