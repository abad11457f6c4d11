#pragma once
// The life of one request inside a replica, step by step, for `foretoken explain`. A run without a
// watched request pays one comparison a step.
#include <cstdint>
#include <string>
#include <vector>

#include "models/serving/batch.hpp"
#include "models/serving/scheduler.hpp"

namespace foretoken::models::serving {

struct RequestEvent {
  enum class Kind : std::uint8_t {
    reached,    // the replica: a = requests ahead in the queue, b = requests running
    admitted,   // a = tokens already in the cache
    chunk,      // a = prompt tokens of it, b = all prompt tokens of the step, c = decodes beside
    token,      // its first
    preempted,  // a = tokens generated so far, b = 1 if its KV went to host memory
    decoded,    // a run of decode steps: a = steps, b = those that carried prompts
    finished,   // a = output tokens
    refused,    // no room for it in the KV pool, ever
    gave_up,    // its client, who would not wait longer
    lost,       // with the replica
  };
  Kind kind = Kind::reached;
  std::int64_t start_ps = 0, end_ps = 0;
  std::int64_t a = 0, b = 0, c = 0;
  std::int64_t longest_ps = 0;  // decoded: the slowest of the steps
};

class RequestWatch {
 public:
  explicit RequestWatch(std::int64_t request) : request_(request) {}
  [[nodiscard]] bool on() const { return request_ >= 0; }
  [[nodiscard]] bool is(std::uint32_t request) const {
    return request_ == static_cast<std::int64_t>(request);
  }
  [[nodiscard]] const std::vector<RequestEvent>& events() const { return events_; }

  void refused(std::int64_t now_ps);
  void reached(std::size_t ahead, std::int32_t running, std::int64_t now_ps);
  void queued(Slot slot);
  void left(bool lost, std::int64_t now_ps);
  // A plan was made.
  void planned(const Batch& batch, std::int64_t now_ps);
  // A step is over; the batch is as it was during it.
  void step(const Batch& batch, const StepPlan& plan, std::int64_t start_ps, std::int64_t end_ps);
  void finished(const Batch& batch, Slot slot, std::int64_t now_ps);

 private:
  void decoded(const StepPlan& plan, std::int64_t start_ps, std::int64_t end_ps);

  std::int64_t request_;
  Slot slot_ = 0;
  bool here_ = false, running_ = false;
  std::int32_t preemptions_ = 0;
  std::vector<RequestEvent> events_;
};

}  // namespace foretoken::models::serving
