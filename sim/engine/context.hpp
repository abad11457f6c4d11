#pragma once
// What a process may do while it handles an event. The fast paths are inline; refusals are not.
#include <cstdint>
#include <string>
#include <vector>

#include "sim/engine/event_queue.hpp"

namespace foretoken::sim::engine {

class Process;

// Where a process lives: its partition and its index inside it.
struct Address {
  std::uint32_t partition = 0;
  std::uint32_t local = 0;
};

// A directed edge from one process to a range of `count` processes.
struct Channel {
  std::uint32_t from = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::int64_t min_delay_ps = 0;
};

// A message on its way to another partition.
struct Message {
  Key key;
  std::uint32_t target = 0;  // index inside the receiving partition
  std::uint32_t kind = 0;
  std::uint32_t payload = 0;  // its place in the mailbox's payloads plus one; zero: none
};

// Messages of one sending thread to one partition; a cache line of its own, since the threads that
// empty neighbouring mailboxes differ.
struct alignas(64) Mailbox {
  std::vector<Message> messages;
  std::vector<Payload> payloads;

  void add(const Key& key, std::uint32_t target, std::uint32_t kind, const Payload& payload) {
    std::uint32_t place = 0;
    if (!payload.empty()) {
      payloads.push_back(payload);
      place = static_cast<std::uint32_t>(payloads.size());
    }
    messages.push_back(Message{key, target, kind, place});
  }
  [[nodiscard]] const Payload& payload_of(const Message& message) const {
    static constexpr Payload kNone;
    return message.payload == 0 ? kNone : payloads[message.payload - 1];
  }
  [[nodiscard]] Span memory() const {
    return span(messages.data(), messages.size() * sizeof(Message));
  }
  void clear() {
    messages.clear();
    payloads.clear();
  }
};

// The mailboxes one thread writes to, one a partition.
struct alignas(64) Outbox {
  std::vector<Mailbox> to;
  std::vector<std::uint64_t> earliest;  // time of the first message in each, kNever when empty
  std::vector<std::uint32_t> changed;   // partitions whose earliest message moved forward

  void add(std::uint32_t partition, const Key& key, std::uint32_t target, std::uint32_t kind,
           const Payload& payload) {
    Mailbox& box = to[partition];
    std::uint64_t& first = earliest[partition];
    // What lies there has been read. The reader leaves it: a mailbox that both write to would
    // wander between two caches.
    if (first == EventQueue::kNever) box.clear();
    box.add(key, target, kind, payload);
    if (key.time < first) {
      first = key.time;
      changed.push_back(partition);
    }
  }
};

class Context {
 public:
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] Time now() const { return Time::from_ps(static_cast<std::int64_t>(now_)); }
  [[nodiscard]] EntityId self() const { return EntityId{self_->id}; }

  // An event to oneself; a zero delay is allowed. Negative delays and overflow throw.
  EventHandle schedule(Duration delay, std::uint32_t kind, const Payload& payload = {},
                       Priority priority = Priority::normal) {
    const std::uint64_t at = time_after(delay);
    return queue_.push(next_key(at, priority), self_->local, kind, payload);
  }

  // True if the event was still pending; it will not be delivered.
  bool cancel(EventHandle handle) { return queue_.cancel(handle, self_->local); }

  // A message over a channel of this process; delay counts from now and must be at least the
  // channel's minimum delay.
  void send(ChannelId channel, Duration delay, std::uint32_t kind, const Payload& payload = {},
            Priority priority = Priority::normal) {
    send_to(channel, 0, delay, kind, payload, priority);
  }

  // The same over a channel to a range of processes: `index` counts from the range's first.
  void send_to(ChannelId channel, std::uint32_t index, Duration delay, std::uint32_t kind,
               const Payload& payload = {}, Priority priority = Priority::normal) {
    if (channel.value >= channel_count_) refuse_send(channel, index, delay);
    const Channel& c = channels_[channel.value];
    if (c.from != self_->id || index >= c.count || delay.ps() < c.min_delay_ps ||
        self_->promise > now_) {
      refuse_send(channel, index, delay);
    }
    const std::uint64_t at = time_after(delay);
    const Address to = addresses_[c.first + index];
    const Key key = next_key(at, priority);
    if (to.partition == index_) {
      foreign_pending_ += to.local != self_->local ? 1U : 0U;
      queue_.push(key, to.local, kind, payload);
    } else {
      post(to, key, kind, payload);
    }
  }

  // Nothing leaves this process before `time` (but in answer to a message that arrives earlier
  // if `unless_messaged`). Widens windows; breaking it is caught. A later call replaces it.
  void promise(Time time, bool unless_messaged) {
    self_->promise = time.ps() > 0 ? static_cast<std::uint64_t>(time.ps()) : 0;
    self_->unless_messaged = unless_messaged;
    promises_made_ = true;
  }

  // Ends the run after the current event time (e.g. a stop condition is reached). In a simulation
  // of several partitions only a process whose may_stop() is true may call it.
  void stop();

 protected:
  // What the engine keeps for a process, in the order of the partition.
  struct Entity {
    Process* process = nullptr;
    std::uint64_t hash = 0;
    std::uint64_t promise = 0;
    std::uint32_t id = 0;
    std::uint32_t local = 0;
    std::uint32_t sequence = 0;
    bool unless_messaged = false;
    bool may_stop = false;
  };

  Context() = default;
  ~Context() = default;

  std::uint64_t time_after(Duration delay) const {
    const std::uint64_t room = static_cast<std::uint64_t>(INT64_MAX) - 1 - now_;
    const auto step = static_cast<std::uint64_t>(delay.ps());  // a negative delay becomes huge
    if (step > room) refuse_delay(delay);
    return now_ + step;
  }

  Key next_key(std::uint64_t at, Priority priority) {
    if (self_->sequence == UINT32_MAX) refuse_sequence();
    return Key::make(at, priority, self_->id, self_->sequence++);
  }

  void post(Address to, const Key& key, std::uint32_t kind, const Payload& payload) {
    outbox_->add(to.partition, key, to.local, kind, payload);
    // An answer may come back after one more lookahead; only the sequential loop runs that far.
    if (key.time + reply_ < limit_) limit_ = key.time + reply_;
  }

  [[noreturn]] void refuse_delay(Duration delay) const;
  [[noreturn]] void refuse_sequence() const;
  [[noreturn]] void refuse_send(ChannelId channel, std::uint32_t index, Duration delay) const;
  [[nodiscard]] std::string describe(std::uint32_t id) const;

  EventQueue queue_;
  std::uint64_t now_ = 0;
  std::uint64_t limit_ = 0;  // events at or after it are not run in this turn
  std::uint64_t reply_ = 0;
  Entity* self_ = nullptr;
  Outbox* outbox_ = nullptr;
  const Address* addresses_ = nullptr;
  const Channel* channels_ = nullptr;
  std::uint32_t channel_count_ = 0;
  std::uint32_t index_ = 0;
  std::uint32_t foreign_pending_ = 0;  // pending events that another process sent
  bool promises_made_ = false;
  bool alone_ = false;  // the only partition
  std::uint64_t stop_at_ = EventQueue::kNever;
  const std::vector<std::string>* names_ = nullptr;
};

}  // namespace foretoken::sim::engine
