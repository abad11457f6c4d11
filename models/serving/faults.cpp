#include "models/serving/faults.hpp"

#include <algorithm>

#include "sim/core/random.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;

constexpr std::uint32_t kFaultPurpose = 0x4641554c;  // random streams of faults

int units_of(const PoolShape& shape, FaultKind kind) {
  switch (kind) {
    case FaultKind::gpu:
    case FaultKind::straggler:
      return shape.replicas * shape.gpus_per_replica;
    case FaultKind::node:
    case FaultKind::link:
      return shape.nodes();
    case FaultKind::leaf_switch:
      return (shape.nodes() + shape.nodes_per_switch - 1) / shape.nodes_per_switch;
    case FaultKind::storage:
    case FaultKind::router:
      return 1;
  }
  return 0;
}

// Exponential times up and down, one after the other. Entities are numbered by pool, kind and unit.
void random_faults(const FaultSpec& faults, int pool, const PoolShape& shape, FaultKind kind,
                   std::int64_t horizon_ps, std::uint64_t seed, std::vector<FaultEvent>& out) {
  const auto k = static_cast<std::size_t>(kind);
  if (faults.mean_between_s[k] <= 0) return;
  for (int unit = 0; unit < units_of(shape, kind); ++unit) {
    const auto purpose =
        kFaultPurpose + 16 * static_cast<std::uint32_t>(pool) + static_cast<std::uint32_t>(kind);
    sim::core::Random random(seed, static_cast<std::uint32_t>(unit), purpose);
    double at_s = 0;
    while (true) {
      at_s += random.exponential(faults.mean_between_s[k]);
      if (at_s * 1e12 >= static_cast<double>(horizon_ps)) break;
      const double lasts_s = random.exponential(faults.mean_repair_s[k]);
      out.push_back({kind, pool, unit, Duration::from_seconds(at_s),
                     Duration::from_seconds(lasts_s), faults.straggler_slowdown});
      at_s += lasts_s;
    }
  }
}

// Overlapping spans of a kind become one; of slow ones the slowest counts.
std::vector<Outage> merged(std::vector<Outage> spans) {
  std::sort(spans.begin(), spans.end(), [](const Outage& a, const Outage& b) {
    if (a.from_ps != b.from_ps) return a.from_ps < b.from_ps;
    return a.to_ps != b.to_ps ? a.to_ps < b.to_ps : a.slowdown < b.slowdown;
  });
  std::vector<Outage> out;
  for (const Outage& span : spans) {
    if (span.to_ps <= span.from_ps) continue;
    if (out.empty() || span.from_ps > out.back().to_ps) {
      out.push_back(span);
      continue;
    }
    out.back().to_ps = std::max(out.back().to_ps, span.to_ps);
    out.back().slowdown = std::max(out.back().slowdown, span.slowdown);
  }
  return out;
}

}  // namespace

int PoolShape::nodes() const {
  if (gpus_per_replica >= gpus_per_node)
    return replicas * ((gpus_per_replica + gpus_per_node - 1) / gpus_per_node);
  const int per_node = gpus_per_node / gpus_per_replica;
  return (replicas + per_node - 1) / per_node;
}

PoolShape::Range PoolShape::hit_by(FaultKind kind, int unit) const {
  if (kind == FaultKind::gpu || kind == FaultKind::straggler) {
    const int replica = unit / gpus_per_replica;
    return {replica, std::min(replica + 1, replicas)};
  }
  const int many = kind == FaultKind::leaf_switch ? nodes_per_switch : 1;
  const std::int64_t from = std::int64_t{unit} * many, to = from + many;  // nodes
  const std::int64_t most = replicas;
  if (gpus_per_replica >= gpus_per_node) {
    const std::int64_t each = (gpus_per_replica + gpus_per_node - 1) / gpus_per_node;
    return {static_cast<int>(std::min(from / each, most)),
            static_cast<int>(std::min((to + each - 1) / each, most))};
  }
  const std::int64_t per_node = gpus_per_node / gpus_per_replica;
  return {static_cast<int>(std::min(from * per_node, most)),
          static_cast<int>(std::min(to * per_node, most))};
}

std::vector<Outage> outages_of(const FaultSpec& faults, FaultKind service, std::int64_t horizon_ps,
                               std::uint64_t seed) {
  std::vector<FaultEvent> events;
  for (const FaultEvent& event : faults.events)
    if (event.kind == service) events.push_back(event);
  random_faults(faults, 0, {}, service, horizon_ps, seed, events);
  std::vector<Outage> down;
  for (const FaultEvent& event : events)
    down.push_back({event.at.ps(), event.at.ps() + event.lasts.ps(), 0.0});
  return merged(std::move(down));
}

std::vector<std::vector<Outage>> outages_of(const FaultSpec& faults, int pool,
                                            const PoolShape& shape, std::int64_t horizon_ps,
                                            std::uint64_t seed) {
  std::vector<FaultEvent> events;
  for (const FaultEvent& event : faults.events)
    if (event.pool == pool && event.kind != FaultKind::storage && event.kind != FaultKind::router)
      events.push_back(event);
  for (const FaultKind kind : {FaultKind::gpu, FaultKind::node, FaultKind::link,
                               FaultKind::straggler, FaultKind::leaf_switch})
    random_faults(faults, pool, shape, kind, horizon_ps, seed, events);
  std::vector<std::vector<Outage>> down(static_cast<std::size_t>(shape.replicas)), slow(down);
  for (const FaultEvent& event : events) {
    const auto [first, last] = shape.hit_by(event.kind, event.unit);
    const bool slows = event.kind == FaultKind::straggler;
    for (int replica = std::max(0, first); replica < last; ++replica) {
      auto& spans = (slows ? slow : down)[static_cast<std::size_t>(replica)];
      spans.push_back(
          {event.at.ps(), event.at.ps() + event.lasts.ps(), slows ? event.slowdown : 0.0});
    }
  }
  for (std::size_t i = 0; i < down.size(); ++i) {
    down[i] = merged(std::move(down[i]));
    const auto slows = merged(std::move(slow[i]));
    down[i].insert(down[i].end(), slows.begin(), slows.end());
    std::sort(down[i].begin(), down[i].end(),
              [](const Outage& a, const Outage& b) { return a.from_ps < b.from_ps; });
  }
  return down;
}

}  // namespace foretoken::models::serving
