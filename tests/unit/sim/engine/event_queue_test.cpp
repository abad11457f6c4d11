#include "sim/engine/event_queue.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace foretoken::sim::engine;

namespace {
Key key(std::uint64_t time, std::uint32_t sequence) {
  return Key::make(time, Priority::normal, 1, sequence);
}
}  // namespace

TEST_CASE("keys order by time, priority, source, sequence") {
  const Key base = Key::make(10, Priority::normal, 5, 7);
  CHECK(Key::make(9, Priority::bookkeeping, 9, 9) < base);
  CHECK(Key::make(10, Priority::urgent, 9, 9) < base);
  CHECK(Key::make(10, Priority::normal, 4, 9) < base);
  CHECK(Key::make(10, Priority::normal, 5, 6) < base);
  CHECK_FALSE(base < base);
  CHECK(base.source() == 5);
  const auto largest = Key::kMaxEntities - 1;
  CHECK(Key::make(1, Priority::bookkeeping, largest, UINT32_MAX).source() == largest);
}

TEST_CASE("slots are reused, and an old handle names nothing") {
  EventQueue queue;
  const EventHandle first = queue.push(key(5, 0), 0, 0, Payload());
  REQUIRE(queue.next_time() == 5);
  queue.pop();
  const EventHandle second = queue.push(key(6, 1), 0, 0, Payload());
  CHECK(second.slot == first.slot);
  CHECK_FALSE(queue.cancel(first, 0));
  CHECK_FALSE(queue.cancel(second, 1));  // another process
  CHECK(queue.cancel(second, 0));
  CHECK(queue.next_time() == EventQueue::kNever);
  CHECK(queue.size() == 0);
}

TEST_CASE("an event without a payload takes 32 bytes and shows none of an earlier one") {
  EventQueue queue;
  queue.push(key(1, 0), 0, 0, Payload(7));
  REQUIRE(queue.next_time() == 1);
  REQUIRE(queue.top_payload() != nullptr);
  CHECK(queue.top_payload()->as<int>() == 7);
  queue.pop();
  queue.push(key(2, 1), 0, 0, Payload());  // into the same slot
  REQUIRE(queue.next_time() == 2);
  CHECK(queue.top_payload() == nullptr);

  EventQueue bare;
  constexpr std::uint32_t kEvents = 100'000;
  for (std::uint32_t i = 0; i < kEvents; ++i) bare.push(key(i, i), 0, 0, Payload());
  CHECK(bare.bytes() >= 32 * kEvents);
  CHECK(bare.bytes() <= 32 * kEvents * 5 / 4 + 4096);  // room to grow is a quarter at most
}

TEST_CASE("cancelling most events compacts the heap") {
  EventQueue queue;
  std::vector<EventHandle> handles;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    handles.push_back(queue.push(key(1'000'000 - i, i), 0, i, Payload()));
  }
  const std::size_t full = queue.bytes();
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    if (i % 10 != 0) CHECK(queue.cancel(handles[i], 0));
  }
  CHECK(queue.size() == 1000);
  // Slots of compacted entries are free again: as many new events need no more memory.
  for (std::uint32_t i = 0; i < 4000; ++i) queue.push(key(5'000'000, 20'000 + i), 0, 0, Payload());
  CHECK(queue.bytes() <= full + 64 * 1024);
  std::uint64_t last = 0;
  std::size_t popped = 0;
  while (queue.next_time() != EventQueue::kNever) {
    CHECK(queue.top_key().time >= last);
    last = queue.top_key().time;
    queue.pop();
    ++popped;
  }
  CHECK(popped == 5000);
}
