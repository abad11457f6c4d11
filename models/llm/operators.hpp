#pragma once
// A forward step as a list of operators on one GPU of the replica. The step splits into parts
// that depend on few numbers each, so that a simulator can tabulate each part once:
//   step = dense(tokens, sequences) + decode_attention(batch, context)
//        + sum over chunks of prefill_attention(tokens, context) + communication(tokens)
//
// The lists cover one pass through the whole replica: with pipeline stages, one GPU of each stage
// in turn (a stage's share is about 1/pipeline). Matrix products of quantised formats include the
// quantisation of their input, as the measured tables do.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "models/llm/layout.hpp"

namespace foretoken::models::llm {

// C[m,n] = A[m,k] B[k,n], weights in `format`; `batch` independent products of that shape.
struct GemmOp {
  std::int64_t m = 0, n = 0, k = 0;
  WeightFormat format = WeightFormat::bf16;
};
// Softmax attention of `batch` prompts, each `tokens` new queries over `context` cached + own
// tokens.
struct PrefillAttentionOp {
  std::int64_t batch = 1, tokens = 0, context = 0;
  int heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  DType kv = DType::bf16;
};
// One query per sequence over `context` cached tokens (mean over the batch).
struct DecodeAttentionOp {
  std::int64_t batch = 0;
  double context = 0;
  int heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  DType kv = DType::bf16;
};
struct MlaPrefillOp {  // non-absorbed: heads of qk_nope + rope, values of v_head_dim
  std::int64_t batch = 1, tokens = 0, context = 0;
  int heads = 0;
  MlaSpec dims;
  DType kv = DType::bf16;
};
struct MlaDecodeOp {  // absorbed: every head reads the same latent cache
  std::int64_t batch = 0;
  double context = 0;
  int heads = 0;
  MlaSpec dims;
  DType kv = DType::bf16;
};
struct MlaBmmOp {  // absorbed projections around the decode core
  std::int64_t tokens = 0;
  int heads = 0;
  bool post = false;  // false: queries into the latent space; true: values out of it
  MlaSpec dims;
  WeightFormat format = WeightFormat::bf16;
};
// A latent-attention layer as engines time it whole: projections in and out, norms, rotation, cache
// write and core, without the all-reduce after it.
struct MlaBlockOp {
  bool prefill = false;     // non-absorbed over new tokens; else absorbed, one query a sequence
  std::int64_t batch = 1;   // sequences
  std::int64_t tokens = 1;  // new ones of each; decode: 1
  double context = 0;       // prefill: cached before; decode: cached, own token included
  int hidden = 0, heads = 0;
  MlaSpec dims;
  WeightFormat format = WeightFormat::bf16;  // of the projections
  DType kv = DType::bf16;
};
// Where the tokens of an expert layer come from.
enum class ExpertInput {
  local,       // on the rank already; the layer permutes them itself
  dispatched,  // sent by an exchange and packed by expert (DeepEP normal, prefill)
  masked       // sent by an exchange into fixed slots of each expert (DeepEP low latency, decode)
};
struct MoeOp {              // both grouped GEMMs, activation, permutation, on the busiest GPU
  std::int64_t tokens = 0;  // of the whole expert-parallel group
  int hidden = 0, intermediate = 0, top_k = 0, experts = 0;
  int tensor = 1, expert = 1;  // moe_tp, moe_ep
  WeightFormat format = WeightFormat::bf16;
  double skew = 0.0;  // power-law exponent of expert popularity; 0 = balanced
  ExpertInput input = ExpertInput::local;
  int slots = 0;            // experts with their redundant copies; 0 = no copies
  bool rebalanced = false;  // placed so that ranks are loaded alike (EPLB)
};
enum class CollectiveKind { all_reduce, all_gather, reduce_scatter, all_to_all, send_recv };
struct CollectiveOp {
  CollectiveKind kind = CollectiveKind::all_reduce;
  double bytes = 0;  // of the whole buffer on one GPU (all-gather: the gathered total)
  int gpus = 1;
  DType dtype = DType::bf16;
  bool inter_node = false;
};
// Tokens to the ranks of their experts and back (DeepEP dispatch and combine). A token goes once to
// each rank that it needs (normal), or once for each of its experts (low latency).
struct ExpertExchangeOp {
  bool combine = false;
  bool low_latency = false;
  std::int64_t tokens = 0;  // of one rank
  int hidden = 0, top_k = 0, experts = 0;
  int ranks = 1;                // of the expert-parallel group, one GPU each
  int group_limit = 0;          // nodes that one token may go to (DeepSeek-V3: 4); 0 = any
  int sms = 20;                 // that the normal kernels take (DeepEP's default)
  DType payload = DType::bf16;  // fp8: with an fp32 scale per 128 elements
};
struct ElementwiseOp {  // norms, rope, activation, residual, quantise, sampling
  double bytes = 0;     // read and written
  int kernels = 1;      // launches
};

using OperatorShape =
    std::variant<GemmOp, PrefillAttentionOp, DecodeAttentionOp, MlaPrefillOp, MlaDecodeOp, MlaBmmOp,
                 MlaBlockOp, MoeOp, CollectiveOp, ExpertExchangeOp, ElementwiseOp>;

struct Operator {
  std::string name;   // e.g. "qkv_proj", "experts", "o_proj.all_reduce"
  double repeat = 1;  // times in one pass (layers)
  OperatorShape shape;
};

struct Chunk {  // part of one prompt processed in a step
  std::int64_t tokens = 0;
  std::int64_t context = 0;  // tokens of the same prompt already in the cache
};

// `tokens`: new tokens through the dense layers on one attention rank (with context parallelism the
// rank is a group of GPUs, and each takes its share); `sequences`: how many of
// them need logits. `group_tokens`: tokens of all attention ranks (= tokens if data_attention 1).
std::vector<Operator> dense_operators(const ModelSpec&, const Layout&, const Precision&,
                                      std::int64_t tokens, std::int64_t sequences,
                                      std::int64_t group_tokens, double expert_skew);
// Everything that depends on how the tokens attend, projections included: for MLA the absorbed
// products (MlaBmmOp) belong to decode, the kv_b up-projection of new and cached tokens to prefill.
std::vector<Operator> decode_attention_operators(const ModelSpec&, const Layout&, const Precision&,
                                                 std::int64_t batch, double context);
std::vector<Operator> prefill_attention_operators(const ModelSpec&, const Layout&, const Precision&,
                                                  const Chunk&);
std::vector<Operator> communication_operators(const ModelSpec&, const Layout&, const Precision&,
                                              std::int64_t tokens);

// What a whole latent-attention layer consists of, as the lists above would hold it.
std::vector<OperatorShape> block_parts(const MlaBlockOp& op);

// What an exchange sends, in expectation, experts spread evenly over the ranks.
struct ExchangeTraffic {
  double messages = 0;       // (token, rank) or (token, expert) pairs that leave one rank, own ones
  double message_bytes = 0;  // included
  double node_messages = 0;  // (token, node) pairs, own node included; low latency: = messages
};
ExchangeTraffic exchange_traffic(const ExpertExchangeOp& op, int gpus_per_node);

// Arithmetic and memory traffic of an operator, for rooflines, MFU and MBU.
hardware::Bytes bytes_moved(const OperatorShape& shape);
sim::core::Flops flops(const OperatorShape& shape);

}  // namespace foretoken::models::llm
