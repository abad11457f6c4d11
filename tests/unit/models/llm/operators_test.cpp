#include "models/llm/operators.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/models/llm/models.hpp"

using namespace foretoken::models::llm;
using namespace foretoken::models::llm::testing;
using foretoken::models::hardware::DType;

namespace {

const Operator& named(const std::vector<Operator>& list, const std::string& name) {
  for (const auto& op : list)
    if (op.name == name) return op;
  FAIL("no operator " << name);
  return list.front();
}

bool has(const std::vector<Operator>& list, const std::string& name) {
  for (const auto& op : list)
    if (op.name == name) return true;
  return false;
}

double flops_of(const std::vector<Operator>& list, const std::string& name) {
  return flops(named(list, name).shape).value();
}

double bytes_of(const std::vector<Operator>& list, const std::string& name) {
  return bytes_moved(named(list, name).shape).value();
}

const Precision kFp8Block{WeightFormat::fp8_block, DType::bf16, DType::bf16};

}  // namespace

TEST_CASE("one layer of DeepSeek-V3, one token, whole: FLOPs by hand") {
  const auto ops = dense_operators(deepseek_v3(), Layout{}, kFp8Block, 1, 1, 1, 0.0);
  CHECK(flops_of(ops, "qkv_a_proj") == 2.0 * 7168 * 2112);    //  30,277,632
  CHECK(flops_of(ops, "q_b_proj") == 75'497'472);             // 2 x 1536 x 24576
  CHECK(flops_of(ops, "o_proj") == 234'881'024);              // 2 x 16384 x 7168
  CHECK(flops_of(ops, "router") == 3'670'016);                // 2 x 7168 x 256
  CHECK(flops_of(ops, "shared.gate_up_proj") == 58'720'256);  // 2 x 7168 x 4096
  CHECK(flops_of(ops, "shared.down_proj") == 29'360'128);     // 2 x 2048 x 7168
  CHECK(flops_of(ops, "experts") == 704'643'072);             // 8 x 6 x 7168 x 2048
  CHECK(flops_of(ops, "gate_up_proj") == 528'482'304);        // 2 x 7168 x 36864
  CHECK(flops_of(ops, "down_proj") == 264'241'152);           // 2 x 18432 x 7168
  CHECK(flops_of(ops, "lm_head") == 2.0 * 7168 * 129280);
  CHECK(named(ops, "qkv_a_proj").repeat == 61);
  CHECK(named(ops, "experts").repeat == 58);
  CHECK(named(ops, "gate_up_proj").repeat == 3);
  CHECK(named(ops, "lm_head").repeat == 1);
  CHECK_FALSE(has(ops, "kv_b_proj"));  // belongs to attention
  CHECK_FALSE(has(ops, "lm_head.all_gather"));
}

TEST_CASE("one layer of DeepSeek-V3, one token: bytes by hand") {
  const auto ops = dense_operators(deepseek_v3(), Layout{}, kFp8Block, 1, 1, 1, 0.0);
  // q_b: 1536 x 24576 = 37,748,736 weights at 1 + 4/16384 B = 37,757,952; in and out
  // (1536 + 24576) x 2 = 52,224
  CHECK(bytes_of(ops, "q_b_proj") == 37'757'952 + 52'224);
  // router stays in 16 bits: 7168 x 256 x 2 + (7168 + 256) x 2
  CHECK(bytes_of(ops, "router") == 3'670'016 + 14'848);
  // experts: 8 touched, each 44,040,192 x (1 + 4/16384) = 44,050,944; 8 pairs x (2 x 7168 +
  // 4 x 2048) x 2 = 360,448
  CHECK(bytes_of(ops, "experts") == 8 * 44'050'944.0 + 360'448);
  // add + norm: two rows read, two written: 4 x 7168 x 2, twice a layer and once at the end
  CHECK(bytes_of(ops, "add_norm") == 57'344);
  CHECK(named(ops, "add_norm").repeat == 123);
}

TEST_CASE("decode attention of DeepSeek-V3: absorbed, by hand") {
  const auto ops = decode_attention_operators(deepseek_v3(), Layout{}, kFp8Block, 1, 4096);
  // core: 2 x 4096 keys x 128 heads x (512 + 64 + 512) = 1,140,850,688
  CHECK(flops_of(ops, "decode_mla") == 1'140'850'688);
  // latent cache 4096 x 576 x 2 = 4,718,592; queries and results 128 x (576 + 512) x 2 = 278,528
  CHECK(bytes_of(ops, "decode_mla") == 4'718'592 + 278'528);
  // absorbed: 2 x 128 x 512 x 128 each
  CHECK(flops_of(ops, "absorb_q") == 16'777'216);
  CHECK(flops_of(ops, "absorb_v") == 16'777'216);
  CHECK(std::get<MlaBmmOp>(named(ops, "absorb_q").shape).format == WeightFormat::fp8);
  // 8-bit cache halves what is read
  const Precision fp8_kv{WeightFormat::fp8_block, DType::fp8, DType::bf16};
  const auto small = decode_attention_operators(deepseek_v3(), Layout{}, fp8_kv, 1, 4096);
  CHECK(bytes_of(small, "decode_mla") == 4'718'592 / 2 + 278'528);
}

TEST_CASE("prefill attention of DeepSeek-V3: expanded, cached tokens too") {
  const Chunk chunk{1024, 3072};
  const auto ops = prefill_attention_operators(deepseek_v3(), Layout{}, kFp8Block, chunk);
  // kv_b for 4096 tokens: 2 x 4096 x 512 x 32768
  CHECK(flops_of(ops, "kv_b_proj") == 2.0 * 4096 * 512 * 32768);
  // pairs: 1024 x 3072 + 1024 x 1025 / 2 = 3,670,528; 2 x 128 heads x (192 + 128) each
  CHECK(flops_of(ops, "prefill_mla") == 3'670'528.0 * 2 * 128 * 320);
  // bf16: queries in and out 1024 x 128 x 320 x 2; keys and values 4096 x 128 x 320 x 2
  CHECK(bytes_of(ops, "prefill_mla") == 2.0 * 128 * 320 * (1024 + 4096));
}

TEST_CASE("Llama-70B on tensor 8: a layer by hand") {
  Layout eight;
  eight.tensor = 8;
  const auto ops = dense_operators(llama_70b(), eight, Precision{}, 2048, 1, 2048, 0.0);
  const auto& qkv = std::get<GemmOp>(named(ops, "qkv_proj").shape);
  CHECK(qkv.n == (8 + 2 * 1) * 128);
  CHECK(qkv.k == 8192);
  CHECK(flops_of(ops, "qkv_proj") == 2.0 * 2048 * 1280 * 8192);      // 42,949,672,960
  CHECK(flops_of(ops, "o_proj") == 2.0 * 2048 * 1024 * 8192);        // 34,359,738,368
  CHECK(flops_of(ops, "gate_up_proj") == 2.0 * 2048 * 7168 * 8192);  // 240,518,168,576
  CHECK(flops_of(ops, "down_proj") == 2.0 * 2048 * 3584 * 8192);     // 120,259,084,288
  // qkv bytes: weights 1280 x 8192 x 2 + rows 2048 x (8192 + 1280) x 2
  CHECK(bytes_of(ops, "qkv_proj") == 20'971'520.0 + 38'797'312);
  // logits of one sequence: a row of 128256 / 8, then gathered whole in 16 bits
  CHECK(std::get<GemmOp>(named(ops, "lm_head").shape).n == 16'032);
  CHECK(std::get<CollectiveOp>(named(ops, "lm_head.all_gather").shape).bytes == 128'256 * 2);

  const auto attention = prefill_attention_operators(llama_70b(), eight, Precision{}, {2048, 0});
  // pairs 2048 x 2049 / 2 = 2,098,176; x 4 x 8 heads x 128
  CHECK(flops_of(attention, "prefill_attention") == 8'594'128'896);
  // q and out 2 x 2048 x 8 x 128 x 2 = 8,388,608; one KV head 2 x 2048 x 128 x 2 = 1,048,576
  CHECK(bytes_of(attention, "prefill_attention") == 9'437'184);
  const auto decode = decode_attention_operators(llama_70b(), eight, Precision{}, 32, 1000);
  CHECK(flops_of(decode, "decode_attention") == 4.0 * 32 * 1000 * 8 * 128);
  // 32 x (2 x 1000 x 128 x 2 + 2 x 8 x 128 x 2)
  CHECK(bytes_of(decode, "decode_attention") == 32 * (512'000.0 + 4'096));
}

TEST_CASE("GPT-3: two-matrix feed-forward, no rotation; 24 x hidden^2 FLOPs a token and layer") {
  const Precision fp16{WeightFormat::fp16, DType::fp16, DType::fp16};
  const auto ops = dense_operators(gpt3(), Layout{}, fp16, 1, 0, 1, 0.0);
  const double layer = flops_of(ops, "qkv_proj") + flops_of(ops, "o_proj") +
                       flops_of(ops, "up_proj") + flops_of(ops, "down_proj");
  CHECK(layer == 24.0 * 12288 * 12288);  // 3,623,878,656
  CHECK_FALSE(has(ops, "rope"));
  CHECK_FALSE(has(ops, "lm_head"));  // no sequence ends in this step
  CHECK(std::get<GemmOp>(named(ops, "up_proj").shape).format == WeightFormat::fp16);
}

TEST_CASE("gpt-oss: every other layer sees a window of 128") {
  const auto decode = decode_attention_operators(gpt_oss(), Layout{}, Precision{}, 4, 1000);
  REQUIRE(decode.size() == 2);
  CHECK(named(decode, "decode_attention").repeat == 18);
  CHECK(named(decode, "decode_attention.window").repeat == 18);
  // 4 x 4 sequences x keys x 64 heads x 64
  CHECK(flops_of(decode, "decode_attention") == 16.0 * 1000 * 64 * 64);
  CHECK(flops_of(decode, "decode_attention.window") == 16.0 * 128 * 64 * 64);
  // Prefill of 200 after none: 128 x 129 / 2 growing + 72 x 128 = 17,472 pairs
  const auto prefill = prefill_attention_operators(gpt_oss(), Layout{}, Precision{}, {200, 0});
  CHECK(flops_of(prefill, "prefill_attention.window") == 17'472.0 * 4 * 64 * 64);
  // All 200 beyond the window: 128 each
  const auto later = prefill_attention_operators(gpt_oss(), Layout{}, Precision{}, {200, 500});
  CHECK(flops_of(later, "prefill_attention.window") == 200.0 * 128 * 4 * 64 * 64);
}

TEST_CASE("sparse attention: the core sees at most top_k tokens, the index all") {
  auto model = deepseek_v3();
  model.attention.sparse = SparseIndexSpec{64, 128, 2048};
  const auto decode = decode_attention_operators(model, Layout{}, kFp8Block, 2, 65536);
  CHECK(std::get<MlaDecodeOp>(named(decode, "decode_mla").shape).context == 2048);
  // 2 x 65536 keys x (132 + 8) B + 2 x 2048 x 4
  CHECK(bytes_of(decode, "indexer.score_top_k") == 131'072.0 * 140 + 16'384);
  CHECK(has(prefill_attention_operators(model, Layout{}, kFp8Block, {2048, 0}), "prefill_mla"));
  const auto long_prompt = prefill_attention_operators(model, Layout{}, kFp8Block, {4096, 4096});
  // scores: 4096 queries x mean 6144 keys x 64 heads x 128 x 2
  CHECK(flops_of(long_prompt, "indexer.score") == 2.0 * 4096 * 6144 * 64 * 128);
  CHECK(std::get<MlaDecodeOp>(named(long_prompt, "prefill_sparse_mla").shape).batch == 4096);
}

TEST_CASE("communication under tensor parallelism: two sums a layer and one of the embedding") {
  Layout eight;
  eight.tensor = 8;
  const auto ops = communication_operators(llama_70b(), eight, Precision{}, 64);
  REQUIRE(ops.size() == 3);
  for (const auto& op : ops) {
    const auto& c = std::get<CollectiveOp>(op.shape);
    CHECK(c.kind == CollectiveKind::all_reduce);
    CHECK(c.bytes == 64 * 8192 * 2);
    CHECK(c.gpus == 8);
    CHECK_FALSE(c.inter_node);
  }
  CHECK(named(ops, "o_proj.all_reduce").repeat == 80);
  CHECK(named(ops, "mlp.all_reduce").repeat == 80);
  CHECK(communication_operators(llama_70b(), Layout{}, Precision{}, 64).empty());
}

TEST_CASE("communication under attention data parallelism: gather before, scatter after") {
  Layout dp;
  dp.data_attention = 8;
  dp.expert = 8;
  const auto ops = communication_operators(deepseek_v3(), dp, kFp8Block, 128);
  REQUIRE(ops.size() == 2);
  const auto& gather = std::get<CollectiveOp>(named(ops, "experts.all_gather").shape);
  CHECK(gather.bytes == 8.0 * 128 * 7168 * 2);  // the gathered total
  CHECK(gather.gpus == 8);
  CHECK(named(ops, "experts.reduce_scatter").repeat == 58);
}

TEST_CASE("stages send hidden state and residual, across nodes where they meet") {
  Layout l;
  l.tensor = 8;
  l.pipeline = 4;
  l.gpus_per_node = 16;  // stages 0, 1 | 2, 3
  const auto ops = communication_operators(llama_70b(), l, Precision{}, 64);
  CHECK(named(ops, "stage.send").repeat == 2);
  CHECK(named(ops, "stage.send.inter_node").repeat == 1);
  const auto& across = std::get<CollectiveOp>(named(ops, "stage.send.inter_node").shape);
  CHECK(across.inter_node);
  CHECK(across.bytes == 2.0 * 64 * 8192 * 2 / 8);
  CHECK(std::get<CollectiveOp>(named(ops, "stage.all_gather").shape).bytes == 2.0 * 64 * 8192 * 2);
  Layout wide;
  wide.tensor = 16;
  wide.gpus_per_node = 8;
  const auto crossing = communication_operators(llama_70b(), wide, Precision{}, 64);
  CHECK(std::get<CollectiveOp>(named(crossing, "o_proj.all_reduce").shape).inter_node);
}

TEST_CASE("nothing to do makes no operators") {
  CHECK(decode_attention_operators(llama_70b(), Layout{}, Precision{}, 0, 100).empty());
  CHECK(prefill_attention_operators(llama_70b(), Layout{}, Precision{}, {0, 100}).empty());
  CHECK(communication_operators(llama_70b(), Layout{}, Precision{}, 0).empty());
  CHECK(dense_operators(llama_70b(), Layout{}, Precision{}, 0, 0, 0, 0.0).empty());
  // A rank without tokens still computes its experts for the others.
  Layout dp;
  dp.data_attention = dp.expert = 8;
  const auto idle = dense_operators(deepseek_v3(), dp, kFp8Block, 0, 0, 512, 0.0);
  REQUIRE(idle.size() == 1);
  CHECK(idle[0].name == "experts");
}

TEST_CASE("wide expert parallelism: dispatch and combine in place of gather and scatter") {
  // DeepSeek's decode unit: EP144. Copies of a token: 144 x (1 - (143/144)^8) = 7.8085.
  Layout ep;
  ep.data_attention = ep.expert = 144;
  ep.redundant_experts = 32;
  ep.gpus_per_node = 8;
  ep.all_to_all = true;
  REQUIRE(layout_errors(deepseek_v3(), ep).empty());
  const auto ops = communication_operators(deepseek_v3(), ep, kFp8Block, 128);
  REQUIRE(ops.size() == 2);
  const auto& dispatch = std::get<CollectiveOp>(named(ops, "experts.dispatch").shape);
  CHECK(dispatch.kind == CollectiveKind::all_to_all);
  CHECK(dispatch.inter_node);
  CHECK(dispatch.bytes == Approx(128 * 7.8085 * 7168 * (1 + 4.0 / 128)).epsilon(1e-4));
  const auto& combine = std::get<CollectiveOp>(named(ops, "experts.combine").shape);
  CHECK(combine.bytes == Approx(128 * 7.8085 * 7168 * 2).epsilon(1e-4));
  CHECK(combine.dtype == DType::bf16);
  Layout tp = ep;
  tp.expert = 72;
  tp.redundant_experts = 32;
  CHECK(layout_errors(deepseek_v3(), tp).size() == 1);
}

TEST_CASE("context parallelism: shares of a prompt and of the cache") {
  Layout cp;
  cp.context = 4;
  CHECK(cp.gpus() == 4);
  const Chunk chunk{4096, 4096};
  const auto whole = prefill_attention_operators(llama_70b(), Layout{}, Precision{}, chunk);
  const auto part = prefill_attention_operators(llama_70b(), cp, Precision{}, chunk);
  CHECK(flops_of(part, "prefill_attention") * 4 ==
        Approx(flops_of(whole, "prefill_attention")).epsilon(1e-3));
  CHECK(std::get<PrefillAttentionOp>(named(part, "prefill_attention").shape).tokens == 1024);
  // All keys and values of the prompt: 8192 tokens x 2 x 8 heads x 128 x 2 B
  CHECK(std::get<CollectiveOp>(named(part, "prefill.kv_all_gather").shape).bytes ==
        8192.0 * 2 * 8 * 128 * 2);
  const auto decode = decode_attention_operators(llama_70b(), cp, Precision{}, 2, 8000);
  CHECK(std::get<DecodeAttentionOp>(named(decode, "decode_attention").shape).context == 2000);
  CHECK(std::get<CollectiveOp>(named(decode, "decode.query_all_gather").shape).bytes ==
        2.0 * 64 * 128 * 2);
  CHECK(kv_bytes_per_token_per_gpu(llama_70b(), cp, Precision{}) == 327'680 / 4.0);
  // Dense layers see a quarter of the tokens, experts exchange as between attention ranks.
  const auto dense = dense_operators(llama_70b(), cp, Precision{}, 4096, 1, 4096, 0.0);
  CHECK(std::get<GemmOp>(named(dense, "qkv_proj").shape).m == 1024);
  cp.expert = 4;
  const auto comm = communication_operators(deepseek_v3(), cp, kFp8Block, 4096);
  CHECK(std::get<CollectiveOp>(named(comm, "experts.all_gather").shape).bytes == 4096.0 * 7168 * 2);
}

TEST_CASE("experts on the host: one operator there, hidden states there and back, no all-reduce") {
  Layout host;
  host.tensor = 2;
  host.experts_on_host = true;
  const auto dense = dense_operators(deepseek_v3(), host, Precision{}, 100, 1, 100, 0.0);
  const auto& experts = std::get<MoeOp>(named(dense, "experts").shape);
  CHECK(experts.on_host);
  CHECK(experts.tensor == 1);
  CHECK(experts.expert == 1);
  CHECK(experts.tokens == 100);
  const auto comm = communication_operators(deepseek_v3(), host, Precision{}, 100);
  const auto& there = std::get<CollectiveOp>(named(comm, "experts.to_host").shape);
  CHECK(there.kind == CollectiveKind::host_copy);
  // 100 tokens x 7168 x 2 B, and 8 experts' ids and weights of 4 bytes each.
  CHECK(there.bytes == 100.0 * 7168 * 2 + 100 * 8 * 8);
  CHECK(std::get<CollectiveOp>(named(comm, "experts.from_host").shape).bytes == 100.0 * 7168 * 2);
  CHECK(named(comm, "experts.to_host").repeat == 58);
  for (const auto& op : comm) CHECK(op.name != "experts.all_reduce");
}
