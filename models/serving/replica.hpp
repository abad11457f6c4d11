#pragma once
// One engine replica as a process: takes requests, runs iterations back to back while there is
// work, and keeps what it did.
#include <memory>
#include <optional>
#include <vector>

#include "models/serving/archive.hpp"
#include "models/serving/batch.hpp"
#include "models/serving/cluster.hpp"
#include "models/serving/faults.hpp"
#include "models/serving/messages.hpp"
#include "models/serving/record_rule.hpp"
#include "models/serving/recorder.hpp"
#include "models/serving/request_watch.hpp"
#include "models/serving/result.hpp"
#include "models/serving/scheduler.hpp"
#include "models/serving/sketches.hpp"
#include "models/serving/step_timer.hpp"
#include "models/serving/stream_server.hpp"
#include "sim/engine/process.hpp"

namespace foretoken::models::serving {

// A request that left the replica (or was still there when the run stopped). Times as the client
// sees them; -1 = never.
struct RequestRecord {
  std::uint32_t request = 0;
  std::int32_t input = 0, output = 0, preemptions = 0;
  std::int64_t arrival_ps = -1, scheduled_ps = -1, first_ps = -1, last_ps = -1;
  RequestOutcome outcome = RequestOutcome::unfinished;
};

struct ReplicaSpec {
  std::uint32_t index = 0;
  BatchingSpec batching;
  std::int32_t ranks = 1;  // attention ranks that step together
  AdmissionRule admission;
  std::int64_t kv_blocks = 0;
  std::int32_t block_tokens = 16;
  std::int32_t first_chunk_tokens = 1;  // tokens in the first streamed chunk
  sim::core::Duration response_delay;   // engine to client
  double swap_block_s = 0.0;            // one KV block over PCIe, on every GPU at once
  double stream_token_ps = 0.0;         // of the front end, for each token it streams
  std::int32_t poll_steps = 1;          // decode steps between two looks at new requests
  bool plans_ahead = false;             // a step is planned when the one before it starts
  std::uint64_t seed = 1;
  std::int64_t watch = -1;  // request to record step by step
  bool decode_runs = true;  // several decode steps in one event
  RecordRule records;
  PoolRole role = PoolRole::whole;
  sim::core::Duration timeout;  // how long a client waits for the start; zero: for ever
  std::vector<Outage> outages;
  RecorderSpec recorder;
  sim::core::Duration network_delay;  // of what it and the shared network tell each other
};

struct ReplicaCounts {
  std::int64_t received = 0, completed = 0, rejected = 0;
  std::int64_t handed_on = 0, lost = 0, timed_out = 0;
  std::int64_t input_tokens = 0, output_tokens = 0;  // of completed requests
  std::int64_t made_output = 0;                      // tokens made here of all that left
  std::int64_t made_kv = 0;                          // tokens of KV made here of all that left
  std::int64_t cached_tokens = 0;  // of prompts that came with KV, in the measured window
  std::int64_t last_ps = 0;        // client's time of the last completion
};

class Replica final : public sim::engine::Process {
 public:
  Replica(const ReplicaSpec& spec, const StepTimer& timer);

  // Where completions are announced; none = nobody needs to know.
  void report_to(sim::engine::ChannelId channel) { report_ = channel; }
  // Where what its steps send between nodes is announced; none = nobody shares that network.
  void report_load_to(sim::engine::ChannelId channel) { load_ = channel; }
  void start(sim::engine::Context& context) override;
  void handle(sim::engine::Context& context, const sim::engine::Event& event) override;
  void save(std::vector<std::byte>& out) const override;
  void restore(std::span<const std::byte> in) override;
  // Books the steps that ended by `end` and the requests still inside. Once, after the run.
  void finish(sim::core::Time end);

  [[nodiscard]] const Batch& batch() const { return batch_; }
  // Requests that arrived and that the engine has not looked at yet.
  [[nodiscard]] std::int64_t unseen() const { return static_cast<std::int64_t>(inbox_.size()); }
  [[nodiscard]] const ReplicaCounts& counts() const { return counts_; }
  [[nodiscard]] const std::vector<RequestRecord>& records() const { return records_; }
  [[nodiscard]] sim::core::Duration response_delay() const { return spec_.response_delay; }
  [[nodiscard]] const Sketches& sketches() const { return sketches_; }
  [[nodiscard]] PoolRole role() const { return spec_.role; }
  [[nodiscard]] const RequestWatch& watch() const { return watch_; }
  [[nodiscard]] Recorder& recorder() { return recorder_; }
  [[nodiscard]] const Recorder& recorder() const { return recorder_; }

  template <class A>
  void fields(A& archive) {
    archive(batch_, recorder_, counts_, records_, sketches_, guests_, plan_, busy_, step_start_ps_,
            ends_, run_booked_, run_length_, inbox_, stream_, decodes_since_poll_, last_start_ps_,
            stretch_, bent_);
  }

 private:
  // What a sequence brings that the batch does not need to know.
  struct Guest {
    std::int32_t output = 0;  // in all; a prefill replica makes only the first
    std::int32_t kv = 0;      // tokens of KV it came with
    std::int32_t session = -1;
    std::uint8_t attempt = 0;
  };
  void receive(sim::engine::Context& context, const RequestMessage& message);
  void reject(sim::engine::Context& context, const RequestMessage& message);
  Slot enqueue(sim::engine::Context& context, const RequestMessage& message,
               std::int64_t reached_ps);
  void expire_later(sim::engine::Context& context, const RequestMessage& message, Slot slot);
  // Requests that wait here, looked at or not.
  [[nodiscard]] std::size_t queued() const { return batch_.waiting().size() + inbox_.size(); }
  [[nodiscard]] bool polls() const;
  void poll(sim::engine::Context& context);
  void look(sim::engine::Context& context, std::size_t requests);
  void cut_run(sim::engine::Context& context, bool planned = false);
  void end_step(sim::engine::Context& context);
  void start_step(sim::engine::Context& context);
  void start_run(sim::engine::Context& context);
  [[nodiscard]] std::size_t run_length();
  void book_run_steps(std::int64_t before_ps);
  void book_run(std::size_t steps);
  void book_step(std::int64_t end_ps, const StepInput& input, StepCost cost);
  void tell_load(sim::engine::Context& context);
  void stretch_steps(sim::engine::Context& context, double times);
  void complete_finished(sim::engine::Context* context, std::int64_t now_ps);
  void announce(sim::engine::Context& context, std::uint32_t request, std::int64_t tokens,
                sim::core::Duration later);
  [[nodiscard]] std::int64_t held(std::int32_t input, std::int32_t output) const;
  void account(Slot slot);  // of one that leaves
  void complete(sim::engine::Context* context, Slot slot, std::int64_t now_ps,
                std::int64_t sent_ps);
  void hand_on(sim::engine::Context& context, Slot slot, std::int64_t now_ps);
  void give_back(sim::engine::Context& context, Slot slot, MessageKind kind);
  void expire(sim::engine::Context& context, const ExpireMessage& message);
  void fail(sim::engine::Context& context);
  [[nodiscard]] RequestMessage message_of(Slot slot) const;
  void tell(sim::engine::Context& context, MessageKind kind, const RequestMessage& message);
  [[nodiscard]] StepInput step_input();
  [[nodiscard]] StepCost price(const StepInput& input) const;
  void wait_for_policy(sim::engine::Context& context);

  ReplicaSpec spec_;
  const StepTimer& timer_;
  std::unique_ptr<Scheduler> scheduler_;
  Batch batch_;
  Recorder recorder_;
  RequestWatch watch_;
  std::optional<sim::engine::ChannelId> report_;
  ReplicaCounts counts_;
  std::vector<RequestRecord> records_;
  StreamServer stream_;
  struct Unseen {
    RequestMessage message;
    std::int64_t at_ps;
  };
  std::vector<Unseen> inbox_;  // arrived since the engine last looked
  std::int32_t decodes_since_poll_ = 0;
  Sketches sketches_;
  std::vector<Guest> guests_;  // by slot
  bool down_ = false;
  double pace_ = 1.0;  // steps take so many times as long
  // On a network that is shared: see kStretch. A step is bent where that changed within it.
  std::optional<sim::engine::ChannelId> load_;
  StepLoad told_;
  double stretch_ = 1.0;
  bool bent_ = false;

  StepPlan plan_;
  std::vector<llm::Chunk> chunks_;  // of plan_, as the timer wants them
  std::vector<Slot> finished_;
  bool busy_ = false, wake_pending_ = false;
  std::int64_t step_start_ps_ = 0, last_start_ps_ = 0;
  sim::engine::EventHandle step_end_, timer_event_;
  // A run of decode steps: ends of all its steps, of which the first run_booked_ are booked and
  // run_length_ will be done (fewer than planned if something arrived).
  std::vector<std::int64_t> ends_;
  std::size_t run_booked_ = 0, run_length_ = 0, run_cap_;
};

}  // namespace foretoken::models::serving
