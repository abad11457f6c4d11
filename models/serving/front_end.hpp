#pragma once
// Clients and router as one process: sends requests to replicas as the arrival process says, hears
// of what became of them where clients or router depend on it, hands prompts that are done to the
// pool that decodes, and knows who is in service.
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "models/serving/arrivals.hpp"
#include "models/serving/fleet.hpp"
#include "models/serving/messages.hpp"
#include "models/serving/record_rule.hpp"
#include "models/serving/result.hpp"
#include "models/serving/shared_network.hpp"
#include "models/serving/sketches.hpp"
#include "sim/engine/process.hpp"

namespace foretoken::models::serving {

struct IssuedRequest {
  std::int64_t arrival_ps = 0;
  std::int32_t input = 0, output = 0;
  std::int32_t replica = -1;                   // that it was last sent to
  RequestReason reason = RequestReason::none;  // why the front end ended it
  std::int32_t tenant = 0, priority = 0;
  std::int32_t session = -1, turn = 0;
  std::int64_t deadline_ps = -1;  // after arrival
};

// What ended at the front end, and what passed through it.
struct FrontEndCounts {
  std::int64_t arrived = 0;
  std::array<std::int64_t, kReasons> ended{};  // by reason; `none`: served by the remote interface
  std::int64_t remote_input = 0, remote_output = 0;
  std::int64_t retries = 0, handed_on = 0, cached_tokens = 0, input_tokens = 0;
  double transferred_bytes = 0;
};

struct FrontEndSpec {
  sim::core::Duration request_delay;  // to any replica
  double kv_bytes_per_token = 0;      // that a transfer or a cache read moves
  std::int32_t cache_block_tokens = 1;
  RecordRule records;
  std::vector<Outage> storage_outages, router_outages;
  // With a shared network: it, where replicas are, messages of a GPU for one request's KV, bytes of
  // weights of one replica of each pool.
  std::optional<SharedFabric> network;
  std::vector<ReplicaPlace> places;
  double kv_messages = 1.0;
  std::vector<double> weight_bytes;
  sim::core::Duration network_delay;  // of what it and replicas tell each other of the network
};

class FrontEnd final : public sim::engine::Process {
 public:
  FrontEnd(const ServingSpec& spec, const FrontEndSpec& own, std::vector<PoolPlan> pools);

  void connect(std::vector<sim::engine::ChannelId> replicas) { replicas_ = std::move(replicas); }
  // To tell a replica what its steps get of the network that they share.
  void connect_network(std::uint32_t replica, sim::engine::ChannelId channel);
  // Whether steps of a replica share the network.
  [[nodiscard]] bool carries_steps(std::uint32_t replica) const {
    return network_ && network_->carries_steps(replica);
  }
  // Whether replicas must report what became of requests.
  [[nodiscard]] bool needs_feedback() const;
  void start(sim::engine::Context& context) override;
  void handle(sim::engine::Context& context, const sim::engine::Event& event) override;

  void save(std::vector<std::byte>& out) const override;
  void restore(std::span<const std::byte> in) override;

  // Requests sent that records() keeps, in order; a few may lie after the end of a run that was
  // stopped.
  [[nodiscard]] const std::vector<IssuedRequest>& issued() const { return issued_; }
  // As the spec says, or all where clients need them.
  [[nodiscard]] const RecordRule& records() const { return own_.records; }
  [[nodiscard]] const FrontEndCounts& counts() const { return counts_; }
  // Replica-seconds of each pool until the run's end.
  [[nodiscard]] std::vector<double> wanted_seconds(std::int64_t end_ps) const;
  // Requests answered by the remote interface, if they are kept: number, first and last token.
  struct RemoteAnswer {
    std::uint32_t request = 0;
    std::int64_t first_ps = 0, last_ps = 0;
  };
  [[nodiscard]] const std::vector<RemoteAnswer>& remote() const { return remote_; }
  // Latencies of all of them, where not all requests are kept.
  [[nodiscard]] const Sketches& sketches() const { return sketches_; }
  // Nothing where there is no shared network.
  [[nodiscard]] std::optional<NetworkResult> network() const;
  [[nodiscard]] std::shared_ptr<const collective::Fabric> fabric() const {
    return own_.network ? own_.network->fabric : nullptr;
  }

  template <class A>
  void fields(A& archive) {
    archive(issued_, counts_, remote_, sketches_, fleet_, network_result_);
  }

 private:
  void read_ahead(sim::engine::Context& context);
  void send_closed(sim::engine::Context& context);
  void next_turn(sim::engine::Context& context, const TurnMessage& next);
  [[nodiscard]] bool arrivals_over(std::int64_t now_ps) const;
  // Null if it is not kept.
  IssuedRequest* record_of(std::uint32_t request);
  // False if it is refused, longer than the model's context.
  bool issue(sim::engine::Context& context, const TraceRequest& request, std::int32_t turn = 0);
  void dispatch(sim::engine::Context& context, const RequestMessage& message,
                sim::core::Duration read = {});
  void hand_on(sim::engine::Context& context, std::uint32_t from, RequestMessage message);
  void retry(sim::engine::Context& context, RequestMessage message, RequestReason otherwise);
  void end(sim::engine::Context& context, const RequestMessage& message, RequestReason reason);
  void answer_remotely(sim::engine::Context& context, const RequestMessage& message);
  [[nodiscard]] bool goes_remote(const RequestMessage& message) const;
  // A request of a client is over `after` from now, and what the client does next.
  void ended(sim::engine::Context& context, std::uint32_t request, sim::core::Duration after);
  void send(sim::engine::Context& context, std::uint32_t replica, sim::core::Duration delay,
            const RequestMessage& message);
  // On the shared network.
  struct Moving {
    RequestMessage message;
    std::uint32_t replica = 0;
    std::uint32_t left = 0;     // moves that must end first
    sim::core::Duration after;  // what else it takes meanwhile
    std::int64_t began_ps = 0;
    std::optional<ServiceMessage> service;  // replicas that start, instead of a request
  };
  std::uint32_t begin_moving(const RequestMessage& message, std::uint32_t replica);
  void move(sim::engine::Context& context, const SharedNetwork::Move& move, std::uint32_t ticket);
  void moved_on(sim::engine::Context& context, std::uint32_t ticket);
  void watch_network(sim::engine::Context& context);
  void tell_stretches(sim::engine::Context& context);
  void load_weights(sim::engine::Context& context, const ServiceMessage& wanted);
  void scale(sim::engine::Context& context, std::uint32_t pool);
  void start_pools(sim::engine::Context& context);
  void start_outages(sim::engine::Context& context);
  [[nodiscard]] bool over(std::int64_t now_ps) const;
  [[nodiscard]] std::int64_t held_tokens(const RequestMessage& message, bool decode) const;
  [[nodiscard]] sim::core::Duration moved(double tokens, double bytes_per_s,
                                          double latency_s) const;
  [[nodiscard]] bool ahead_of_time() const;
  [[nodiscard]] bool answers() const;
  [[nodiscard]] std::int32_t block_tokens() const;
  void read_over_network(const CacheTierSpec& tier, double tokens, std::uint32_t request);
  // Looks the prompt up in the cache; returns the time to read what is there, reads_ aside.
  sim::core::Duration look_up(const TraceRequest& request, RequestMessage& message);

  WorkloadSpec workload_;
  ClusterSpec cluster_;
  FrontEndSpec own_;
  std::uint64_t seed_;
  std::int64_t context_tokens_;
  Fleet fleet_;
  std::unique_ptr<OpenArrivals> open_;
  std::optional<SessionArrivals> sessions_;
  double think_s_ = 0.0;                                     // of a closed loop's clients
  std::vector<sim::engine::ChannelId> replicas_, networks_;  // by replica
  std::optional<TraceRequest> pending_;
  std::optional<PrefixCache> cache_;
  std::shared_ptr<const PrefixBlocks> prefix_;  // of a trace's requests, if it says
  std::vector<PrefixCache::BlockId> blocks_;    // of the request at hand
  std::uint32_t number_ = 0;                    // of the next request
  std::int64_t retrying_ = 0;                   // requests between two attempts
  std::int64_t pausing_ = 0;                    // clients between two requests
  bool storage_down_ = false, router_down_ = false;
  std::vector<std::int64_t> changed_ps_;  // of a pool: its last change of size
  std::vector<IssuedRequest> issued_;
  FrontEndCounts counts_;
  std::vector<RemoteAnswer> remote_;
  bool sketches_wanted_ = false;
  Sketches sketches_;
  std::unique_ptr<SharedNetwork> network_;
  NetworkResult network_result_;
  std::vector<Moving> moving_;
  std::vector<std::uint32_t> free_moving_;
  std::vector<SharedNetwork::Move> reads_;  // of the request at hand
  std::int64_t network_due_ps_ = -1;        // of the last event that was scheduled for it
};

}  // namespace foretoken::models::serving
