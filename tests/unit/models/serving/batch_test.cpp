#include "models/serving/batch.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::models::serving;

namespace {

Sequence request(std::int32_t input, std::int32_t output) {
  Sequence s;
  s.input = input;
  s.output = output;
  return s;
}

// The front of the queue into the batch, if the rules allow it.
bool admit_front(Batch& batch, std::int32_t tokens, std::int64_t keep_free, std::int64_t now_ps) {
  const Slot slot = batch.waiting().front();
  if (!batch.can_admit(slot, tokens, keep_free)) return false;
  batch.admit(slot, tokens, now_ps);
  return true;
}

// Admits the front and processes its whole prompt in one go.
Slot start(Batch& batch, std::int32_t input, std::int32_t output) {
  const Slot slot = batch.enqueue(request(input, output));
  REQUIRE(admit_front(batch, input, 0, 0));
  batch.end_chunk(slot, input, 0);
  return slot;
}

void decode(Batch& batch) {
  batch.begin_decode_step();
  batch.end_decode_step();
}

}  // namespace

TEST_CASE("Blocks follow the cached tokens of each sequence") {
  // Blocks of 4. A: 8 cached, its next token needs a block (8 % 4 = 0). B: 6 cached, two more fit.
  Batch batch(10, 4, {8, 0, 0.0}, 1);
  const Slot a = start(batch, 8, 20);
  const Slot b = start(batch, 6, 20);
  CHECK(batch.used_blocks() == 2 + 2);
  CHECK(batch.decode_blocks(0) == 1);  // A to 9
  CHECK(batch.decode_blocks(1) == 0);
  CHECK(batch.decode_blocks(2) == 1);  // B to 9
  CHECK(batch.decode_blocks(4) == 1);  // A to 13
  CHECK(batch.decode_context() == 8 + 6 + 2);
  for (int i = 0; i < 3; ++i) decode(batch);
  CHECK(batch.cached_tokens(a) == 11);
  CHECK(batch.generated_tokens(b) == 4);
  CHECK(batch.used_blocks() == 3 + 3);
  batch.release(a);
  CHECK(batch.used_blocks() == 3);
  batch.release(b);
  CHECK(batch.free_blocks() == 10);
}

TEST_CASE("Milestones: the nearest end or first full chunk") {
  // Streams in chunks of 3. A: 10 out: first chunk after 2 decodes, end after 9. B: 2 out: end (and
  // first chunk, there are only two) after 1.
  Batch batch(100, 4, {8, 0, 0.0}, 3);
  const Slot a = start(batch, 4, 10);
  const Slot b = start(batch, 4, 2);
  CHECK(batch.steps_to_milestone() == 1);
  decode(batch);
  std::vector<Slot> finished;
  batch.collect_finished(77, finished);
  REQUIRE(finished == std::vector<Slot>{b});
  CHECK(batch.sequence(b).first_ps == 77);
  batch.release(b);
  CHECK(batch.steps_to_milestone() == 1);
  decode(batch);
  batch.collect_finished(88, finished);
  CHECK(finished.empty());
  CHECK(batch.sequence(a).first_ps == 88);
  CHECK(batch.steps_to_milestone() == 7);
}

TEST_CASE("Preemption gives back every block and keeps what was generated") {
  Batch batch(10, 4, {8, 0, 0.0}, 1);
  start(batch, 8, 20);
  const Slot b = start(batch, 8, 20);
  decode(batch);
  CHECK(batch.used_blocks() == 6);
  REQUIRE(batch.last_in_rank() == b);
  CHECK(batch.preempt(b, 0.0) == 0);  // nothing copied
  CHECK(batch.used_blocks() == 3);
  CHECK(batch.waiting().front() == b);
  CHECK(batch.sequence(b).target == 8 + 2);  // prompt and the two tokens it had made
  CHECK(batch.sequence(b).prefilled == 0);
  CHECK(batch.preemptions() == 1);
  CHECK(batch.steps_to_milestone() == 18);  // A's; B's is stale
  CHECK(batch.recomputed_tokens() == 9);    // 8 of the prompt and the one token fed back
}

TEST_CASE("A preempted sequence waits in host memory and decodes on as it comes back") {
  // Blocks of 4, room for 3 in host memory. A and B: 8 prompt tokens, one decode each: 9 cached in
  // 3 blocks. B's 3 blocks go out and come back; A's then find no room while B is out.
  Batch batch(10, 4, {8, 0, 0.0, 0, 3}, 1);
  const Slot a = start(batch, 8, 20);
  const Slot b = start(batch, 8, 20);
  decode(batch);
  CHECK(batch.preempt(b, 0.0) == 3);
  CHECK(batch.swapped_blocks() == 3);
  CHECK(batch.used_blocks() == 3);
  CHECK(batch.sequence(b).target == batch.sequence(b).prefilled);
  CHECK(batch.preempt(a, 0.0) == 0);
  CHECK(batch.recomputed_tokens() == 9);
  REQUIRE(batch.waiting().front() == a);
  REQUIRE(batch.can_admit(b, 0, 0));
  CHECK(batch.admit(b, 0, 7) == 3);
  CHECK(batch.swapped_blocks() == 0);
  CHECK(batch.sequence(b).state == SequenceState::decoding);
  CHECK(batch.cached_tokens(b) == 9);
  CHECK(batch.generated_tokens(b) == 2);
  CHECK(batch.steps_to_milestone() == 18);
  decode(batch);
  CHECK(batch.cached_tokens(b) == 10);
  CHECK(batch.generated_tokens(b) == 3);
}

TEST_CASE("With prefix caching a preempted request finds what nobody overwrote of its blocks") {
  AdmissionRule rule{8, 0, 0.0};
  rule.finds_its_blocks = true;
  Batch batch(10, 4, rule, 1);
  const Slot a = start(batch, 16, 20);
  const Slot b = start(batch, 16, 20);
  decode(batch);  // 17 cached each: five blocks each, none free
  REQUIRE(batch.free_blocks() == 0);
  batch.preempt(b, 0.0);
  // Four full blocks can be found again, the token in the fifth is lost. Prompt and two tokens
  // made.
  CHECK(batch.free_blocks() == 5);
  CHECK(batch.leaves_behind());
  CHECK(batch.cached_tokens(b) == 16);
  CHECK(batch.sequence(b).target == 18);
  CHECK(batch.recomputed_tokens() == 1);
  // A at 21 takes the block that is not full, at 25 the last of the four.
  for (int i = 0; i < 4; ++i) decode(batch);
  CHECK(batch.cached_tokens(b) == 16);
  for (int i = 0; i < 4; ++i) decode(batch);
  CHECK(batch.cached_tokens(b) == 12);
  CHECK(batch.recomputed_tokens() == 1 + 4);
  CHECK(batch.free_blocks() == 3);
  CHECK_FALSE(batch.can_admit(b, 6, 0));  // five blocks in all
  batch.release(a);
  REQUIRE(admit_front(batch, 6, 0, 0));
  CHECK_FALSE(batch.leaves_behind());
  CHECK(batch.used_blocks() == 5);
  CHECK(batch.end_chunk(b, 6, 0));
  CHECK(batch.cached_tokens(b) == 18);
  batch.release(b);
  CHECK(batch.free_blocks() == 10);
}

TEST_CASE("Who leaves first is overwritten first; who gives up leaves free blocks") {
  AdmissionRule rule{8, 0, 0.0};
  rule.finds_its_blocks = true;
  Batch batch(9, 4, rule, 1);
  const Slot a = start(batch, 8, 20), b = start(batch, 8, 20), c = start(batch, 8, 20);
  batch.preempt(c, 0.0);  // free: 3 of nobody, 2 of C
  batch.preempt(b, 0.0);  // then 2 of B
  CHECK(batch.free_blocks() == 7);
  for (int i = 0; i < 13; ++i) decode(batch);  // A from 8 to 21: four blocks more
  CHECK(batch.cached_tokens(c) == 4);
  CHECK(batch.cached_tokens(b) == 8);
  batch.abandon(c);
  for (int i = 0; i < 4; ++i) decode(batch);  // the block that C gave up
  CHECK(batch.cached_tokens(b) == 8);
  for (int i = 0; i < 4; ++i) decode(batch);
  CHECK(batch.cached_tokens(b) == 4);
  CHECK(batch.recomputed_tokens() == 4 + 4);
  batch.release(a);
  CHECK(batch.free_blocks() == 9);
}

TEST_CASE("The queue is in order of rank; a preempted request goes ahead of its equals") {
  Batch batch(100, 4, {8, 0, 0.0}, 1);
  const auto enqueue = [&](double rank) {
    Sequence s = request(4, 2);
    s.rank = rank;
    return batch.enqueue(s);
  };
  const Slot a = enqueue(5), b = enqueue(3), c = enqueue(5), d = enqueue(4);
  CHECK(std::vector<Slot>(batch.waiting().begin(), batch.waiting().end()) ==
        std::vector<Slot>{b, d, a, c});
  batch.admit(a, 4, 0);  // from the middle
  CHECK(std::vector<Slot>(batch.waiting().begin(), batch.waiting().end()) ==
        std::vector<Slot>{b, d, c});
  batch.preempt(a, 5.0);
  CHECK(std::vector<Slot>(batch.waiting().begin(), batch.waiting().end()) ==
        std::vector<Slot>{b, d, a, c});
}

TEST_CASE("Admission: slots, blocks, watermark, reservation") {
  SECTION("slots") {
    Batch batch(10, 4, {1, 0, 0.0}, 1);
    start(batch, 4, 2);
    batch.enqueue(request(4, 2));
    CHECK_FALSE(admit_front(batch, 4, 0, 0));
  }
  SECTION("blocks kept for others") {
    Batch batch(4, 4, {8, 0, 0.0}, 1);
    start(batch, 8, 2);
    batch.enqueue(request(8, 2));
    CHECK_FALSE(admit_front(batch, 8, 1, 0));
    CHECK(admit_front(batch, 8, 0, 0));
  }
  SECTION("watermark, but not for the only request") {
    Batch batch(4, 4, {8, 2, 0.0}, 1);
    start(batch, 12, 2);
    batch.enqueue(request(4, 2));
    CHECK_FALSE(admit_front(batch, 4, 0, 0));
  }
  SECTION("all of a prompt finds blocks, or only its first chunk") {
    AdmissionRule rule{8, 0, 0.0};
    rule.whole_prompt = GENERATE(false, true);
    Batch batch(4, 4, rule, 1);
    start(batch, 4, 2);
    batch.enqueue(request(14, 2));  // 4 blocks, 3 are free; its first chunk takes 2
    CHECK(admit_front(batch, 8, 0, 0) != rule.whole_prompt);
  }
  SECTION("reservation counts what running requests may still need") {
    // Each commits 4 prompt + 8 output tokens = 3 blocks of 4: two fit into 7, three do not.
    Batch batch(7, 4, {8, 0, 1.0}, 1);
    start(batch, 4, 8);
    start(batch, 4, 8);
    batch.enqueue(request(4, 8));
    CHECK_FALSE(admit_front(batch, 4, 0, 0));
  }
}

TEST_CASE("Decodes write over what a preempted request left before it looks, and once") {
  // 5 blocks of 4, all held: B has 8 tokens and needs a block for the next, A has 12.
  AdmissionRule rule{8, 0, 0.0};
  rule.finds_its_blocks = true;
  Batch batch(5, 4, rule, 1);
  start(batch, 8, 20);
  const Slot a = start(batch, 12, 20);
  batch.preempt(a, 0.0);
  CHECK(batch.sequence(a).prefilled == 12);
  batch.claim_decode_blocks();
  CHECK(batch.sequence(a).prefilled == 8);
  CHECK(batch.free_blocks() == 3);
  decode(batch);
  CHECK(batch.sequence(a).prefilled == 8);
  CHECK(batch.free_blocks() == 2);
  for (int i = 0; i < 4; ++i) decode(batch);  // unclaimed, as it begins
  CHECK(batch.sequence(a).prefilled == 4);
}

TEST_CASE("Extending a prompt takes blocks only as it crosses them") {
  Batch batch(4, 4, {8, 0, 0.0}, 1);
  const Slot a = batch.enqueue(request(14, 2));
  REQUIRE(admit_front(batch, 3, 0, 5));
  CHECK(batch.sequence(a).scheduled_ps == 5);
  CHECK_FALSE(batch.end_chunk(a, 3, 6));
  CHECK(batch.used_blocks() == 1);
  CHECK(batch.extend(a, 1, 0));  // the fourth token
  CHECK(batch.used_blocks() == 1);
  CHECK_FALSE(batch.end_chunk(a, 1, 7));
  CHECK_FALSE(batch.extend(a, 9, 1));  // 13 tokens, 4 blocks, one to stay free
  CHECK(batch.extend(a, 10, 0));
  CHECK(batch.end_chunk(a, 10, 8));
  CHECK(batch.sequence(a).first_ps == 8);
  CHECK(batch.can_ever_hold(14, 3));
  CHECK_FALSE(batch.can_ever_hold(14, 4));
}
