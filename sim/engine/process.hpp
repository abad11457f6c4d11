#pragma once
// The contract between what is simulated and what runs it. A Process owns its state and talks to
// others only by messages over channels with a declared minimum delay (lookahead). It is written
// once and runs under every executor (serial, threads, MPI ranks) with identical results.
#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "sim/core/id.hpp"
#include "sim/core/time.hpp"

namespace foretoken::sim::engine {

using core::Duration;
using core::Time;
using EntityId = core::Id<struct EntityTag>;        // a process
using ChannelId = core::Id<struct ChannelTag>;      // a directed edge between two processes
using PartitionId = core::Id<struct PartitionTag>;  // processes that share one event queue

// What a message carries: any trivially copyable type of at most 48 bytes. It crosses ranks as
// bytes, so it must hold no pointers.
class Payload {
 public:
  static constexpr std::size_t kBytes = 48;
  Payload() = default;
  template <class T>
  explicit Payload(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kBytes);
    std::memcpy(bytes_.data(), &value, sizeof(T));
  }
  template <class T>
  [[nodiscard]] T as() const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kBytes);
    T value;
    std::memcpy(&value, bytes_.data(), sizeof(T));
    return value;
  }

 private:
  alignas(8) std::array<std::byte, kBytes> bytes_;
};

// Lower runs first among events of equal time.
enum class Priority : std::uint8_t { urgent = 0, normal = 64, late = 128, bookkeeping = 192 };

// Names one pending event of the process that scheduled it.
struct EventHandle {
  std::uint32_t slot = UINT32_MAX;
  std::uint32_t generation = 0;
  [[nodiscard]] bool valid() const { return slot != UINT32_MAX; }
};

struct Event {
  Time time;
  EntityId source;      // who scheduled or sent it
  EntityId target;
  std::uint32_t kind = 0;  // the receiver's own enumeration
  Payload payload;
};

// What a process may do while it handles an event. Valid only during the call.
class Context {
 public:
  [[nodiscard]] virtual Time now() const = 0;
  // An event to oneself; a zero delay is allowed. Negative delays and overflow throw.
  virtual EventHandle schedule(Duration delay, std::uint32_t kind, const Payload& payload = {},
                               Priority priority = Priority::normal) = 0;
  // True if the event was still pending; it will not be delivered.
  virtual bool cancel(EventHandle handle) = 0;
  // A message over a channel of this process; delay counts from now and must be at least the
  // channel's minimum delay.
  virtual void send(ChannelId channel, Duration delay, std::uint32_t kind,
                    const Payload& payload = {}, Priority priority = Priority::normal) = 0;
  // Nothing leaves this process before `time` (but in answer to a message that arrives earlier
  // if `unless_messaged`). Widens windows; breaking it is caught. A later call replaces it.
  virtual void promise(Time time, bool unless_messaged) = 0;
  // Ends the run after the current event time (e.g. a stop condition is reached).
  virtual void stop() = 0;

 protected:
  ~Context() = default;
};

class Process {
 public:
  Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  virtual ~Process() = default;
  virtual void start(Context&) {}  // at time zero, in order of entity id
  virtual void handle(Context& context, const Event& event) = 0;
};

}  // namespace foretoken::sim::engine
