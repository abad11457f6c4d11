// What must hold for any model and layout: operator lists do the arithmetic of the parameters.
#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <set>

#include "models/llm/operators.hpp"
#include "tests/unit/models/llm/models.hpp"

using namespace foretoken::models::llm;
using namespace foretoken::models::llm::testing;

namespace {

ModelSpec random_model() {
  const int head_dim = 1 << *rc::gen::inRange(5, 8);
  const int kv_heads = 8 << *rc::gen::inRange(0, 2);
  const int heads = kv_heads * *rc::gen::inRange(1, 5);
  ModelSpec m = dense(*rc::gen::inRange(2, 100), 256 * *rc::gen::inRange(1, 64), heads, kv_heads,
                      256 * *rc::gen::inRange(1, 128), 8 * *rc::gen::inRange(100, 20000));
  m.attention.head_dim = head_dim;
  m.gated_mlp = *rc::gen::arbitrary<bool>();
  m.attention.qk_norm = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) {
    m.gated_mlp = true;
    const int experts = 8 << *rc::gen::inRange(0, 6);
    m.moe = MoeSpec{experts,
                    *rc::gen::inRange(0, 3),
                    *rc::gen::inRange(1, 9),
                    128 * *rc::gen::inRange(1, 32),
                    *rc::gen::inRange(0, 2),
                    false,
                    false};
  }
  if (*rc::gen::arbitrary<bool>()) {
    m.attention.mla = MlaSpec{*rc::gen::arbitrary<bool>() ? 1536 : 0, 512, 128, 64, 128};
    m.attention.kv_heads = m.attention.heads;
  }
  return m;
}

double total_flops(const std::vector<Operator>& ops) {
  double sum = 0;
  for (const auto& op : ops) sum += op.repeat * flops(op.shape).value();
  return sum;
}

// Parameters that multiply: all but look-ups, norms and other vectors.
double matrix_parameters(const ModelSpec& m) {
  const auto count = count_parameters(m);
  double vectors = m.hidden + 2.0 * m.layers * m.hidden;
  if (m.attention.qk_norm) vectors += 2.0 * m.layers * m.attention.head_dim;
  if (m.attention.mla)
    vectors += m.layers * (m.attention.mla->q_lora_rank + m.attention.mla->kv_lora_rank);
  return static_cast<double>(count.active - count.embedding) - vectors;
}

// Products that every tensor rank does whole.
bool replicated(const std::string& name) {
  static const std::set<std::string> names{"qkv_a_proj", "kv_a_proj", "router"};
  return names.contains(name);
}

}  // namespace

TEST_CASE("a step does two FLOPs for each active parameter and token, besides attention") {
  CHECK(rc::check("flops = 2 x parameters x tokens", [] {
    const ModelSpec m = random_model();
    const std::int64_t tokens = *rc::gen::inRange(1, 5000);
    double sum =
        total_flops(dense_operators(m, Layout{}, Precision{}, tokens, tokens, tokens, 0.0));
    if (m.attention.mla) {  // kv_b is done with attention
      const auto chunk = prefill_attention_operators(m, Layout{}, Precision{}, {tokens, 0});
      RC_ASSERT(chunk[0].name == "kv_b_proj");
      sum += chunk[0].repeat * flops(chunk[0].shape).value();
    }
    const double expected = 2.0 * matrix_parameters(m) * static_cast<double>(tokens);
    RC_ASSERT(std::abs(sum / expected - 1) < 1e-9);
  }));
}

TEST_CASE("tensor parallelism splits the work without losing any") {
  CHECK(rc::check("split FLOPs x ranks = whole", [] {
    const ModelSpec m = random_model();
    Layout split;
    split.tensor = 1 << *rc::gen::inRange(1, 4);
    RC_PRE(layout_errors(m, split).empty());
    const std::int64_t tokens = *rc::gen::inRange(1, 3000);
    const auto whole = dense_operators(m, Layout{}, Precision{}, tokens, 7, tokens, 0.0);
    const auto part = dense_operators(m, split, Precision{}, tokens, 7, tokens, 0.0);
    for (const auto& op : whole) {
      const double all = flops(op.shape).value();
      if (all == 0) continue;
      const auto same = std::find_if(part.begin(), part.end(),
                                     [&](const Operator& o) { return o.name == op.name; });
      RC_ASSERT(same != part.end());
      RC_ASSERT(same->repeat == op.repeat);
      const double ranks = replicated(op.name) ? 1 : split.tensor;
      RC_ASSERT(std::abs(flops(same->shape).value() * ranks / all - 1) < 1e-9);
    }
    for (const auto& [x, y] :
         {std::pair{prefill_attention_operators(m, Layout{}, Precision{}, {tokens, 9}),
                    prefill_attention_operators(m, split, Precision{}, {tokens, 9})},
          std::pair{decode_attention_operators(m, Layout{}, Precision{}, 5, 777),
                    decode_attention_operators(m, split, Precision{}, 5, 777)}})
      RC_ASSERT(std::abs(total_flops(y) * split.tensor / total_flops(x) - 1) < 1e-9);
  }));
}

TEST_CASE("weights held by the ranks of a layout add up to the model, copies aside") {
  CHECK(rc::check("bytes per GPU", [] {
    const ModelSpec m = random_model();
    Layout l;
    l.tensor = 1 << *rc::gen::inRange(0, 4);
    l.data_attention = 1 << *rc::gen::inRange(0, 3);
    if (m.moe) l.expert = 1 << *rc::gen::inRange(0, 4);
    RC_PRE(layout_errors(m, l).empty());
    const double one = weight_bytes_per_gpu(m, Layout{}, Precision{}).value();
    const double each = weight_bytes_per_gpu(m, l, Precision{}).value();
    RC_ASSERT(each * l.gpus() >= one * (1 - 1e-9));
    RC_ASSERT(each <= one * (1 + 1e-9));
  }));
}

TEST_CASE("a chunked prompt attends to as many pairs as a whole one") {
  CHECK(rc::check("sum of chunks = whole", [] {
    ModelSpec m = dense(4, 1024, 8, 8, 4096, 32000);
    if (*rc::gen::arbitrary<bool>()) {
      m.attention.sliding_window = *rc::gen::inRange(1, 600);
      m.attention.full_attention_every = 2;
    }
    const std::int64_t first = *rc::gen::inRange(1, 2000), second = *rc::gen::inRange(1, 2000);
    const double whole =
        total_flops(prefill_attention_operators(m, Layout{}, Precision{}, {first + second, 0}));
    const double parts =
        total_flops(prefill_attention_operators(m, Layout{}, Precision{}, {first, 0})) +
        total_flops(prefill_attention_operators(m, Layout{}, Precision{}, {second, first}));
    RC_ASSERT(std::abs(parts / whole - 1) < 1e-9);
  }));
}
