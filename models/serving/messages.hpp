#pragma once
// What the processes of a serving simulation send each other.
#include <cstdint>

namespace foretoken::models::serving {

enum MessageKind : std::uint32_t {
  kRequest = 1,  // front end -> replica: RequestMessage
  kDone = 2,     // replica -> front end: DoneMessage
  kStepEnd = 3,  // replica to itself: the iteration (or the last of a run of them) is over
  kWake = 4,     // replica to itself: plan, something arrived while idle
  kArrival = 5,  // front end to itself: the next request is due
};

struct RequestMessage {
  std::uint32_t request = 0;
  std::int32_t input = 0, output = 0;
  std::int64_t arrival_ps = 0;
};

struct DoneMessage {
  std::uint32_t request = 0;
  std::uint32_t replica = 0;
};

}  // namespace foretoken::models::serving
