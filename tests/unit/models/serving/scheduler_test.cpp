// Each policy on requests worked by hand: what a plan holds, not how long it takes.
#include "models/serving/scheduler.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::serving;

namespace {

BatchingSpec spec(BatchingPolicy policy, int max_tokens) {
  BatchingSpec result;
  result.policy = policy;
  result.max_tokens = max_tokens;
  result.max_sequences = 16;
  return result;
}

struct Bench {
  Batch batch;
  std::unique_ptr<Scheduler> scheduler;
  StepPlan plan;

  Bench(BatchingPolicy policy, int max_tokens, std::int64_t blocks, int ranks = 1)
      : batch(blocks, 4, {16, 0, 0.0}, 1),
        scheduler(make_scheduler(spec(policy, max_tokens), ranks)) {}

  Slot arrive(std::int32_t input, std::int32_t output) {
    Sequence s;
    s.input = input;
    s.output = output;
    return batch.enqueue(s);
  }
  // Plans a step and carries it out; returns prompt tokens a chunk, -1 last if decodes ran.
  std::vector<std::int32_t> step() {
    plan.clear();
    scheduler->plan(batch, 0, plan);
    std::vector<std::int32_t> done;
    if (plan.decode) batch.begin_decode_step();
    if (plan.decode) batch.end_decode_step();
    for (const auto& chunk : plan.chunks) {
      batch.end_chunk(chunk.slot, chunk.tokens, 0);
      done.push_back(chunk.tokens);
    }
    if (plan.decode) done.push_back(-1);
    std::vector<Slot> finished;
    batch.collect_finished(0, finished);
    for (const Slot slot : finished) batch.release(slot);
    return done;
  }
};

using Work = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("Chunked prefill: five requests") {
  // Budget 10. Prompts 4, 4, 4, 9, 2 with 3 tokens out each.
  //   1: 4, 4 and 2 of the third        2: two decodes leave 8: 2 of the third, 6 of the fourth
  //   3: three decodes (the first two end): 3 of the fourth, 2 of the fifth
  Bench bench(BatchingPolicy::chunked_prefill, 10, 100);
  for (const int input : {4, 4, 4, 9, 2}) bench.arrive(input, 3);
  CHECK(bench.step() == Work{4, 4, 2});
  CHECK_FALSE(bench.plan.steady);
  CHECK(bench.step() == Work{2, 6, -1});
  CHECK(bench.step() == Work{3, 2, -1});
  CHECK(bench.batch.running() == 3);
  CHECK(bench.step() == Work{-1});
  CHECK(bench.plan.steady);
}

TEST_CASE("Prefill first: five requests") {
  //   1: 4, 4 and 2 of the third   2: the rest of it, 8 of the fourth   3: its last, the fifth
  //   4 and 5: everybody decodes
  Bench bench(BatchingPolicy::prefill_first, 10, 100);
  for (const int input : {4, 4, 4, 9, 2}) bench.arrive(input, 3);
  CHECK(bench.step() == Work{4, 4, 2});
  CHECK(bench.step() == Work{2, 8});
  CHECK(bench.step() == Work{1, 2});
  CHECK(bench.step() == Work{-1});
  CHECK(bench.plan.steady);
  CHECK(bench.step() == Work{-1});
  CHECK(bench.batch.running() == 0);
}

TEST_CASE("Several attention ranks take several prompts, each on one of them") {
  Bench bench(BatchingPolicy::chunked_prefill, 10, 100, 2);
  for (const int input : {14, 14}) bench.arrive(input, 3);
  CHECK(bench.step() == Work{10, 10});
  CHECK(bench.step() == Work{4, 4});
}

TEST_CASE("A plan after a preemption is never called steady") {
  // 4 blocks; both prompts take 2; the first decode needs 2 more.
  Bench bench(BatchingPolicy::chunked_prefill, 32, 4);
  bench.arrive(8, 8);
  bench.arrive(8, 8);
  CHECK(bench.step() == Work{8, 8});
  CHECK(bench.step() == Work{-1});
  CHECK(bench.batch.preemptions() == 1);
  CHECK_FALSE(bench.plan.steady);
  CHECK(bench.step() == Work{-1});
  CHECK(bench.plan.steady);  // the other waits for blocks, which come with an end only
}

TEST_CASE("Half-done prompts that hold the whole pool give way to the first") {
  // 6 blocks of 4, budget 8: A (20) has 8, then 16 tokens; B waits. C never blocks A for good.
  Bench bench(BatchingPolicy::prefill_first, 8, 6);
  bench.arrive(20, 2);
  bench.arrive(20, 2);
  int steps = 0;
  while ((bench.batch.running() > 0 || !bench.batch.waiting().empty()) && steps < 50) {
    REQUIRE_FALSE(bench.step().empty());
    ++steps;
  }
  CHECK(steps < 50);
  CHECK(bench.batch.free_blocks() == 6);
}
