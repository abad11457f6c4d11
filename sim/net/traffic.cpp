#include "sim/net/traffic.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "sim/core/error.hpp"
#include "sim/net/traffic_accounts.hpp"

namespace foretoken::sim::net {

namespace {

constexpr double kEndless = 1e20;  // bytes: beyond the clock's range at any rate

// Heap order: the earliest event in front.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
};

// One past the last transfer that progresses together with the first.
std::uint32_t bundle_end(const std::vector<Transfer>& transfers, std::uint32_t first) {
  std::uint32_t end = first + 1;
  const Transfer& one = transfers[first];
  if (one.bundle == 0 || one.from == one.to) return end;
  while (end < transfers.size() && transfers[end].bundle == one.bundle &&
         transfers[end].from != transfers[end].to) {
    SIM_ASSERT(transfers[end].bytes == one.bytes &&
                   transfers[end].cap_bytes_per_s == one.cap_bytes_per_s &&
                   transfers[end].limit == one.limit,
               "transfers of a bundle are alike");
    ++end;
  }
  return end;
}

}  // namespace

Traffic::Traffic(const Topology& topology, std::uint16_t owners, Duration bin)
    : topology_(topology),
      router_(topology),
      load_(topology.link_count(), 0.0),
      place_(topology.link_count(), UINT32_MAX) {
  for (std::uint32_t l = 0; l < topology.link_count(); ++l) {
    const NetLink& link = topology.link(LinkId{l});
    // A failed link is never on a path: any capacity will do until it is restored.
    net_.add_link(link.health > 0 ? link.payload_bytes_per_s() : 1.0);
    message_bound_ = message_bound_ || link.half_bytes > 0;
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
  std::uint32_t id;
  if (free_jobs_.empty()) {
    id = static_cast<std::uint32_t>(jobs_.size());
    jobs_.emplace_back();
  } else {
    id = free_jobs_.back();
    free_jobs_.pop_back();
    jobs_[id] = Running{};
  }
  jobs_[id].job = std::move(job);
  ++open_jobs_;
  begin_stage(id, at);
  return JobId{id};
}

// Transfers of a stage wait for the delay or the latency of their path (of a bundle: the longest),
// whichever is longer. Those that wait as long start in one event.
void Traffic::begin_stage(std::uint32_t id, Time now) {
  Running& running = jobs_[id];
  running.paths.clear();
  running.parts.clear();
  if (running.stage == running.job.stages.size()) {
    running.job.stages = {};
    running.paths = {};
    running.parts = {};
    --open_jobs_;
    finished_.push_back({JobId{id}, now});
    return;
  }
  const Stage& stage = running.job.stages[running.stage];
  if (stage.transfers.empty()) return push({now + stage.delay, 0, id, {}});
  route_stage(running);
  running.left = 0;
  running.routed = failures_;
  std::map<Duration, std::vector<std::uint32_t>> by_wait;
  const auto count = static_cast<std::uint32_t>(stage.transfers.size());
  for (std::uint32_t t = 0, end = 0; t < count; t = end) {
    end = bundle_end(stage.transfers, t);
    Duration wait = stage.delay;
    for (std::uint32_t i = t; i < end; ++i) wait = std::max(wait, running.parts[i].latency);
    by_wait[wait].push_back(t);
    ++running.left;
  }
  for (auto& [wait, transfers] : by_wait) push({now + wait, 0, id, std::move(transfers)});
}

// The path of a transfer of the stage in hand, to path_.
void Traffic::route(const Running& running, std::uint32_t index) {
  const Transfer& transfer = running.job.stages[running.stage].transfers[index];
  router_.route(transfer.from, transfer.to, running.job.route, index, path_, load_);
}

void Traffic::route_stage(Running& running) {
  const std::vector<Transfer>& transfers = running.job.stages[running.stage].transfers;
  const auto count = static_cast<std::uint32_t>(transfers.size());
  // By receiver: the router knows the way to one at a time best.
  std::vector<std::uint32_t> place(topology_.node_count() + 1, 0), order(count);
  for (const Transfer& transfer : transfers) ++place[transfer.to.value + 1];
  std::partial_sum(place.begin(), place.end(), place.begin());
  for (std::uint32_t t = 0; t < count; ++t) order[place[transfers[t].to.value]++] = t;
  running.parts.resize(count);
  for (const std::uint32_t t : order) {
    route(running, t);
    const auto begin = static_cast<std::uint32_t>(running.paths.size());
    running.paths.insert(running.paths.end(), path_.begin(), path_.end());
    running.parts[t] = {begin, static_cast<std::uint32_t>(running.paths.size()),
                        router_.latency(path_)};
  }
}

// Takes path_ in among the links of what is about to start.
void Traffic::add_path(const Transfer& transfer, double bytes) {
  const double message = transfer.message_bytes > 0 ? transfer.message_bytes : transfer.bytes;
  for (const LinkId id : path_) {
    if (message_bound_ && topology_.link(id).half_bytes > 0)
      cap_ = std::min(cap_, topology_.link(id).payload_bytes_per_s(message));
    if (bytes < kEndless) load_[id.value] += bytes;
    std::uint32_t& place = place_[id.value];
    if (place == UINT32_MAX) {
      place = static_cast<std::uint32_t>(all_links_.size());
      all_links_.push_back(id);
      strands_.push_back(0);
    }
    ++strands_[place];
  }
}

// A transfer and those of its bundle, each with that many bytes to go.
std::uint32_t Traffic::start_flow(std::uint32_t job, std::uint32_t first, double bytes, Time now,
                                  bool reroute) {
  const Running& running = jobs_[job];
  const std::vector<Transfer>& transfers = running.job.stages[running.stage].transfers;
  const Transfer& transfer = transfers[first];
  all_links_.clear();
  strands_.clear();
  cap_ = transfer.cap_bytes_per_s;
  const std::uint32_t end = bundle_end(transfers, first);
  for (std::uint32_t t = first; t < end; ++t) {
    const std::span<const LinkId> known = running.path(t);
    // Loads and failures since the stage began may have changed the way.
    if (reroute || running.job.route == RoutePolicy::adaptive ||
        (running.routed != failures_ &&
         std::any_of(known.begin(), known.end(),
                     [this](LinkId link) { return router_.is_down(link); })))
      route(running, t);
    else
      path_.assign(known.begin(), known.end());
    add_path(transfers[t], bytes);
  }
  for (const LinkId link : all_links_) place_[link.value] = UINT32_MAX;
  if (bytes <= 0.0 || all_links_.empty()) {
    transfer_ended(job, now);
    return UINT32_MAX;
  }
  const double message = transfer.message_bytes > 0 ? transfer.message_bytes : transfer.bytes;
  double ideal = cap_;
  for (std::size_t i = 0; i < all_links_.size(); ++i)
    ideal =
        std::min(ideal, topology_.link(all_links_[i]).payload_bytes_per_s(message) / strands_[i]);
  if (transfer.limit.valid()) {
    all_links_.push_back(LinkId{transfer.limit.value});
    strands_.push_back(end - first);
  }
  if (end - first == 1) strands_.clear();
  std::uint32_t tag;
  if (free_flying_.empty()) {
    tag = static_cast<std::uint32_t>(flying_.size());
    flying_.emplace_back();
  } else {
    tag = free_flying_.back();
    free_flying_.pop_back();
  }
  flying_[tag] = {job, first, ideal, net_.start(all_links_, bytes, cap_, now, tag, strands_), {}};
  return tag;
}

// --- streams ------------------------------------------------------------------------------------

StreamId Traffic::open_stream(std::uint16_t owner, std::vector<Transfer> transfers) {
  SIM_ASSERT(!transfers.empty(), "a stream goes somewhere");
  Stream stream;
  stream.job = static_cast<std::uint32_t>(jobs_.size());
  jobs_.emplace_back();
  Running& running = jobs_.back();
  for (Transfer& transfer : transfers) {
    SIM_ASSERT(transfer.from != transfer.to, "a stream goes from one node to another");
    transfer.bundle = 1;
    transfer.bytes = kEndless;
  }
  running.job.owner = owner;
  running.job.stages.push_back({Duration(), std::move(transfers)});
  running.left = 1;
  route_stage(running);
  running.routed = failures_;
  stream.links = running.paths;
  std::sort(stream.links.begin(), stream.links.end());
  stream.links.erase(std::unique(stream.links.begin(), stream.links.end()), stream.links.end());
  streams_.push_back(std::move(stream));
  return StreamId{static_cast<std::uint32_t>(streams_.size() - 1)};
}

// Ends what is on its way and goes on at another rate.
void Traffic::run_stream(Stream& stream, double rate, Time now) {
  if (stream.flying != UINT32_MAX) {
    (void)net_.abort(flying_[stream.flying].flow, now);
    free_flying_.push_back(stream.flying);
    stream.flying = UINT32_MAX;
  }
  if (rate <= 0.0) return;
  for (Transfer& transfer : jobs_[stream.job].job.stages.front().transfers)
    transfer.cap_bytes_per_s = rate;
  stream.flying = start_flow(stream.job, 0, kEndless, now, false);
  Flying& flying = flying_[stream.flying];
  flying.ideal = std::max(stream.wanted, rate);
  flying.held = stream.held;
}

void Traffic::set_rate(StreamId id, double rate, double wanted, LinkId held, Time now) {
  Stream& stream = streams_[id.value];
  if (rate == stream.rate && wanted == stream.wanted && held == stream.held) return;
  if (accounts_) accounts_->advance(now);
  now_ = std::max(now_, now);
  stream.rate = rate;
  stream.wanted = wanted;
  stream.held = held;
  run_stream(stream, rate, now);
}

Traffic::Share Traffic::share_of(StreamId id, double cap, Time now) {
  Stream& stream = streams_[id.value];
  if (accounts_) accounts_->advance(now);
  now_ = std::max(now_, now);
  run_stream(stream, cap, now);
  const FlowId flow = flying_[stream.flying].flow;
  const Share share{net_.rate(flow), net_.bottleneck(flow)};
  run_stream(stream, stream.rate, now);
  return share;
}

bool Traffic::shares_links(StreamId id) const {
  const Stream& stream = streams_[id.value];
  const std::size_t own = stream.flying != UINT32_MAX ? 1 : 0;
  return std::any_of(stream.links.begin(), stream.links.end(),
                     [&](LinkId link) { return net_.flows_on(link) > own; });
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
    const auto path = net_.path(completion.flow);
    const auto strands = net_.strands(completion.flow);
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i].value >= load_.size()) continue;
      double& load = load_[path[i].value];
      load = std::max(0.0, load - bytes * (strands.empty() ? 1.0 : strands[i]));
    }
    free_flying_.push_back(tag);
    transfer_ended(flying.job, now);
  }
}

std::span<const Traffic::Finished> Traffic::advance(Time now) {
  for (const Finished& known : reported_) free_jobs_.push_back(known.job.value);
  reported_.clear();
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
      for (const std::uint32_t index : event.transfers) {
        // Looked up each time: a transfer without bytes may end the stage, jobs_ may move.
        const Running& running = jobs_[event.job];
        const double bytes = running.job.stages[running.stage].transfers[index].bytes;
        start_flow(event.job, index, bytes, at, false);
      }
    }
  }
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
  ++failures_;
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
    const auto stream = std::find_if(streams_.begin(), streams_.end(),
                                     [&](const Stream& one) { return one.flying == tag; });
    if (stream != streams_.end()) {
      run_stream(*stream, stream->rate, now);
      continue;
    }
    const double left = net_.abort(flying.flow, now);
    free_flying_.push_back(tag);
    start_flow(flying.job, flying.transfer, left, now, true);
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
