#pragma once
// A built simulation: partitions, wiring and mailboxes, shared by the executors.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/engine/partition.hpp"

namespace foretoken::sim::engine {

// What the user described; grows until the first run.
struct Blueprint {
  std::uint32_t partitions = 0;
  std::vector<std::unique_ptr<Process>> processes;
  std::vector<std::uint32_t> partition_of;  // by process
  std::vector<std::string> names;           // by process, empty if none was given
  std::vector<Channel> channels;
};

// An edge between partitions: the least delay of the channels it stands for.
struct Edge {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint64_t delay = 0;
};

class System {
 public:
  explicit System(const Blueprint& blueprint);

  std::vector<std::unique_ptr<Partition>> partitions;
  std::vector<Address> addresses;
  std::vector<Channel> channels;
  std::vector<std::string> names;
  std::vector<Edge> edges;              // sorted by receiver; empty if `dense`
  std::vector<std::uint32_t> edges_to;  // edges of receiver p: [edges_to[p], edges_to[p + 1])
  bool dense = false;                   // too many edges to look at one by one
  std::vector<std::uint32_t> stoppers;  // partitions with a process that may stop the run
  static constexpr std::uint64_t kNever = EventQueue::kNever;
  std::vector<std::uint64_t> leaving;  // by partition: least delay of a channel that leaves it
  std::uint64_t lookahead = kNever;    // least delay between any two partitions
  // Where partitions post. The sequential loop uses the first; windows use two a thread, so that
  // one window's messages are read while the next one's are written.
  std::vector<Outbox> outboxes;

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(partitions.size()); }
  // A partition that others hear from but that hears from nobody: nothing keeps it from running
  // ahead of the others, so that their mail would pile up, but the number of its events.
  [[nodiscard]] bool leads(std::uint32_t p) const {
    return !dense && edges_to[p] == edges_to[p + 1] && leaving[p] != kNever;
  }
  static constexpr std::uint64_t kAheadEvents = 16;
  void start();  // every process, in order of id
  void resize_outboxes(std::size_t n);
  void drain(Outbox& outbox, std::uint32_t partition) {
    partitions[partition]->drain(outbox.to[partition]);
    outbox.earliest[partition] = EventQueue::kNever;
  }
  void drain_all();  // everything posted anywhere into the queues
  [[nodiscard]] std::uint64_t total_events() const;
  [[nodiscard]] const Failure* first_failure() const;
  // Events at or after this are not to be run: a stop or a failure seen so far.
  [[nodiscard]] std::uint64_t cut() const;

 private:
  void find_edges();
};

}  // namespace foretoken::sim::engine
