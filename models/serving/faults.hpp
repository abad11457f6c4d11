#pragma once
// What breaks when, for each replica: a pure function of the scenario and the seed, so that router
// and replicas know the same schedule.
#include <cstdint>
#include <vector>

#include "models/serving/cluster.hpp"

namespace foretoken::models::serving {

// A span in which a replica is down, or slow. Ends are whole picoseconds; `to_ps` is excluded.
struct Outage {
  std::int64_t from_ps = 0, to_ps = 0;
  double slowdown = 0.0;  // 0 = down
  [[nodiscard]] bool down() const { return slowdown == 0.0; }
};

struct PoolShape {
  int replicas = 0, gpus_per_replica = 1, gpus_per_node = 8, nodes_per_switch = 1;
  // Nodes that a replica of one node or more does not share with others.
  [[nodiscard]] int nodes() const;
  // Replicas that have a GPU in the unit, first to last, last excluded.
  struct Range {
    int first = 0, last = 0;
  };
  [[nodiscard]] Range hit_by(FaultKind kind, int unit) const;
};

// Per replica of the pool, ascending and without overlap among those of a kind (down, slow).
// Random faults begin before `horizon_ps`.
std::vector<std::vector<Outage>> outages_of(const FaultSpec& faults, int pool,
                                            const PoolShape& shape, std::int64_t horizon_ps,
                                            std::uint64_t seed);

// Of the one storage or the one router that the deployment has.
std::vector<Outage> outages_of(const FaultSpec& faults, FaultKind service, std::int64_t horizon_ps,
                               std::uint64_t seed);

}  // namespace foretoken::models::serving
