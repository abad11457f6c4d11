#pragma once
// What travels between processes: ids, payloads, events.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "sim/core/id.hpp"
#include "sim/core/time.hpp"

namespace foretoken::sim::engine {

using core::Duration;
using core::Time;
using EntityId = core::Id<struct EntityTag>;        // a process
using ChannelId = core::Id<struct ChannelTag>;      // a directed edge between processes
using PartitionId = core::Id<struct PartitionTag>;  // processes that share one event queue

// What a message carries: any trivially copyable type of at most 48 bytes. It crosses ranks as
// bytes, so it must hold no pointers. An event without one takes half the memory.
class Payload {
 public:
  static constexpr std::size_t kBytes = 48;
  Payload() = default;
  template <class T>
  explicit Payload(const T& value) : size_(sizeof(T)) {
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
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  alignas(8) std::array<std::byte, kBytes> bytes_{};
  std::uint64_t size_ = 0;
};

// Lower runs first among events of equal time.
enum class Priority : std::uint8_t { urgent = 0, normal = 64, late = 128, bookkeeping = 192 };

// Names one pending event of the process that scheduled it.
struct EventHandle {
  std::uint32_t slot = UINT32_MAX;
  std::uint32_t generation = 0;
  std::uint32_t owner = 0;  // index of the process inside its partition
  [[nodiscard]] bool valid() const { return slot != UINT32_MAX; }
};

// What a handler is given. The payload is valid while it runs.
struct Event {
  Time time;
  EntityId source;  // who scheduled or sent it
  EntityId target;
  std::uint32_t kind = 0;  // the receiver's own enumeration
  const Payload& payload;
};

}  // namespace foretoken::sim::engine
