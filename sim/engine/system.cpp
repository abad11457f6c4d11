#include "sim/engine/system.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "sim/core/error.hpp"

namespace foretoken::sim::engine {

namespace {

// Beyond so many edges a partition, one lookahead for all is cheaper than looking at each.
constexpr std::size_t kEdgesPerPartition = 8;

struct ZeroHop {
  std::uint32_t from, to;  // processes
};

std::string named(const System& system, std::uint32_t process) {
  const std::string& name = system.names[process];
  const std::string id = "process " + std::to_string(process);
  return name.empty() ? id : id + " '" + name + "'";
}

// Edges of zero delay by partition; finds a cycle among them by depth-first search.
class ZeroCycle {
 public:
  ZeroCycle(const System& system,
            const std::map<std::pair<std::uint32_t, std::uint32_t>, ZeroHop>& hops)
      : system_(system), hops_(hops), state_(system.size(), 0) {}

  std::string find() {
    for (std::uint32_t p = 0; p < system_.size(); ++p) {
      if (state_[p] == 0 && visit(p)) return text_;
    }
    return {};
  }

 private:
  bool visit(std::uint32_t p) {
    state_[p] = 1;
    for (auto it = hops_.lower_bound({p, 0}); it != hops_.end() && it->first.first == p; ++it) {
      path_.push_back(it->second);
      const std::uint32_t next = it->first.second;
      if (state_[next] == 1) return describe(next);
      if (state_[next] == 0 && visit(next)) return true;
      path_.pop_back();
    }
    state_[p] = 2;
    return false;
  }
  bool describe(std::uint32_t first) {
    bool inside = false;
    for (const ZeroHop& hop : path_) {
      inside = inside || system_.addresses[hop.from].partition == first;
      if (!inside) continue;
      if (!text_.empty()) text_ += ", ";
      text_ += named(system_, hop.from) + " -> " + named(system_, hop.to);
    }
    return true;
  }

  const System& system_;
  const std::map<std::pair<std::uint32_t, std::uint32_t>, ZeroHop>& hops_;
  std::vector<int> state_;
  std::vector<ZeroHop> path_;
  std::string text_;
};

}  // namespace

System::System(const Blueprint& blueprint) : channels(blueprint.channels), names(blueprint.names) {
  addresses.resize(blueprint.processes.size());
  const Partition::Wiring wiring{&addresses, &channels, &names, blueprint.partitions == 1};
  for (std::uint32_t p = 0; p < blueprint.partitions; ++p) {
    partitions.push_back(std::make_unique<Partition>(p, wiring));
  }
  for (std::uint32_t i = 0; i < blueprint.processes.size(); ++i) {
    const std::uint32_t p = blueprint.partition_of[i];
    addresses[i] = Address{p, partitions[p]->add(*blueprint.processes[i], EntityId{i})};
  }
  for (std::uint32_t p = 0; p < size(); ++p) {
    if (partitions[p]->may_stop()) stoppers.push_back(p);
  }
  find_edges();
  resize_outboxes(1);
}

void System::find_edges() {
  // run_end[i]: the first process after i that lives in another partition than i.
  const auto n = static_cast<std::uint32_t>(addresses.size());
  std::vector<std::uint32_t> run_end(n);
  for (std::uint32_t i = n; i-- > 0;) {
    const bool same = i + 1 < n && addresses[i + 1].partition == addresses[i].partition;
    run_end[i] = same ? run_end[i + 1] : i + 1;
  }
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> delays;
  std::map<std::pair<std::uint32_t, std::uint32_t>, ZeroHop> zero;
  leaving.assign(size(), kNever);
  for (const Channel& c : channels) {
    const std::uint32_t from = addresses[c.from].partition;
    const auto delay = static_cast<std::uint64_t>(c.min_delay_ps);
    for (std::uint32_t to = c.first; to < c.first + c.count; to = run_end[to]) {
      const std::uint32_t p = addresses[to].partition;
      if (p == from) continue;
      leaving[from] = std::min(leaving[from], delay);
      if (delay == 0) zero.try_emplace({from, p}, ZeroHop{c.from, to});
      if (dense) break;
      const auto [it, fresh] = delays.try_emplace({from, p}, delay);
      if (!fresh) it->second = std::min(it->second, delay);
      dense = delays.size() > kEdgesPerPartition * size();
    }
  }
  if (!zero.empty()) {
    const std::string cycle = ZeroCycle(*this, zero).find();
    const ZeroHop& hop = zero.begin()->second;
    throw core::InputError(
        cycle.empty() ? "the channel " + named(*this, hop.from) + " -> " + named(*this, hop.to) +
                            " crosses partitions with a minimum delay of zero: give it a delay or "
                            "put both processes into one partition"
                      : "a cycle of channels with zero delay crosses partitions: " + cycle +
                            ": give one a delay or put these processes into one partition");
  }
  lookahead = *std::min_element(leaving.begin(), leaving.end());
  if (dense) return;
  for (const auto& [ends, delay] : delays) edges.push_back(Edge{ends.first, ends.second, delay});
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.to, a.from) < std::pair(b.to, b.from);
  });
  edges_to.assign(size() + 1, 0);
  for (const Edge& e : edges) ++edges_to[e.to + 1];
  std::partial_sum(edges_to.begin(), edges_to.end(), edges_to.begin());
}

void System::start() {
  for (const Address& address : addresses) {
    partitions[address.partition]->start(address.local, outboxes[0]);
  }
}

void System::resize_outboxes(std::size_t n) {
  drain_all();
  outboxes.resize(n);
  for (Outbox& outbox : outboxes) {
    outbox.to.resize(size());
    outbox.earliest.resize(size(), EventQueue::kNever);
  }
}

void System::drain_all() {
  for (Outbox& outbox : outboxes) {
    for (std::uint32_t p = 0; p < size(); ++p) {
      if (outbox.earliest[p] != EventQueue::kNever) drain(outbox, p);
    }
    outbox.changed.clear();
  }
}

std::uint64_t System::total_events() const {
  std::uint64_t sum = 0;
  for (const auto& partition : partitions) sum += partition->events();
  return sum;
}

const Failure* System::first_failure() const {
  const Failure* first = nullptr;
  for (const auto& partition : partitions) {
    if (!partition->failed()) continue;
    if (first == nullptr || partition->failure().key < first->key) first = &partition->failure();
  }
  return first;
}

std::uint64_t System::cut() const {
  std::uint64_t cut = EventQueue::kNever;
  for (const auto& partition : partitions) cut = std::min(cut, partition->cut());
  return cut;
}

}  // namespace foretoken::sim::engine
