#pragma once
// Runs partitions in windows: every partition up to the time before which nothing new can reach
// it, side by side on a team of threads and, with a transport, on several ranks.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/control.hpp"
#include "sim/engine/gate.hpp"
#include "sim/engine/horizon.hpp"
#include "sim/engine/ranks.hpp"
#include "sim/engine/sequential.hpp"
#include "sim/engine/system.hpp"
#include "sim/engine/team.hpp"

namespace foretoken::sim::engine {

class WindowLoop {
 public:
  using Clock = std::chrono::steady_clock;

  // `ranks` is null when this process runs everything.
  WindowLoop(System& system, RunControl& control, Tally& tally, Team& team, Ranks* ranks);

  // Runs events before `until`; returns budget_spent after the window that ends past `deadline`.
  Progress run(std::uint64_t until, Clock::time_point deadline);
  [[nodiscard]] StopReason limit() const { return *limit_; }
  // Whether a process, on any rank, ended the run.
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  struct alignas(64) List {
    std::vector<std::uint32_t> partitions;
    std::atomic<std::uint64_t> claims{0};  // from the front in the lower half, from the back above
    std::atomic<bool> owner_came{false};

    // Places in `partitions`; beyond its end if all are taken.
    std::size_t claim_front() {
      const std::uint64_t before = claims.fetch_add(1, std::memory_order_relaxed);
      return taken(before) < partitions.size() ? before & UINT32_MAX : partitions.size();
    }
    std::size_t claim_back() {
      const std::uint64_t before =
          claims.fetch_add(std::uint64_t{1} << 32, std::memory_order_relaxed);
      return taken(before) < partitions.size() ? partitions.size() - 1 - (before >> 32)
                                               : partitions.size();
    }
    [[nodiscard]] std::size_t left() const {
      const std::size_t gone = taken(claims.load(std::memory_order_relaxed));
      return gone < partitions.size() ? partitions.size() - gone : 0;
    }
    static std::size_t taken(std::uint64_t c) { return (c & UINT32_MAX) + (c >> 32); }
    void reset() {
      partitions.clear();
      claims.store(0, std::memory_order_relaxed);
      owner_came.store(false, std::memory_order_relaxed);
    }
  };
  struct alignas(64) State {
    Outlook outlook;
    std::uint32_t events = 0;
  };

  void begin();
  Progress lead(std::uint64_t until, Clock::time_point deadline);
  void help(int worker);
  bool plan(std::uint64_t until);
  void add_mail();
  std::size_t make_lists();
  void execute(std::size_t active);
  void work(int worker);
  void advance(std::uint32_t partition, Outbox& outbox, const FetchAhead& ahead);
  [[nodiscard]] FetchAhead fetch_ahead(std::uint32_t partition) const;
  void fetch_headers(std::uint32_t partition) const;
  void refresh(std::uint32_t partition);
  void finish_window();
  void balance();
  void share_out();
  [[nodiscard]] bool mine(std::uint32_t p) const { return ranks_ == nullptr || ranks_->owns(p); }
  [[nodiscard]] std::size_t set(unsigned parity) const {
    return parity * static_cast<std::size_t>(team_.size());
  }

  System& system_;
  RunControl& control_;
  Tally& tally_;
  Team& team_;
  Ranks* ranks_;
  Horizon horizon_;
  std::vector<State> states_;
  std::vector<Outlook> outlooks_;
  std::vector<std::uint64_t> limits_;
  std::vector<std::uint8_t> mail_;
  std::vector<std::uint32_t> order_;  // partitions, busiest first
  std::vector<std::uint32_t> owner_;  // the worker a partition prefers, to keep its cache warm
  std::vector<std::uint64_t> load_;
  std::vector<List> lists_;
  Gate gate_;
  std::vector<std::exception_ptr> errors_;  // of the helpers
  std::size_t leave_ = 0;                   // partitions that are not taken from their owner
  unsigned writing_ = 0;                    // the parity of the mailboxes being written
  std::uint64_t now_ = 0;
  std::uint64_t windows_ = 0;
  bool stopped_ = false;
  std::optional<StopReason> limit_;
};

}  // namespace foretoken::sim::engine
