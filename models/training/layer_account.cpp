#include "models/training/layer_account.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/matrices.hpp"

namespace foretoken::models::training {
namespace {

using Kind = llm::CollectiveKind;

constexpr double kHalf = 2.0;  // bytes of a 16-bit element
constexpr double kSingle = 4.0;
constexpr double kTile = 128;  // rows of an expert are padded to whole tiles

// Arithmetic work of the backward pass of fused attention over the forward's, per pair of
// positions: dV, dP, dS K, dS' Q and S again, five products for two (Dao, FlashAttention-2, 2023);
// its kernels reach 0.8 of the forward's rate (same paper, figures 5 and 6; FlashAttention-3 gives
// 0.78-0.85).
constexpr double kBackwardRate = 0.8;

double d(std::int64_t value) { return static_cast<double>(value); }

// Bytes of an element kept for a product's weight gradient: in the format it is multiplied in,
// scales of its blocks included.
double kept_bytes(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::fp32:
      return 4.0;
    case Arithmetic::bf16:
    case Arithmetic::fp16:
      return kHalf;
    case Arithmetic::fp8:
      return 1.0;
    case Arithmetic::fp8_block:
    case Arithmetic::mxfp8:
      return 1.0 + 1.0 / 32;
    case Arithmetic::nvfp4:
      return 0.5 + 1.0 / 16;
  }
  return kHalf;
}

}  // namespace

LayerAccount::LayerAccount(const TrainingSpec& spec, const MachineTimes& machine)
    : spec_(spec),
      machine_(machine),
      rows_(spec.batch.micro * spec.batch.sequence / spec.layout.context),
      split_(spec.software.sequence_parallel ? spec.layout.tensor : 1) {}

// A product with weights [in, out] held by this GPU, and both its gradients. The weight gradient
// is added onto what is there: read and written at gradient_bytes, 16 bits of which the measured
// product writes already. Kept for it: the input, in the format it is multiplied in.
void LayerAccount::product(Load& load, std::int64_t rows, std::int64_t in, std::int64_t out,
                           Arithmetic arithmetic) const {
  const double weights = d(in) * d(out);
  load.passes.forward[Part::gemm] += machine_.gemm(rows, out, in, arithmetic);
  load.passes.input[Part::gemm] += machine_.gemm(rows, in, out, arithmetic);
  load.passes.weight[Part::weight_gemm] +=
      machine_.gemm(out, in, rows, arithmetic) +
      machine_.memory(weights * std::max(0.0, 2 * spec_.software.gradient_bytes - kHalf));
  load.passes.forward[Part::launches] += 1;
  load.passes.input[Part::launches] += 1;
  load.passes.weight[Part::launches] += 1;
  transposing_casts(load, d(rows), d(in), d(out), arithmetic);
  load.dense_parameters += weights;
  load.flops += 6 * d(rows) * weights;
  // Its weight gradient before it is added up, beside the gradients of its input and output.
  load.working_bytes = std::max(load.working_bytes, weights * spec_.software.gradient_bytes +
                                                        d(rows) * (d(in) + d(out)) * kHalf);
}

// Scales along the rows serve the forward product and the input's gradient; the weight gradient
// sums over rows, so its operands are scaled again along columns: the input from what was kept,
// the output's gradient from 16 bits, in both directions (DeepSeek-V3 report, section 3.3). Such
// kernels transpose through shared memory.
void LayerAccount::transposing_casts(Load& load, double rows, double in, double out,
                                     Arithmetic arithmetic) const {
  double bytes = 0;
  if (arithmetic == Arithmetic::fp8_block || arithmetic == Arithmetic::mxfp8)
    bytes = rows * (in * (1 + 1) + out * (kHalf + 1 + 1));
  // NVFP4: both operands are read for their largest element (two levels of scales), then rotated
  // (random Hadamard) and scaled, from 16 bits.
  const double four = kept_bytes(Arithmetic::nvfp4);
  if (arithmetic == Arithmetic::nvfp4) bytes = rows * (in + out) * (2 * kHalf + four);
  if (bytes <= 0) return;
  load.passes.weight[Part::elementwise] += machine_.memory(bytes);
  load.passes.weight[Part::launches] += 2;
}

// In fp32 everything between the products is twice as wide.
void LayerAccount::widen(Load& load) const {
  if (spec_.arithmetic != Arithmetic::fp32) return;
  for (Parts* pass : {&load.passes.forward, &load.passes.input, &load.passes.weight})
    for (const Part part : {Part::elementwise, Part::permutation, Part::tensor, Part::context,
                            Part::exchange, Part::shard})
      (*pass)[part] *= 2;
  load.activation_bytes *= 2;
  load.working_bytes *= 2;
}

void LayerAccount::elementwise(Load& load, double forward_bytes, double backward_bytes,
                               int kernels) const {
  load.passes.forward[Part::elementwise] += machine_.memory(forward_bytes);
  load.passes.input[Part::elementwise] += machine_.memory(backward_bytes);
  load.passes.forward[Part::launches] += kernels;
  load.passes.input[Part::launches] += kernels;
}

// Two norms, two additions to the residual stream (with dropout where the model was trained with
// it): bytes of hidden elements read and written.
void LayerAccount::norms(Load& load) const {
  const double elements = d(rows_) * spec_.model.hidden / split_;
  const double mask = spec_.software.dropout ? 1 : 0;
  elementwise(load, elements * 2 * (2 * kHalf + 3 * kHalf + mask),
              elements * 2 * (3 * kHalf + 2 * kHalf + mask), 4);
  load.dense_parameters += d(llm::vector_elements_per_layer(spec_.model));
  // Inputs of both norms and what they give (the input of the next product, which an 8-bit
  // product keeps in 8 bits).
  load.activation_bytes += elements * 2 * (kHalf + kept_bytes(spec_.arithmetic) + mask);
  load.cheap_bytes += elements * 2 * kept_bytes(spec_.arithmetic);
  load.cheap[Part::elementwise] += machine_.memory(elements * 2 * 2 * kHalf);
}

void LayerAccount::fused_attention(Load& load, int window, double qk_over_v) const {
  const auto& model = spec_.model;
  const int heads = llm::heads_per_gpu(model, spec_.layout.tensor);
  const int kv_heads =
      model.attention.mla ? heads : llm::kv_heads_per_gpu(model, spec_.layout.tensor);
  const int head_dim =
      model.attention.mla ? model.attention.mla->v_head_dim : model.attention.head_dim;
  // Context ranks are dealt equal work: each its share of the whole sequence's.
  const double forward = machine_.attention(spec_.batch.micro, spec_.batch.sequence, heads,
                                            kv_heads, head_dim, window) /
                         spec_.layout.context;
  // Per pair of positions: forward 2 (qk + v), backward 2 (3 qk + 2 v); measured heads have qk = v.
  const double scale = (qk_over_v + 1) / 2;
  const double backward = (3 * qk_over_v + 2) / 2 / kBackwardRate;
  load.passes.forward[Part::attention] += forward * scale;
  load.passes.input[Part::attention] += forward * backward;
  load.passes.forward[Part::launches] += 1;
  load.passes.input[Part::launches] += 3;
  const double pairs = window > 0 ? d(std::min<std::int64_t>(window, spec_.batch.sequence))
                                  : d(spec_.batch.sequence) / 2;
  load.flops += 3 * 2 * d(rows_) * pairs * heads * head_dim * (qk_over_v + 1);
}

// Scores, softmax, dropout and probabilities go through memory (Megatron-LM before 2022): elements
// of batch x heads x sequence^2. Forward: scores written, softmax read and written, dropout read,
// written and its mask, probabilities read: 11 bytes; backward: twice that; both products of full,
// not causal, matrices.
void LayerAccount::unfused_attention(Load& load) const {
  const auto& model = spec_.model;
  const int heads = llm::heads_per_gpu(model, spec_.layout.tensor);
  const double sequence = d(spec_.batch.sequence);
  const double elements = d(rows_) * sequence * heads;
  const double flops = 2 * elements * model.attention.head_dim;
  // Short inner dimension: the product is bound by writing and reading the scores.
  constexpr double kBatchedShare = 0.5;  // of the peak; assumed for products of depth 64-160
  const double product = flops / (kBatchedShare * machine_.arithmetic_peak(Arithmetic::bf16));
  const double bytes = elements * (spec_.software.dropout ? 11 : 8);
  load.passes.forward[Part::attention] += machine_.memory(bytes) + 2 * product;
  load.passes.input[Part::attention] += machine_.memory(2 * bytes) + 4 * product;
  load.passes.forward[Part::launches] += 4;
  load.passes.input[Part::launches] += 6;
  load.activation_bytes += elements * (spec_.software.dropout ? 5 : 2);
  load.flops += 6 * flops;
}

bool LayerAccount::fused() const {
  return spec_.software.flash_attention &&
         !spec_.software.unfused_sinks(spec_.model, spec_.release);
}

void LayerAccount::attention(Load& load, int window) const {
  const auto& model = spec_.model;
  const auto& a = model.attention;
  const int tensor = spec_.layout.tensor;
  double qk_over_v = 1;
  for (const auto& m : llm::attention_matrices(model, tensor)) {
    const Arithmetic arithmetic =
        m.role == llm::WeightRole::attention ? spec_.arithmetic : Arithmetic::bf16;
    product(load, rows_, m.k, m.n, arithmetic);
    load.dense_parameters += d(m.bias);
    // Up-projections from the latents are what Megatron and DeepSeek repeat.
    if (a.mla && (m.name == "q_b_proj" || m.name == "kv_b_proj"))
      load.cheap[Part::gemm] += machine_.gemm(rows_, m.n, m.k, arithmetic);
  }
  const double rows = d(rows_);
  const double heads = llm::heads_per_gpu(model, tensor);
  const double input = kept_bytes(spec_.arithmetic);
  if (a.mla) {
    const auto& mla = *a.mla;
    const double qk = mla.qk_nope_head_dim + mla.qk_rope_head_dim, v = mla.v_head_dim;
    qk_over_v = qk / v;
    // Rotation, joining of both halves of queries and keys; norms of the latents.
    const double moved = heads * (2 * qk + v) + mla.q_lora_rank + mla.kv_lora_rank;
    elementwise(load, rows * moved * 2 * kHalf, rows * moved * 2 * kHalf, 5);
    load.cheap_bytes += rows * heads * (2 * qk + v) * kHalf;
    load.activation_bytes +=
        rows * (heads * (2 * qk + v) * kHalf + heads * v * kHalf + heads * kSingle +
                (mla.q_lora_rank + mla.kv_lora_rank + mla.qk_rope_head_dim) * (kHalf + input));
  } else {
    const double kv = 2.0 * llm::kv_heads_per_gpu(model, tensor) * a.head_dim;
    if (!model.learned_positions)
      elementwise(load, rows * (heads * a.head_dim + kv / 2) * 2 * kHalf,
                  rows * (heads * a.head_dim + kv / 2) * 2 * kHalf, 2);
    if (a.qk_norm)
      elementwise(load, rows * (heads * a.head_dim + kv / 2) * 2 * kHalf,
                  rows * (heads * a.head_dim + kv / 2) * 3 * kHalf, 2);
    load.activation_bytes +=
        rows * ((heads * a.head_dim + kv) * kHalf + heads * a.head_dim * kHalf + heads * kSingle);
  }
  if (fused())
    fused_attention(load, window, qk_over_v);
  else
    unfused_attention(load);
  if (spec_.layout.context > 1) {
    // Keys and values of all context ranks, once forward; twice backward (them and their
    // gradients).
    const double kv =
        a.mla ? heads * (a.mla->qk_nope_head_dim + a.mla->qk_rope_head_dim + a.mla->v_head_dim)
              : 2.0 * llm::kv_heads_per_gpu(model, tensor) * a.head_dim;
    const double bytes = rows * spec_.layout.context * kv * kHalf;
    const double once = machine_.message(Kind::all_gather, bytes, context_group(spec_.layout));
    load.passes.forward[Part::context] += once;
    load.passes.input[Part::context] += 2 * once;
  }
}

void LayerAccount::feed_forward(Load& load, std::int64_t intermediate, bool shared) const {
  const auto matrices = llm::mlp_matrices(
      spec_.model, intermediate,
      shared ? llm::WeightRole::shared_expert : llm::WeightRole::dense_mlp, spec_.layout.tensor);
  for (const auto& m : matrices) {
    product(load, rows_, m.k, m.n, spec_.arithmetic);
    load.dense_parameters += d(m.bias);
  }
  const double up = d(matrices[0].n), inner = d(matrices[1].k);
  elementwise(load, d(rows_) * (up + inner) * kHalf, d(rows_) * (2 * up + inner) * kHalf, 1);
  load.activation_bytes += d(rows_) * (up * kHalf + inner * kept_bytes(spec_.arithmetic));
  load.swiglu_bytes += d(rows_) * up * kHalf;
  load.cheap_bytes += d(rows_) * inner * kept_bytes(spec_.arithmetic);
  load.cheap[Part::elementwise] += machine_.memory(d(rows_) * (up + inner) * kHalf);
}

double LayerAccount::tokens_per_expert() const {
  if (!spec_.model.moe) return 0;
  const auto& moe = *spec_.model.moe;
  const auto& l = spec_.layout;
  // Each tensor rank routes its part of the tokens; all ranks of the expert group meet.
  const double rows = d(rows_) / l.tensor * moe.top_k * l.expert * l.expert_tensor;
  return rows / moe.experts;
}

// Dispatch and combine, forward and again backward. Without deduplication every (token, expert)
// pair travels; with it a token travels once to each node that holds one of its experts, then on
// inside the node (DeepEP).
void LayerAccount::exchange(Load& load, double rows) const {
  const auto& moe = *spec_.model.moe;
  const Group group = expert_group(spec_.layout);
  if (group.ranks <= 1) return;
  const double hidden = spec_.model.hidden;
  double pairs = rows;
  const double local = machine_.members_in_node(group);
  double nodes = std::ceil(group.ranks / local);
  if (spec_.software.deduplicated_dispatch && nodes > 1) {
    const double tokens = rows / moe.top_k;
    const double most = std::min<double>(moe.top_k, nodes);
    // Nodes that top_k experts drawn at random fall on; DeepSeek-V3 limits them to 4.
    const double reached = std::min(most, nodes * (1 - std::pow(1 - 1 / nodes, moe.top_k)));
    pairs = tokens * std::min(reached, spec_.software.constant("node_limit", most));
  }
  const auto seconds = [&](double bytes_per_element) {
    return machine_.message(Kind::all_to_all, pairs * hidden * bytes_per_element, group);
  };
  load.passes.forward[Part::exchange] += seconds(spec_.software.dispatch_bytes) + seconds(kHalf);
  load.passes.input[Part::exchange] += seconds(kHalf) + seconds(spec_.software.dispatch_bytes);
  load.passes.forward[Part::launches] += 2;
  load.passes.input[Part::launches] += 2;
}

// Routed experts of this rank: balanced, as frameworks force it in benchmarks. Grouped products
// take as long as one product over all rows padded to whole tiles, but never less than reading
// the weights of every expert.
void LayerAccount::experts(Load& load) const {
  const auto& model = spec_.model;
  const auto& moe = *model.moe;
  const auto& l = spec_.layout;
  const double held = static_cast<double>(moe.experts) / l.expert;
  const double each = tokens_per_expert();
  const double padded = std::ceil(each / kTile) * kTile;
  const auto rows = static_cast<std::int64_t>(std::llround(padded * held));
  const double tokens = d(rows_) / l.tensor;
  const double pairs = tokens * moe.top_k;  // sent by this rank; as many arrive
  for (const auto& m : llm::expert_matrices(model, l.expert_tensor)) {
    const double weights = held * d(m.k) * d(m.n);
    const double read = machine_.memory(weights * kept_bytes(spec_.arithmetic));
    load.passes.forward[Part::experts] +=
        std::max(read, machine_.gemm(rows, m.n, m.k, spec_.arithmetic));
    load.passes.input[Part::experts] +=
        std::max(read, machine_.gemm(rows, m.k, m.n, spec_.arithmetic));
    // One product an expert: as deep as its rows, so that depth is what its efficiency sees.
    const auto depth = static_cast<std::int64_t>(std::llround(padded));
    const auto wide = static_cast<std::int64_t>(std::llround(d(m.n) * held));
    load.passes.weight[Part::weight_experts] +=
        machine_.gemm(wide, m.k, depth, spec_.arithmetic) +
        machine_.memory(weights * std::max(0.0, 2 * spec_.software.gradient_bytes - kHalf));
    load.passes.forward[Part::launches] += 1;
    load.passes.input[Part::launches] += 1;
    load.passes.weight[Part::launches] += held;
    transposing_casts(load, pairs, d(m.k), d(m.n), spec_.arithmetic);
    load.expert_parameters += weights + held * d(m.bias);
    load.flops += 6 * pairs * d(m.k) * d(m.n);
  }
  const auto matrices = llm::expert_matrices(model, l.expert_tensor);
  const double up = d(matrices[0].n), inner = d(matrices[1].k), hidden = model.hidden;
  elementwise(load, pairs * (up + inner) * kHalf, pairs * (2 * up + inner) * kHalf, 1);
  // Gathering rows by rank and by expert, and back: each row read and written.
  const double steps = spec_.software.fused_permutation ? 2 : 4;
  const double moved = pairs * hidden * kHalf * 2 * steps;
  load.passes.forward[Part::permutation] += machine_.memory(moved);
  load.passes.input[Part::permutation] += machine_.memory(moved);
  load.passes.forward[Part::launches] += 8;
  load.passes.input[Part::launches] += 8;
  load.activation_bytes += pairs * (hidden * kept_bytes(spec_.arithmetic) + up * kHalf +
                                    inner * kept_bytes(spec_.arithmetic)) +
                           tokens * moe.experts * 2 * kSingle;
  load.swiglu_bytes += pairs * up * kHalf;
  load.cheap_bytes += pairs * inner * kept_bytes(spec_.arithmetic);
  load.cheap[Part::elementwise] += machine_.memory(pairs * (up + inner) * kHalf);
  load.expert_layers += 1;
  // Router: 16-bit product on this rank's tokens; scores in fp32.
  const auto router = llm::router_matrix(model);
  product(load, rows_ / l.tensor, router.k, router.n, Arithmetic::bf16);
  elementwise(load, tokens * moe.experts * 6 * kSingle, tokens * moe.experts * 4 * kSingle, 6);
  if (moe.shared_experts > 0)
    feed_forward(load, std::int64_t{moe.intermediate} * moe.shared_experts, true);
  exchange(load, pairs);
}

// `blocks` of a layer (attention, feed-forward) that end in a sum over the tensor ranks. With
// sequence parallelism: gather before, scatter after, the same backward, and the gather again for
// the weight gradient. (Korthikanti et al. 2022, section 4.2.2.)
void LayerAccount::tensor_messages(Load& load, int blocks) const {
  if (spec_.layout.tensor == 1) return;
  const double bytes = d(rows_) * spec_.model.hidden * kHalf;
  const Group group = tensor_group(spec_.layout);
  const auto once = [&](Kind kind) { return machine_.message(kind, bytes, group); };
  const double forward = spec_.software.sequence_parallel
                             ? once(Kind::all_gather) + once(Kind::reduce_scatter)
                             : once(Kind::all_reduce);
  const double again = spec_.software.sequence_parallel ? once(Kind::all_gather) : 0;
  load.passes.forward[Part::tensor] += blocks * forward;
  load.passes.input[Part::tensor] += blocks * (forward + again);
}

// ZeRO-3: every layer's parameters gathered before its forward and its backward pass, gradients
// scattered after it.
void LayerAccount::shard_messages(Load& load) const {
  if (spec_.layout.sharding != Sharding::parameters) return;
  Group group = data_group(spec_.layout);
  if (spec_.layout.shard_group > 0) group.ranks = spec_.layout.shard_group;
  Group experts = expert_data_group(spec_.layout);
  const auto& software = spec_.software;
  const auto gathered = [&](const Group& g, double elements) {
    return machine_.message(Kind::all_gather, elements * software.gather_bytes, g);
  };
  const auto scattered = [&](const Group& g, double elements) {
    return machine_.message(Kind::reduce_scatter, elements * software.reduce_bytes, g);
  };
  load.passes.forward[Part::shard] +=
      gathered(group, load.dense_parameters) + gathered(experts, load.expert_parameters);
  load.passes.input[Part::shard] +=
      gathered(group, load.dense_parameters) + gathered(experts, load.expert_parameters);
  load.passes.weight[Part::shard] +=
      scattered(group, load.dense_parameters) + scattered(experts, load.expert_parameters);
}

// Full: the layer's input alone is kept, and the forward pass runs again. Selective: attention's
// inner part runs again (Korthikanti et al. 2022, section 5); where attention is fused and repeats
// itself anyway, norms, activations and latent up-projections (DeepSeek-V3 report, section 3.2.3;
// Megatron's selective modules).
void LayerAccount::recompute(Load& load) const {
  Parts& input = load.passes.input;
  switch (spec_.recompute) {
    case Recompute::none:
      return;
    case Recompute::selective: {
      if (fused()) {
        input.add(load.cheap);
        load.activation_bytes -= load.cheap_bytes;
        // DeepSeek's recipe keeps the inputs of SwiGLU in 8 bits (V3 report, section 3.3.3).
        if (spec_.arithmetic == Arithmetic::fp8_block)
          load.activation_bytes -= load.swiglu_bytes * (1 - kept_bytes(spec_.arithmetic) / kHalf);
        return;
      }
      input[Part::attention] += load.passes.forward[Part::attention];
      const double scores = d(rows_) * d(spec_.batch.sequence) *
                            llm::heads_per_gpu(spec_.model, spec_.layout.tensor) *
                            (spec_.software.dropout ? 5 : 2);
      load.activation_bytes -= scores;
      load.working_bytes = std::max(load.working_bytes, scores);
      return;
    }
    case Recompute::full:
      // What is gathered for the forward pass again serves the backward pass.
      for (const Part part :
           {Part::gemm, Part::attention, Part::elementwise, Part::experts, Part::permutation,
            Part::tensor, Part::context, Part::exchange, Part::launches})
        input[part] += load.passes.forward[part];
      load.working_bytes = std::max(load.working_bytes, load.activation_bytes);
      load.activation_bytes = d(rows_) * spec_.model.hidden *
                              (spec_.arithmetic == Arithmetic::fp32 ? kSingle : kHalf) / split_;
      return;
  }
}

Load LayerAccount::layer(bool with_experts, int window) const {
  Load load;
  norms(load);
  attention(load, window);
  if (with_experts)
    experts(load);
  else
    feed_forward(load, spec_.model.intermediate, false);
  const bool routed_only = with_experts && spec_.model.moe->shared_experts == 0;
  tensor_messages(load, routed_only ? 1 : 2);
  shard_messages(load);
  widen(load);
  recompute(load);
  return load;
}

Load LayerAccount::embedding() const {
  Load load;
  const double elements = d(rows_) * spec_.model.hidden;
  const double width = std::ceil(d(spec_.model.vocab) / spec_.layout.tensor);
  load.dense_parameters = width * spec_.model.hidden;
  if (spec_.model.learned_positions)
    load.dense_parameters += d(spec_.model.max_positions) * spec_.model.hidden;
  elementwise(load, elements * 2 * kHalf, elements * (kHalf + 2 * kSingle), 2);
  if (spec_.layout.tensor > 1) {
    const double bytes = elements * kHalf;
    const Kind kind = spec_.software.sequence_parallel ? Kind::reduce_scatter : Kind::all_reduce;
    load.passes.forward[Part::tensor] += machine_.message(kind, bytes, tensor_group(spec_.layout));
  }
  shard_messages(load);
  return load;
}

// Final norm, logits in 16 bits, loss in fp32. Fused: logits read, softmax statistics, gradient
// written in place; else several passes over fp32 logits.
Load LayerAccount::head() const {
  Load load;
  const auto width = (spec_.model.vocab + spec_.layout.tensor - 1) / spec_.layout.tensor;
  product(load, rows_, spec_.model.hidden, width, Arithmetic::bf16);
  const double logits = d(rows_) * width;
  const bool fused = spec_.software.fused_cross_entropy;
  elementwise(load, logits * (fused ? 8 : 30), logits * (fused ? 6 : 12), fused ? 3 : 8);
  const double elements = d(rows_) * spec_.model.hidden / split_;
  elementwise(load, elements * 2 * kHalf, elements * 3 * kHalf, 1);
  load.activation_bytes = elements * 2 * kHalf;
  // Unfused: fp32 log-probabilities, their gradient and that of the logits stand at once.
  load.working_bytes = logits * (fused ? kHalf + kSingle : 3 * kSingle);
  if (spec_.layout.tensor > 1) {
    const double bytes = d(rows_) * spec_.model.hidden * kHalf;
    const Group group = tensor_group(spec_.layout);
    const bool split = spec_.software.sequence_parallel;
    if (split)
      load.passes.forward[Part::tensor] += machine_.message(Kind::all_gather, bytes, group);
    load.passes.input[Part::tensor] +=
        machine_.message(split ? Kind::reduce_scatter : Kind::all_reduce, bytes, group);
  }
  widen(load);
  shard_messages(load);
  return load;
}

}  // namespace foretoken::models::training
