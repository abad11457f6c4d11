#include "models/serving/fleet.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {

Fleet::Fleet(std::vector<PoolPlan> pools, const RouterSpec& entry, const RouterSpec& decode)
    : pools_(std::move(pools)) {
  for (std::uint32_t p = 0; p < pools_.size(); ++p) {
    first_.push_back(size());
    const Stage stage = pools_[p].role == PoolRole::decode ? Stage::decode : Stage::entry;
    for (std::uint32_t i = 0; i < pools_[p].replicas; ++i) {
      auto& members = members_[index(stage)];
      local_.push_back(static_cast<std::uint32_t>(members.size()));
      members.push_back(size());
      pool_of_.push_back(p);
    }
    wanted_.push_back(pools_[p].replicas);
  }
  SIM_ASSERT(has(Stage::entry), "a deployment without a replica that takes requests");
  wanted_since_ps_.assign(pools_.size(), 0);
  wanted_s_.assign(pools_.size(), 0.0);
  down_.assign(size(), 0);
  for (const Stage stage : {Stage::entry, Stage::decode})
    routers_[index(stage)] = make_router(stage == Stage::entry ? entry : decode,
                                         static_cast<std::uint32_t>(members_[index(stage)].size()));
}

Fleet::Stage Fleet::stage_of(std::uint32_t replica) const {
  return pools_[pool_of_[replica]].role == PoolRole::decode ? Stage::decode : Stage::entry;
}

std::uint32_t Fleet::route(Stage stage, const RouteQuestion& question) {
  return members_[index(stage)][routers_[index(stage)]->route(question)];
}

void Fleet::done(std::uint32_t replica, std::int64_t tokens) {
  routers_[index(stage_of(replica))]->done(local_[replica], tokens);
}

std::int64_t Fleet::open_requests() const {
  return routers_[0]->open_requests() + routers_[1]->open_requests();
}

double Fleet::open_per_replica(Stage stage) const {
  const Router& router = *routers_[index(stage)];
  const auto count = static_cast<double>(std::max<std::size_t>(1, router.serving().size()));
  return static_cast<double>(router.open_requests()) / count;
}

std::int64_t Fleet::open_in(std::uint32_t pool) const {
  std::int64_t open = 0;
  for (std::uint32_t i = 0; i < pools_[pool].replicas; ++i) {
    const std::uint32_t replica = first_[pool] + i;
    open += routers_[index(stage_of(replica))]->open_requests(local_[replica]);
  }
  return open;
}

bool Fleet::needs_feedback() const { return routers_[0]->needs_feedback() || has(Stage::decode); }

void Fleet::apply(std::uint32_t replica) {
  const std::uint32_t pool = pool_of_[replica];
  const bool in = replica - first_[pool] < wanted_[pool] && down_[replica] == 0;
  routers_[index(stage_of(replica))]->set_service(local_[replica], in);
}

void Fleet::want(std::uint32_t pool, std::uint32_t replicas, std::int64_t now_ps) {
  wanted_s_[pool] = wanted_seconds(pool, now_ps);
  wanted_since_ps_[pool] = now_ps;
  wanted_[pool] = std::min(replicas, pools_[pool].replicas);
  for (std::uint32_t i = 0; i < pools_[pool].replicas; ++i) apply(first_[pool] + i);
}

void Fleet::set_health(std::uint32_t replica, bool up) {
  if (up) {
    SIM_ASSERT(down_[replica] > 0, "a replica was repaired that was not down");
    --down_[replica];
  } else {
    ++down_[replica];
  }
  apply(replica);
}

double Fleet::wanted_seconds(std::uint32_t pool, std::int64_t now_ps) const {
  return wanted_s_[pool] +
         static_cast<double>(now_ps - wanted_since_ps_[pool]) * 1e-12 * wanted_[pool];
}

}  // namespace foretoken::models::serving
