#pragma once
// The replicas of all pools under one numbering, and which of them the router may use: a replica
// is in service while its pool's schedule or scaling wants it and it is not known to be down.
#include <cstdint>
#include <memory>
#include <vector>

#include "models/serving/cluster.hpp"
#include "models/serving/faults.hpp"
#include "models/serving/router.hpp"

namespace foretoken::models::serving {

struct PoolPlan {
  PoolRole role = PoolRole::whole;
  std::uint32_t replicas = 1;
  std::vector<ServiceStep> schedule;  // ascending; empty: all, always
  AutoscaleSpec autoscale;
  std::vector<std::vector<Outage>> outages;  // of each replica; empty: none
};

class Fleet {
 public:
  Fleet(std::vector<PoolPlan> pools, const RouterSpec& entry, const RouterSpec& decode);

  // The stage that takes new requests, and the one that takes prompts that are done.
  enum class Stage : std::uint8_t { entry, decode };
  [[nodiscard]] bool has(Stage stage) const { return !members_[index(stage)].empty(); }
  [[nodiscard]] bool can_route(Stage stage) const {
    return !routers_[index(stage)]->serving().empty();
  }
  std::uint32_t route(Stage stage, const RouteQuestion& question);
  void done(std::uint32_t replica, std::int64_t tokens);
  [[nodiscard]] std::int64_t open_requests() const;
  // Open requests of the stage for each of its replicas in service.
  [[nodiscard]] double open_per_replica(Stage stage) const;
  [[nodiscard]] std::int64_t open_in(std::uint32_t pool) const;
  [[nodiscard]] bool needs_feedback() const;

  // How many of a pool's replicas should be in service: the first ones.
  void want(std::uint32_t pool, std::uint32_t replicas, std::int64_t now_ps);
  void set_health(std::uint32_t replica, bool up);
  [[nodiscard]] std::uint32_t wanted(std::uint32_t pool) const { return wanted_[pool]; }
  [[nodiscard]] const std::vector<PoolPlan>& pools() const { return pools_; }
  [[nodiscard]] std::uint32_t pool_of(std::uint32_t replica) const { return pool_of_[replica]; }
  [[nodiscard]] std::uint32_t first_of(std::uint32_t pool) const { return first_[pool]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(pool_of_.size()); }
  // Replica-seconds that the pool was wanted until `now_ps`, failures included.
  [[nodiscard]] double wanted_seconds(std::uint32_t pool, std::int64_t now_ps) const;
  template <class A>
  void fields(A& archive) {  // what is asked for after the run
    archive(wanted_, wanted_since_ps_, wanted_s_);
  }

 private:
  static std::size_t index(Stage stage) { return static_cast<std::size_t>(stage); }
  [[nodiscard]] Stage stage_of(std::uint32_t replica) const;
  void apply(std::uint32_t replica);

  std::vector<PoolPlan> pools_;
  std::vector<std::uint32_t> pool_of_, local_;  // of a replica: its pool, its number in its stage
  std::vector<std::uint32_t> first_;            // of a pool: its first replica
  std::vector<std::uint32_t> members_[2];       // replicas of a stage
  std::unique_ptr<Router> routers_[2];
  std::vector<std::uint32_t> wanted_;
  std::vector<std::uint8_t> down_;  // known failures that are not repaired
  std::vector<std::int64_t> wanted_since_ps_;
  std::vector<double> wanted_s_;
};

}  // namespace foretoken::models::serving
