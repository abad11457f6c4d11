#pragma once
// One rank's share of a run: which partitions it runs, and what it tells the others.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/engine/simulation.hpp"
#include "sim/engine/system.hpp"
#include "sim/engine/transport.hpp"

namespace foretoken::sim::engine {

class Ranks {
 public:
  Ranks(System& system, Transport& transport);

  [[nodiscard]] bool owns(std::uint32_t partition) const {
    return rank_of_[partition] == transport_.rank();
  }

  // Makes next event, earliest arrival, cut and stopper the least of all ranks', and returns the
  // reason to end early that any rank has.
  std::optional<StopReason> agree(std::uint64_t& next, std::uint64_t& arrival, std::uint64_t& cut,
                                  std::uint64_t& stopper, std::optional<StopReason> limit);
  // Moves what was posted to other ranks' partitions there, and theirs into these outboxes.
  void exchange(std::span<Outbox> outboxes);
  // The earliest failure of any rank is thrown on all of them.
  void rethrow_failure();
  // Every rank's processes become what they are on the rank that ran them.
  void share_processes();
  // Totals over all ranks of what each counted for its own partitions.
  void sum_up(RunReport& report);

 private:
  void find_neighbours();
  void pack(std::span<Outbox> outboxes, std::vector<std::vector<std::byte>>& out) const;
  void unpack(std::span<const std::byte> bytes, Outbox& outbox) const;

  System& system_;
  Transport& transport_;
  std::vector<int> rank_of_;  // by partition
  std::vector<int> neighbours_;
};

}  // namespace foretoken::sim::engine
