#pragma once
// What the processes of a serving simulation send each other.
#include <cstdint>

namespace foretoken::models::serving {

enum MessageKind : std::uint32_t {
  kRequest = 1,  // front end -> replica: RequestMessage
  kDone,         // replica -> front end: DoneMessage; completed, or never fits
  kStepEnd,      // replica to itself: the iteration (or the last of a run of them) is over
  kWake,         // replica to itself: plan, something arrived while idle
  kArrival,      // front end to itself: the next request is due
  kTimer,        // replica to itself: plan, the policy asked for it
  kPrefilled,    // prefill replica -> front end: RequestMessage; prompt done, first token out
  kLost,         // replica -> front end: RequestMessage; a failure took it
  kTimedOut,     // replica -> front end: RequestMessage; its client gave up waiting
  kExpire,       // replica to itself: ExpireMessage; a client's patience ends
  kFail,         // replica to itself: goes down
  kRepaired,     // replica to itself: comes back, empty
  kPace,         // replica to itself: double; steps take so many times as long from now on
  kThought,      // front end to itself: a client of a closed loop sends its next
  kTurn,         // front end to itself: the next turn of a conversation, TurnMessage
  kRetry,        // front end to itself: RequestMessage; try once more
  kService,      // front end to itself: ServiceMessage; a step of a pool's schedule
  kScale,        // front end to itself: ServiceMessage; look whether a pool has the right size
  kStarted,      // front end to itself: ServiceMessage; replicas that were started are ready
  kHealth,       // front end to itself: HealthMessage; a failure or repair becomes known
  kOutage,       // front end to itself: OutageMessage; storage or the router goes or comes back
  kMoved,        // front end to itself: something on the shared network is due
  kStepLoad,     // replica -> front end: StepLoad; what its steps send between nodes from now on
  kStretch,      // front end -> replica: double; what steps send between nodes takes so many times
                 // as long as with the network to itself
};

// What the steps of a replica put between its nodes, as a mean over a step; all zero: nothing.
struct StepLoad {
  double bytes_per_s = 0.0;  // that each GPU sends, and receives
  // Time on the network, had it the network to itself, as a share of the step: as the step goes,
  // and as it would go then.
  double share = 0.0, alone = 0.0;
};

struct RequestMessage {
  std::uint32_t request = 0;
  std::int32_t input = 0, output = 0;
  std::int32_t cached = 0;  // tokens of the prompt whose KV comes with it
  std::int64_t arrival_ps = 0;
  std::int64_t first_ps = -1;    // when the client got its first token, of a prompt that is done
  float scheduled_after_s = -1;  // arrival to first processing, of a prompt that is done
  float deadline_after_s = -1;   // arrival to when it should be done; -1 = none
  std::int32_t session = -1;
  std::uint16_t tenant = 0;
  std::int8_t priority = 0;  // lower is more urgent
  std::uint8_t attempt = 0;
};

struct TurnMessage {
  std::int32_t session = -1, turn = 0, shared_tokens = 0;
};

struct DoneMessage {
  std::uint32_t request = 0;
  std::uint32_t replica = 0;
  std::int64_t tokens = 0;  // that it held
};

struct ExpireMessage {
  static constexpr std::uint32_t kUnseen = UINT32_MAX;
  std::uint32_t request = 0;
  std::uint32_t slot = kUnseen;  // kUnseen: the engine had not looked at it when this was sent
};

struct ServiceMessage {
  std::uint32_t pool = 0;
  std::int32_t replicas = 0;
};

struct HealthMessage {
  std::uint32_t replica = 0;
  std::uint32_t up = 0;
};

struct OutageMessage {
  std::uint32_t router = 0;  // 0 = storage
  std::uint32_t up = 0;
};

}  // namespace foretoken::models::serving
