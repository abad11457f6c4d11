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

// Admits the front and processes its whole prompt in one go.
Slot start(Batch& batch, std::int32_t input, std::int32_t output) {
  const Slot slot = batch.enqueue(request(input, output));
  REQUIRE(batch.admit_front(input, 0, 0));
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
  CHECK(batch.preempt_latest() == b);
  CHECK(batch.used_blocks() == 3);
  CHECK(batch.waiting().front() == b);
  CHECK(batch.sequence(b).target == 8 + 2);  // prompt and the two tokens it had made
  CHECK(batch.sequence(b).prefilled == 0);
  CHECK(batch.preemptions() == 1);
  CHECK(batch.steps_to_milestone() == 18);  // A's; B's is stale
}

TEST_CASE("Admission: slots, blocks, watermark, reservation") {
  SECTION("slots") {
    Batch batch(10, 4, {1, 0, 0.0}, 1);
    start(batch, 4, 2);
    batch.enqueue(request(4, 2));
    CHECK_FALSE(batch.admit_front(4, 0, 0));
  }
  SECTION("blocks kept for others") {
    Batch batch(4, 4, {8, 0, 0.0}, 1);
    start(batch, 8, 2);
    batch.enqueue(request(8, 2));
    CHECK_FALSE(batch.admit_front(8, 1, 0));
    CHECK(batch.admit_front(8, 0, 0));
  }
  SECTION("watermark, but not for the only request") {
    Batch batch(4, 4, {8, 2, 0.0}, 1);
    start(batch, 12, 2);
    batch.enqueue(request(4, 2));
    CHECK_FALSE(batch.admit_front(4, 0, 0));
  }
  SECTION("reservation counts what running requests may still need") {
    // Each commits 4 prompt + 8 output tokens = 3 blocks of 4: two fit into 7, three do not.
    Batch batch(7, 4, {8, 0, 1.0}, 1);
    start(batch, 4, 8);
    start(batch, 4, 8);
    batch.enqueue(request(4, 8));
    CHECK_FALSE(batch.admit_front(4, 0, 0));
  }
}

TEST_CASE("Extending a prompt takes blocks only as it crosses them") {
  Batch batch(4, 4, {8, 0, 0.0}, 1);
  const Slot a = batch.enqueue(request(14, 2));
  REQUIRE(batch.admit_front(3, 0, 5));
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
