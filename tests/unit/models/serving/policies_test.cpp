// Each batching policy on five requests, worked by hand: what every step holds.
#include "models/serving/batching.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "models/serving/scheduler.hpp"

using namespace foretoken::models::serving;

namespace {

struct Asks {
  std::int32_t input, output;
  std::int32_t tenant = 0, priority = 0;
  std::int64_t deadline_ps = -1;
  bool swapped = false;  // its prompt is done, its KV in host memory
};

// Blocks of 4 tokens. A step reads "0:4 1:4 D2,3": four prompt tokens each of requests 0 and 1, and
// 2 and 3 decode.
class Bench {
 public:
  explicit Bench(const BatchingSpec& spec, double reserve = 0.0)
      : batch_(100, 4, {spec.max_sequences, 0, reserve}, 1), scheduler_(make_scheduler(spec)) {}

  Slot arrive(const Asks& asks) {
    Sequence s;
    s.request = count_++;
    s.input = asks.input;
    s.output = asks.output;
    s.tenant = asks.tenant;
    s.priority = asks.priority;
    s.deadline_ps = asks.deadline_ps;
    s.queued_ps = now_ps;
    s.rank = scheduler_->rank(s);
    s.swapped = asks.swapped;
    if (s.swapped) {
      s.prefilled = s.input;
      s.generated = 1;
      s.first_ps = 0;
    }
    const Slot slot = batch_.enqueue(s);
    scheduler_->arrived(batch_, slot);
    return slot;
  }
  std::string step() {
    plan.clear();
    scheduler_->plan(batch_, now_ps, plan);
    std::string text;
    for (const auto& chunk : plan.chunks)
      text += std::to_string(batch_.sequence(chunk.slot).request) + ':' +
              std::to_string(chunk.tokens) + ' ';
    if (plan.decode) text += 'D' + decoding();
    if (!text.empty() && text.back() == ' ') text.pop_back();
    if (plan.decode) batch_.begin_decode_step();
    if (plan.decode) batch_.end_decode_step();
    for (const auto& chunk : plan.chunks) batch_.end_chunk(chunk.slot, chunk.tokens, now_ps);
    std::vector<Slot> finished;
    batch_.collect_finished(now_ps, finished);
    for (const Slot slot : finished) {
      scheduler_->finished(batch_, slot);
      batch_.release(slot);
    }
    return text;
  }
  [[nodiscard]] bool empty() const { return batch_.running() == 0 && batch_.waiting().empty(); }
  [[nodiscard]] std::int64_t preemptions() const { return batch_.preemptions(); }
  std::int64_t now_ps = 0;
  StepPlan plan;

 private:
  [[nodiscard]] std::string decoding() const {
    std::vector<std::uint32_t> numbers;
    for (const Slot slot : batch_.decoding()) numbers.push_back(batch_.sequence(slot).request);
    std::sort(numbers.begin(), numbers.end());
    std::string text;
    for (const auto number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
    return text;
  }
  Batch batch_;
  std::unique_ptr<Scheduler> scheduler_;
  std::uint32_t count_ = 0;
};

BatchingSpec with(BatchingPolicy policy, int max_tokens, int max_sequences = 16) {
  BatchingSpec spec;
  spec.policy = policy;
  spec.max_tokens = max_tokens;
  spec.max_sequences = max_sequences;
  return spec;
}

}  // namespace

// Of each prompt at most 3 tokens a step: 7 takes three steps, and the others beside it.
TEST_CASE("A long prompt is taken in pieces smaller than the step") {
  BatchingSpec spec = with(BatchingPolicy::prefill_first, 10);
  spec.max_prompt_tokens = 3;
  Bench bench(spec);
  for (const int input : {7, 2}) bench.arrive({input, 2});
  CHECK(bench.step() == "0:3 1:2");
  CHECK(bench.step() == "0:3");
  CHECK(bench.step() == "0:1");
  CHECK(bench.step() == "D0,1");
  CHECK(bench.empty());
}

TEST_CASE("Prefill first with whole prompts") {
  // Budget 10, prompts 4 4 4 9 2. The third does not fit beside two, the fourth not beside the
  // third, and nobody overtakes.
  Bench bench(with(BatchingPolicy::prefill_first_whole, 10));
  for (const int input : {4, 4, 4, 9, 2}) bench.arrive({input, 3});
  CHECK(bench.step() == "0:4 1:4");
  CHECK(bench.step() == "2:4");
  CHECK(bench.step() == "3:9");
  CHECK(bench.step() == "4:2");
  CHECK(bench.step() == "D0,1,2,3,4");
  CHECK(bench.step() == "D0,1,2,3,4");
  CHECK(bench.empty());
}

TEST_CASE("A whole prompt longer than a step runs in pieces with nothing beside it") {
  Bench bench(with(BatchingPolicy::prefill_first_whole, 10));
  for (const int input : {3, 25, 3}) bench.arrive({input, 2});
  CHECK(bench.step() == "0:3");
  CHECK(bench.step() == "1:10");
  CHECK(bench.step() == "1:10");
  CHECK(bench.step() == "1:5 2:3");  // its end is whole
  CHECK(bench.step() == "D0,1,2");
  CHECK(bench.empty());
}

TEST_CASE("Continuous batching: whole prompts join the decodes") {
  // 3 tokens out: one from the prompt, two from decodes.
  Bench bench(with(BatchingPolicy::continuous, 10), 1.0);
  for (const int input : {4, 4, 4, 9, 2}) bench.arrive({input, 3});
  CHECK(bench.step() == "0:4 1:4");
  CHECK(bench.step() == "2:4 D0,1");
  CHECK(bench.step() == "3:9 D0,1,2");
  CHECK(bench.step() == "4:2 D2,3");
  CHECK(bench.step() == "D3,4");
  CHECK(bench.step() == "D4");
  CHECK(bench.empty());
}

TEST_CASE("Decode first: prompts wait until nothing decodes") {
  Bench bench(with(BatchingPolicy::decode_first, 10));
  for (const int input : {4, 4, 4, 9, 2}) bench.arrive({input, 3});
  CHECK(bench.step() == "0:4 1:4 2:2");
  CHECK(bench.step() == "D0,1");
  CHECK(bench.step() == "D0,1");
  CHECK(bench.step() == "2:2 3:8");
  CHECK(bench.step() == "D2");
  CHECK(bench.step() == "D2");
  CHECK(bench.step() == "3:1 4:2");
  CHECK(bench.step() == "D3,4");
  CHECK(bench.step() == "D3,4");
  CHECK(bench.empty());
}

TEST_CASE("Decode first: no prompt joins those whose KV comes back") {
  Bench bench(with(BatchingPolicy::decode_first, 10));
  Asks back{8, 3};
  back.swapped = true;
  bench.arrive(back);
  bench.arrive({4, 1});
  bench.arrive(back);
  CHECK(bench.step() == "D0");
  CHECK(bench.step() == "D0");
  CHECK(bench.step() == "1:4");
  CHECK(bench.step() == "D2");
  CHECK(bench.step() == "D2");
  CHECK(bench.empty());
}

TEST_CASE("Static batching: a padded batch to its end, then the next") {
  // Three at a time, budget 10: three prompts of 4 are 12, so the third has a step of its own. The
  // lanes of 1 and 0 stay as they end. Prompts of 9 and 2, padded to 18, run one after another.
  Bench bench(with(BatchingPolicy::static_batching, 10, 3), 1.0);
  const std::int32_t input[] = {4, 4, 4, 9, 2}, output[] = {3, 2, 4, 2, 2};
  for (int i = 0; i < 5; ++i) bench.arrive({input[i], output[i]});
  CHECK(bench.step() == "0:4 1:4");
  CHECK(bench.step() == "2:4");
  CHECK(bench.step() == "D0,1,2");
  CHECK(bench.plan.lanes == 3);
  CHECK(bench.step() == "D0,2");
  CHECK(bench.plan.lanes == 3);
  CHECK_FALSE(bench.plan.steady);
  CHECK(bench.step() == "D2");
  CHECK(bench.step() == "3:9");
  CHECK(bench.step() == "4:2");
  CHECK(bench.plan.padded);
  CHECK(bench.step() == "D3,4");
  CHECK(bench.plan.lanes == 2);
  CHECK(bench.empty());
}

TEST_CASE("Dynamic batching: full, or the oldest has waited long enough") {
  BatchingSpec spec = with(BatchingPolicy::dynamic_batching, 100, 3);
  spec.timeout = foretoken::sim::core::Duration::picoseconds(100);
  Bench bench(spec, 1.0);
  bench.arrive({4, 1});
  bench.arrive({4, 1});
  CHECK(bench.step().empty());
  CHECK(bench.plan.wake_ps == 100);
  bench.now_ps = 50;
  bench.arrive({4, 1});
  CHECK(bench.step() == "0:4 1:4 2:4");  // full
  bench.now_ps = 200;
  bench.arrive({4, 1});
  bench.now_ps = 250;
  bench.arrive({4, 1});
  CHECK(bench.step().empty());
  CHECK(bench.plan.wake_ps == 300);
  bench.now_ps = 300;
  CHECK(bench.step() == "3:4 4:4");
  CHECK(bench.empty());
}

TEST_CASE("Length buckets: prompts of one power of two together") {
  // 4, 5 and 6 are in [4, 8), 9 and 15 in [8, 16). Padded to 6, three take 18 of 20 tokens; padded
  // to 15, two would take 30.
  Bench bench(with(BatchingPolicy::length_bucketed, 20, 3), 1.0);
  for (const int input : {4, 9, 5, 15, 6}) bench.arrive({input, 2});
  CHECK(bench.step() == "0:4 2:5 4:6");
  CHECK(bench.step() == "D0,2,4");
  CHECK(bench.step() == "1:9");
  CHECK(bench.step() == "3:15");
  CHECK(bench.step() == "D1,3");
  CHECK(bench.empty());
}

TEST_CASE("Shortest job first: 1, 3, 2, 4, 0 by their outputs") {
  Bench bench(with(BatchingPolicy::shortest_job_first, 8));
  for (const int output : {5, 1, 3, 2, 4}) bench.arrive({4, output});
  CHECK(bench.step() == "1:4 3:4");
  CHECK(bench.step() == "2:4 4:3 D3");
  CHECK(bench.step() == "4:1 0:4 D2");
  CHECK(bench.step() == "D0,2,4");
}

TEST_CASE("Shortest job first on predictions: their error is log-normal with the stated sigma") {
  BatchingSpec spec = with(BatchingPolicy::shortest_job_first, 8);
  spec.length_error = 0.5;
  const auto scheduler = make_scheduler(spec, 1, 7);
  double sum = 0, squares = 0;
  constexpr int kCount = 4000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    Sequence s;
    s.request = i;
    s.output = 100;
    const double z = std::log(scheduler->rank(s) / 100.0);
    sum += z;
    squares += z * z;
    CHECK(scheduler->rank(s) == make_scheduler(spec, 1, 7)->rank(s));
  }
  CHECK(sum / kCount == Approx(0.0).margin(0.03));
  CHECK(std::sqrt(squares / kCount) == Approx(0.5).epsilon(0.05));
}

TEST_CASE("Earliest deadline first: 1, 4, 2, 0, and who has none comes last") {
  Bench bench(with(BatchingPolicy::earliest_deadline, 8));
  for (const int deadline : {50, 10, 30, -1, 20}) bench.arrive({4, 2, 0, 0, deadline});
  CHECK(bench.step() == "1:4 4:4");
  CHECK(bench.step() == "2:4 0:2 D1,4");
  CHECK(bench.step() == "0:2 3:4 D2");
  CHECK(bench.step() == "D0,3");
  CHECK(bench.empty());
}

TEST_CASE("Least slack first: the same deadline, 5 ps a token") {
  // Latest starts: 50 - 5 x (2, 8, 4, 6, 1) = 40, 10, 30, 20, 45.
  BatchingSpec spec = with(BatchingPolicy::least_slack, 4);
  spec.token_time = foretoken::sim::core::Duration::picoseconds(5);
  Bench bench(spec);
  for (const int output : {2, 8, 4, 6, 1}) bench.arrive({4, output, 0, 0, 50});
  CHECK(bench.step() == "1:4");
  CHECK(bench.step() == "3:3 D1");
  CHECK(bench.step() == "3:1 2:2 D1");
  CHECK(bench.step() == "2:2 D1,3");
}

TEST_CASE("Fair: the tenant served least is next") {
  // A prompt of 4 costs 4, its one output token 2. A: 0, 1, 2; B: 3, 4. Equal counters: A is first.
  Bench bench(with(BatchingPolicy::fair, 4));
  for (int i = 0; i < 3; ++i) bench.arrive({4, 1, 0});
  for (int i = 0; i < 2; ++i) bench.arrive({4, 1, 1});
  CHECK(bench.step() == "0:4");  // A 6
  CHECK(bench.step() == "3:4");  // B 6
  CHECK(bench.step() == "1:4");  // A 12
  CHECK(bench.step() == "4:4");  // B 12
  CHECK(bench.step() == "2:4");
  CHECK(bench.empty());
}

TEST_CASE("Fair: who comes back from idling has saved nothing up") {
  // A is served twice (12) while B is away; B comes in at A's count, so they take turns.
  Bench bench(with(BatchingPolicy::fair, 4));
  for (int i = 0; i < 4; ++i) bench.arrive({4, 1, 0});
  CHECK(bench.step() == "0:4");
  CHECK(bench.step() == "1:4");
  for (int i = 0; i < 2; ++i) bench.arrive({4, 1, 1});
  CHECK(bench.step() == "2:4");  // equal, so A: 18
  CHECK(bench.step() == "4:4");  // B 18
  CHECK(bench.step() == "3:4");  // equal again
  CHECK(bench.step() == "5:4");
}

TEST_CASE("Priority: the more urgent throws out the less urgent") {
  // Two slots. 0 (priority 2) and 1 (priority 1) run as 2 (0), 3 (1) and 4 (2) arrive.
  Bench bench(with(BatchingPolicy::priority, 20, 2));
  bench.arrive({4, 4, 0, 2});
  bench.arrive({4, 4, 0, 1});
  CHECK(bench.step() == "1:4 0:4");
  bench.arrive({4, 2, 0, 0});
  bench.arrive({4, 1, 0, 1});
  bench.arrive({4, 1, 0, 2});
  CHECK(bench.step() == "2:4 D1");  // 0 made way
  CHECK(bench.preemptions() == 1);
  CHECK(bench.step() == "D1,2");  // 2 is done; 3 is no more urgent than 1
  CHECK(bench.step() == "3:4 D1");
  CHECK(bench.step() == "0:5 4:4");  // 0 starts over with the token it had made, ahead of its equal
  CHECK(bench.preemptions() == 1);
}

TEST_CASE("Multi-level feedback: a long request gives way once it has used its quantum") {
  // Quantum 8, one slot. 0: prompt 4; after 5 tokens it has had 9 > 8 and falls to level 1. 1 waits
  // at level 0 from the start; 2 (prompt 20) starts at level 1 (8 < 20 <= 24).
  BatchingSpec spec = with(BatchingPolicy::multilevel_feedback, 32, 1);
  spec.quantum_tokens = 8;
  spec.levels = 3;
  Bench bench(spec);
  bench.arrive({4, 20});
  CHECK(bench.step() == "0:4");  // 1 token
  bench.arrive({4, 2});
  bench.arrive({20, 2});
  for (int tokens = 2; tokens <= 5; ++tokens) CHECK(bench.step() == "D0");
  CHECK(bench.step() == "1:4");
  CHECK(bench.step() == "D1");
  CHECK(bench.step() == "0:9");  // level 1, ahead of its equal
  CHECK(bench.preemptions() == 1);
}

TEST_CASE("Every policy has a name of its own and a sentence") {
  for (const auto& a : kPolicies)
    for (const auto& b : kPolicies) CHECK((a.policy == b.policy) == (a.name == b.name));
  for (const auto& info : kPolicies) CHECK(info.summary.size() > 10);
}
