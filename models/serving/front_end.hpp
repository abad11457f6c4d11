#pragma once
// Clients and router as one process: sends requests to replicas as the arrival process says, hears
// of completions where clients or router depend on them.
#include <memory>
#include <vector>

#include "models/serving/arrivals.hpp"
#include "models/serving/messages.hpp"
#include "models/serving/router.hpp"
#include "sim/engine/process.hpp"

namespace foretoken::models::serving {

struct IssuedRequest {
  std::int64_t arrival_ps = 0;
  std::int32_t input = 0, output = 0;
  std::int32_t replica = -1;  // -1: refused, longer than the model's context
  std::int32_t tenant = 0, priority = 0;
  std::int32_t session = -1, turn = 0;
  std::int64_t deadline_ps = -1;  // after arrival
};

class FrontEnd final : public sim::engine::Process {
 public:
  FrontEnd(const ServingSpec& spec, sim::core::Duration request_delay);

  void connect(std::vector<sim::engine::ChannelId> replicas) { replicas_ = std::move(replicas); }
  // Whether replicas must report completions.
  [[nodiscard]] bool needs_feedback() const {
    return open_ == nullptr || sessions_ || router_->needs_feedback();
  }
  void start(sim::engine::Context& context) override;
  void handle(sim::engine::Context& context, const sim::engine::Event& event) override;

  void save(std::vector<std::byte>& out) const override;
  void restore(std::span<const std::byte> in) override;

  // Every request sent, in order; a few may lie after the end of a run that was stopped.
  [[nodiscard]] const std::vector<IssuedRequest>& issued() const { return issued_; }

 private:
  void read_ahead(sim::engine::Context& context);
  void send_closed(sim::engine::Context& context);
  // A client that got its answer, or was refused, and what it does next.
  void answered(sim::engine::Context& context, std::uint32_t request);
  [[nodiscard]] bool arrivals_over(std::int64_t now_ps) const;
  // False if it is refused, longer than the model's context.
  bool issue(sim::engine::Context& context, const TraceRequest& request, std::int32_t turn = 0);

  WorkloadSpec workload_;
  std::uint64_t seed_;
  std::int64_t context_tokens_;
  sim::core::Duration request_delay_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<OpenArrivals> open_;
  std::optional<SessionArrivals> sessions_;
  double think_s_ = 0.0;  // of a closed loop's clients
  std::vector<sim::engine::ChannelId> replicas_;
  std::optional<TraceRequest> pending_;
  std::vector<IssuedRequest> issued_;
};

}  // namespace foretoken::models::serving
