#include "sim/net/traffic.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/core/error.hpp"
#include "sim/net/traffic_accounts.hpp"

namespace foretoken::sim::net {

namespace {

// Heap order: the earliest event in front.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
};

}  // namespace

Traffic::Traffic(const Topology& topology, std::uint16_t owners, Duration bin)
    : topology_(topology), router_(topology), load_(topology.link_count(), 0.0) {
  for (std::uint32_t l = 0; l < topology.link_count(); ++l) {
    const NetLink& link = topology.link(LinkId{l});
    // A failed link is never on a path: any capacity will do until it is restored.
    net_.add_link(link.health > 0 ? link.payload_bytes_per_s() : 1.0);
  }
  merge_adapters(topology, net_);
  if (bin > Duration()) {
    accounts_ = std::make_unique<Accounts>(*this, owners, bin);
    net_.watch(accounts_.get());
  }
}

Traffic::~Traffic() = default;

LimitId Traffic::add_limit(double bytes_per_s) {
  const LinkId link = net_.add_link(bytes_per_s);
  return LimitId{link.value};
}

void Traffic::push(Event event) {
  event.sequence = sequence_++;
  events_.push_back(std::move(event));
  std::push_heap(events_.begin(), events_.end(), kLater);
}

JobId Traffic::submit(Job job, Time at) {
  SIM_ASSERT(at >= now_, "a job starts now or later");
  const auto id = static_cast<std::uint32_t>(jobs_.size());
  jobs_.push_back({std::move(job), 0, 0, {}, {}});
  ++open_jobs_;
  begin_stage(id, at);
  return JobId{id};
}

// Transfers of a stage wait for the delay or the latency of their path, whichever is longer. Those
// that wait as long start in one event.
void Traffic::begin_stage(std::uint32_t id, Time now) {
  Running& running = jobs_[id];
  running.paths.clear();
  running.path_end.clear();
  if (running.stage == running.job.stages.size()) {
    running.job.stages = {};
    running.paths = {};
    running.path_end = {};
    --open_jobs_;
    finished_.push_back({JobId{id}, now});
    return;
  }
  const Stage& stage = running.job.stages[running.stage];
  running.left = stage.transfers.size();
  if (stage.transfers.empty()) return push({now + stage.delay, 0, id, {}});
  std::map<Duration, std::vector<std::uint32_t>> by_wait;
  for (std::uint32_t t = 0; t < stage.transfers.size(); ++t) {
    route(running, t);
    running.paths.insert(running.paths.end(), path_.begin(), path_.end());
    running.path_end.push_back(static_cast<std::uint32_t>(running.paths.size()));
    by_wait[std::max(stage.delay, router_.latency(path_))].push_back(t);
  }
  for (auto& [wait, transfers] : by_wait) push({now + wait, 0, id, std::move(transfers)});
}

// The path of a transfer of the stage in hand, to path_.
void Traffic::route(const Running& running, std::uint32_t index) {
  const Transfer& transfer = running.job.stages[running.stage].transfers[index];
  router_.route(transfer.from, transfer.to, running.job.route, index, path_, load_);
}

// Over the links in path_.
void Traffic::start_flow(std::uint32_t job, std::uint32_t index, double bytes, Time now) {
  const Transfer& transfer = jobs_[job].job.stages[jobs_[job].stage].transfers[index];
  if (bytes <= 0.0 || path_.empty()) return transfer_ended(job, now);
  const double message = transfer.message_bytes > 0 ? transfer.message_bytes : transfer.bytes;
  double cap = transfer.cap_bytes_per_s, ideal = cap;
  for (const LinkId id : path_) {
    const NetLink& link = topology_.link(id);
    const double rate = link.payload_bytes_per_s(message);
    if (link.half_bytes > 0) cap = std::min(cap, rate);
    ideal = std::min(ideal, rate);
    load_[id.value] += bytes;
  }
  if (transfer.limit.valid()) path_.push_back(LinkId{transfer.limit.value});
  std::uint32_t tag;
  if (free_flying_.empty()) {
    tag = static_cast<std::uint32_t>(flying_.size());
    flying_.emplace_back();
  } else {
    tag = free_flying_.back();
    free_flying_.pop_back();
  }
  flying_[tag] = {job, index, ideal, net_.start(path_, bytes, cap, now, tag)};
}

void Traffic::start_transfers(const Event& event) {
  for (const std::uint32_t index : event.transfers) {
    // Looked up each time: a transfer without bytes may end the stage, jobs_ may move.
    const Running& running = jobs_[event.job];
    const double bytes = running.job.stages[running.stage].transfers[index].bytes;
    const std::uint32_t begin = index > 0 ? running.path_end[index - 1] : 0;
    path_.assign(running.paths.begin() + begin, running.paths.begin() + running.path_end[index]);
    // Loads and failures since the stage began may have changed the way.
    const bool stale = std::any_of(path_.begin(), path_.end(),
                                   [this](LinkId link) { return router_.is_down(link); });
    if (stale || running.job.route == RoutePolicy::adaptive) route(running, index);
    start_flow(event.job, index, bytes, event.at);
  }
}

void Traffic::transfer_ended(std::uint32_t job, Time now) {
  Running& running = jobs_[job];
  if (--running.left > 0) return;
  ++running.stage;
  begin_stage(job, now);
}

Time Traffic::next_event() {
  const Time flows = net_.next_completion();
  return events_.empty() ? flows : std::min(flows, events_.front().at);
}

void Traffic::complete(Time now) {
  std::vector<FlowNetwork::Completion> ended;
  const auto completions = net_.complete(now);
  ended.assign(completions.begin(), completions.end());
  for (const auto& completion : ended) {
    const auto tag = static_cast<std::uint32_t>(completion.tag);
    const Flying flying = flying_[tag];
    const Running& running = jobs_[flying.job];
    const double bytes = running.job.stages[running.stage].transfers[flying.transfer].bytes;
    for (const LinkId link : net_.path(completion.flow))
      if (link.value < load_.size()) load_[link.value] = std::max(0.0, load_[link.value] - bytes);
    free_flying_.push_back(tag);
    transfer_ended(flying.job, now);
  }
}

std::span<const Traffic::Finished> Traffic::advance(Time now) {
  for (;;) {
    const Time at = next_event();
    if (at > now || at == Time::never()) break;
    if (accounts_) accounts_->advance(at);
    now_ = at;
    if (net_.next_completion() <= at) {
      complete(at);
      continue;
    }
    std::pop_heap(events_.begin(), events_.end(), kLater);
    const Event event = std::move(events_.back());
    events_.pop_back();
    if (event.transfers.empty()) {
      ++jobs_[event.job].stage;
      begin_stage(event.job, at);
    } else {
      start_transfers(event);
    }
  }
  reported_.clear();
  reported_.swap(finished_);  // jobs without stages ended as they were submitted
  return reported_;
}

Time Traffic::run() {
  Time last = now_;
  for (Time at = next_event(); at != Time::never(); at = next_event())
    for (const Finished& done : advance(at)) last = std::max(last, done.at);
  return last;
}

void Traffic::set_health(LinkId link, double share, Time now) {
  SIM_ASSERT(share >= 0.0 && share <= 1.0, "health is a share from 0 to 1");
  if (accounts_) accounts_->advance(now);
  now_ = std::max(now_, now);
  for (const std::uint32_t l : {link.value, link.value ^ 1U}) {
    const LinkId side{l};
    const NetLink& properties = topology_.link(side);
    router_.set_down(side, share <= 0.0);
    if (share > 0.0)
      net_.set_capacity(side, properties.bandwidth.value() * properties.efficiency * share, now);
  }
  if (share > 0.0) return;
  // Transfers on the failed link continue elsewhere with what they had not sent.
  for (std::uint32_t tag = 0; tag < flying_.size(); ++tag) {
    if (std::find(free_flying_.begin(), free_flying_.end(), tag) != free_flying_.end()) continue;
    const Flying flying = flying_[tag];
    const auto path = net_.path(flying.flow);
    const bool hit = std::any_of(path.begin(), path.end(), [&](LinkId id) {
      return (id.value | 1U) == (link.value | 1U) && id.value < topology_.link_count();
    });
    if (!hit) continue;
    const double left = net_.abort(flying.flow, now);
    free_flying_.push_back(tag);
    route(jobs_[flying.job], flying.transfer);
    start_flow(flying.job, flying.transfer, left, now);
  }
}

std::vector<LinkAccount> Traffic::accounts(Time end) {
  if (!accounts_) return {};
  accounts_->advance(end);
  return accounts_->links();
}

std::vector<WaitEntry> Traffic::waits(Time end) {
  if (!accounts_) return {};
  accounts_->advance(end);
  return accounts_->waits();
}

}  // namespace foretoken::sim::net
