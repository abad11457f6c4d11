#include "sim/engine/partition.hpp"

#include <algorithm>
#include <bit>

#include "sim/core/error.hpp"

namespace foretoken::sim::engine {

namespace {

// With more processes than this, reading every promise after each turn costs more than it gives.
constexpr std::size_t kMostPromises = 64;

constexpr Payload kNone;

std::uint64_t mixed(std::uint64_t x) {  // finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// Chained per process: two runs agree only if every process saw the same events in the same order.
std::uint64_t chained(std::uint64_t hash, const Key& key, std::uint32_t kind) {
  const std::uint64_t event =
      (key.time * 0x9e3779b97f4a7c15U) ^ key.order ^ (std::uint64_t{kind} << 17);
  return (std::rotl(hash, 27) ^ event) * 0xff51afd7ed558ccdU;
}

}  // namespace

Partition::Partition(std::uint32_t index, const Wiring& wiring) {
  index_ = index;
  addresses_ = wiring.addresses->data();
  channels_ = wiring.channels->data();
  channel_count_ = static_cast<std::uint32_t>(wiring.channels->size());
  names_ = wiring.names;
  alone_ = wiring.alone;
}

std::uint32_t Partition::add(Process& process, EntityId id) {
  const auto local = static_cast<std::uint32_t>(entities_.size());
  Entity entity;
  entity.process = &process;
  entity.id = id.value;
  entity.local = local;
  entity.may_stop = process.may_stop();
  entities_.push_back(entity);
  return local;
}

void Partition::start(std::uint32_t local, Outbox& outbox) {
  outbox_ = &outbox;
  self_ = &entities_[local];
  limit_ = EventQueue::kNever;
  reply_ = 0;
  self_->process->start(*this);
}

void Partition::drain(Mailbox& box) {
  if (shuffle_ != 0) shuffle(box.messages);
  for (const Message& m : box.messages) queue_.push(m.key, m.target, m.kind, box.payload_of(m));
  foreign_pending_ += static_cast<std::uint32_t>(box.messages.size());
}

void Partition::add_memory(FetchAhead& ahead) const {
  ahead.add(queue_.heap_memory());
  ahead.add(queue_.slot_memory());
}

void Partition::shuffle(std::vector<Message>& messages) {
  for (std::size_t i = messages.size(); i > 1; --i) {
    shuffle_ = mixed(shuffle_ + i) | 1;
    std::swap(messages[i - 1], messages[shuffle_ % i]);
  }
}

void Partition::run_one() {
  const Key key = queue_.top_key();
  SIM_ASSERT(key.time >= now_, "an event was run before one that precedes it: lookahead broken");
  SIM_ASSERT(key != last_ || events_ == 0, "two events have the same key");
  Entity& entity = entities_[queue_.top_target()];
  const Payload* const loaded = queue_.top_payload();
  if (loaded != nullptr) payload_ = *loaded;  // the handler may grow the queue
  const Event event{Time::from_ps(static_cast<std::int64_t>(key.time)), EntityId{key.source()},
                    EntityId{entity.id}, queue_.top_kind(), loaded != nullptr ? payload_ : kNone};
  queue_.pop();
  last_ = key;
  now_ = key.time;
  self_ = &entity;
  ++events_;
  if (event.source != event.target) {
    --foreign_pending_;
    if (entity.unless_messaged) entity.promise = 0;
  }
  entity.hash = chained(entity.hash, key, event.kind);
  entity.process->handle(*this, event);
}

std::uint64_t Partition::run(std::uint64_t limit, std::uint64_t reply, Outbox& outbox,
                             std::uint64_t budget, const FetchAhead& fetch) {
  const std::uint64_t before = events_;
  const std::uint64_t last = events_ + std::min(budget, EventQueue::kNever - events_);
  outbox_ = &outbox;
  limit_ = limit;
  reply_ = reply;
  FetchAhead ahead = fetch;
  try {
    while (events_ != last && queue_.next_time() < limit_) {
      ahead.step();
      ahead.step();
      run_one();
    }
  } catch (...) {
    failure_ = Failure{last_, std::current_exception()};
  }
  return events_ - before;
}

bool Partition::may_stop() const {
  return std::any_of(entities_.begin(), entities_.end(),
                     [](const Entity& e) { return e.may_stop; });
}

std::uint64_t Partition::silent_until(bool& absolute) const {
  absolute = true;
  if (!promises_made_ || entities_.size() > kMostPromises) return 0;
  std::uint64_t earliest = EventQueue::kNever;
  for (const Entity& entity : entities_) {
    if (entity.unless_messaged) {
      absolute = false;
      if (foreign_pending_ > 0) return 0;
    }
    earliest = std::min(earliest, entity.promise);
  }
  return earliest;
}

std::uint64_t Partition::hash() const {
  std::uint64_t sum = 0;
  for (const Entity& e : entities_) sum += mixed(e.hash + mixed(e.id));
  return sum;
}

}  // namespace foretoken::sim::engine
