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
  kTimer = 6,    // replica to itself: plan, the policy asked for it
  kThought = 7,  // front end to itself: a client of a closed loop has thought
  kTurn = 8,     // front end to itself: the next turn of a conversation, TurnMessage
};

struct RequestMessage {
  std::uint32_t request = 0;
  std::int32_t input = 0, output = 0;
  std::int32_t tenant = 0, priority = 0, session = -1;
  std::int64_t arrival_ps = 0;
  std::int64_t deadline_ps = -1;  // point in time; -1 = none
};

struct TurnMessage {
  std::int32_t session = -1, turn = 0, shared_tokens = 0;
};

struct DoneMessage {
  std::uint32_t request = 0;
  std::uint32_t replica = 0;
};

}  // namespace foretoken::models::serving
