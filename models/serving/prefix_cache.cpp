#include "models/serving/prefix_cache.hpp"

#include <iterator>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {

PrefixCache::PrefixCache(std::vector<std::int64_t> capacities) {
  SIM_ASSERT(!capacities.empty(), "a cache without a tier");
  for (const std::int64_t capacity : capacities) tiers_.push_back({capacity, {}});
}

PrefixCache::Hit PrefixCache::use(std::span<const BlockId> blocks) {
  Hit hit;
  hit.from_tiers.assign(tiers_.size(), 0);
  for (const BlockId block : blocks) {
    const auto found = places_.find(block);
    if (found == places_.end()) break;
    ++hit.blocks;
    ++hit.from_tiers[found->second.tier];
  }
  looked_up_ += static_cast<std::int64_t>(blocks.size());
  found_ += hit.blocks;
  // From the last to the first, so that a prefix outlives what follows it.
  for (std::size_t i = blocks.size(); i-- > 0;) touch(blocks[i]);
  return hit;
}

void PrefixCache::touch(BlockId block) {
  const auto found = places_.find(block);
  std::list<BlockId>& first = tiers_.front().order;
  if (found != places_.end()) {
    Place& place = found->second;
    first.splice(first.begin(), tiers_[place.tier].order, place.at);
    place.tier = 0;
  } else {
    first.push_front(block);
    places_.emplace(block, Place{0, first.begin()});
  }
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) sink(tier);
}

void PrefixCache::sink(std::size_t tier) {
  std::list<BlockId>& order = tiers_[tier].order;
  while (static_cast<std::int64_t>(order.size()) > tiers_[tier].capacity) {
    const BlockId oldest = order.back();
    if (tier + 1 == tiers_.size()) {
      order.pop_back();
      places_.erase(oldest);
      continue;
    }
    std::list<BlockId>& next = tiers_[tier + 1].order;
    next.splice(next.begin(), order, std::prev(order.end()));
    places_.at(oldest).tier = tier + 1;
  }
}

}  // namespace foretoken::models::serving
