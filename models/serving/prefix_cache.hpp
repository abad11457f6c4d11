#pragma once
// KV of prompts seen before, in blocks that several prompts share, over tiers of memory and
// storage. A block stands for its tokens and all before them, so that equal blocks mean equal
// prefixes (hashed blocks; a walk down a radix tree finds the same run of leading blocks).
//
// A block lies in one tier. Used, it moves to the first; what a full tier uses longest ago sinks to
// the next, and out of the last. With one tier this is an LRU cache.
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace foretoken::models::serving {

struct CacheTierSpec {
  std::string name;             // hbm, dram, ssd, 3fs
  double capacity_bytes = 0.0;  // of KV
  double bytes_per_s = 0.0;     // of one request's read; 0 = takes no time
  double latency_s = 0.0;
};

class PrefixCache {
 public:
  using BlockId = std::uint64_t;

  // Blocks that each tier holds.
  explicit PrefixCache(std::vector<std::int64_t> capacities);

  struct Hit {
    std::int64_t blocks = 0;               // leading blocks that were there
    std::vector<std::int64_t> from_tiers;  // of them, by tier
  };
  // Looks a prompt up, then uses all its blocks, the missing ones included: they are made now.
  Hit use(std::span<const BlockId> blocks);

  [[nodiscard]] std::int64_t size(std::size_t tier) const {
    return static_cast<std::int64_t>(tiers_[tier].order.size());
  }
  [[nodiscard]] std::int64_t looked_up() const { return looked_up_; }
  [[nodiscard]] std::int64_t found() const { return found_; }

 private:
  struct Tier {
    std::int64_t capacity = 0;
    std::list<BlockId> order;  // most recently used first
  };
  struct Place {
    std::size_t tier = 0;
    std::list<BlockId>::iterator at;
  };
  void touch(BlockId block);
  void sink(std::size_t tier);

  std::vector<Tier> tiers_;
  std::unordered_map<BlockId, Place> places_;  // looked up only, never walked
  std::int64_t looked_up_ = 0, found_ = 0;
};

}  // namespace foretoken::models::serving
