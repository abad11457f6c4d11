#include "models/collective/fabric_traffic.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/core/error.hpp"

namespace foretoken::models::collective {

using sim::core::Time;
using sim::net::Job;
using sim::net::Traffic;

namespace {

constexpr double kBins = 200.0;
constexpr double kByteTolerance = 1e-6;

// The jobs of one repeat, all starting together, and what they take in closed form.
struct Work {
  std::vector<Job> jobs;
  double closed_s = 0.0;
  double bytes = 0.0;
  double bus_factor = 1.0;
  std::string algorithm;
};

Work work_of(const CollectiveTraffic& traffic, const TrafficSpec& spec, const Wire& wire) {
  Work work;
  SIM_ASSERT(!traffic.groups.empty(), "a collective has a group");
  std::map<std::vector<NodeId>, int> nodes;  // groups on the same nodes share their NICs
  const auto nodes_of = [&](const Members& members) {
    std::vector<NodeId> first;
    for (std::size_t i = 0; i < members.gpus.size();
         i += static_cast<std::size_t>(members.group.local())) {
      const int rank = spec.fabric.rank_of(members.gpus[i]);
      first.push_back(spec.fabric.gpu(rank / spec.fabric.server.gpus, 0));
    }
    return first;
  };
  for (const Members& members : traffic.groups) ++nodes[nodes_of(members)];
  for (const Members& members : traffic.groups) {
    const Call call{traffic.operation, traffic.bytes, members.group, traffic.algorithm,
                    nodes[nodes_of(members)]};
    const Price priced = price(call, wire, spec.collective);
    work.closed_s = std::max(work.closed_s, priced.seconds);
    work.algorithm = std::string(to_string(priced.plan.algorithm)) + " " +
                     std::string(to_string(priced.plan.protocol));
    work.jobs.push_back(schedule(priced.plan, spec.fabric, members));
  }
  work.bytes = traffic.bytes;
  work.bus_factor = bus_factor(traffic.operation, traffic.groups.front().group.gpus);
  return work;
}

Work work_of(const ExpertTraffic& traffic, const TrafficSpec& spec, const Wire& wire) {
  ExpertExchange exchange = traffic.exchange;
  exchange.group = traffic.members.group;
  const Plan there = dispatch_plan(exchange, wire, spec.exchange);
  const Plan back = combine_plan(exchange, wire, spec.exchange);
  Work work;
  Job job = schedule(there, spec.fabric, traffic.members);
  for (auto& stage : schedule(back, spec.fabric, traffic.members).stages)
    job.stages.push_back(std::move(stage));
  work.jobs.push_back(std::move(job));
  work.closed_s = there.seconds() + back.seconds();
  const double row =
      exchange.hidden * (exchange.dispatch_bytes_per_element + exchange.combine_bytes_per_element) +
      exchange.scale_bytes_per_token;
  work.bytes = exchange.tokens * exchange.top_k * row;
  work.algorithm = exchange.mode == ExchangeMode::normal ? "normal" : "low latency";
  return work;
}

Work work_of(const BulkTraffic& traffic, const TrafficSpec& spec, const Wire& wire) {
  const Plan plan = transfer_plan(traffic.transfer, wire, spec.transfer);
  Work work;
  work.jobs.push_back(transfer_job(traffic.transfer, plan, spec.fabric, traffic.from, traffic.to));
  work.closed_s = plan.seconds();
  work.bytes = traffic.transfer.bytes;
  work.algorithm = "bulk";
  return work;
}

// One stream on its way through its repeats.
struct Progress {
  Work work;
  int started = 0;
  std::size_t open = 0;  // jobs of the repeat in hand
  Time began;
};

class Run {
 public:
  Run(const TrafficSpec& spec, const std::vector<Work>& work, Duration bin)
      : spec_(spec),
        traffic_(spec.fabric.topology, static_cast<std::uint16_t>(spec.streams.size()), bin) {
    for (std::size_t s = 0; s < spec.streams.size(); ++s) {
      Progress progress;
      progress.work = work[s];
      for (Job& job : progress.work.jobs) {
        job.owner = static_cast<std::uint16_t>(s);
        if (spec.streams[s].route) job.route = *spec.streams[s].route;
      }
      progress_.push_back(std::move(progress));
      results_.emplace_back();
      results_.back().name = spec.streams[s].name;
    }
  }

  // `only`: this stream once, alone; else all of them.
  double run(std::optional<std::size_t> only) {
    for (std::size_t s = 0; s < progress_.size(); ++s) {
      if (only && *only != s) continue;
      const double start_s = only ? 0.0 : spec_.streams[s].start_s;
      due_.emplace(Time::zero() + Duration::from_seconds(start_s), s);
    }
    health_at_ = only ? spec_.health.size() : 0;
    if (only) progress_[*only].started = spec_.streams[*only].repeat - 1;
    Time end;
    for (;;) {
      const Time next = std::min({traffic_.next_event(), next_due(), next_health()});
      if (next == Time::never()) break;
      apply_health(next);
      begin_due(next);
      for (const auto& done : traffic_.advance(next)) {
        job_ended(done.job, done.at);
        end = std::max(end, done.at);
      }
    }
    return end.seconds();
  }

  Traffic& traffic() { return traffic_; }
  std::vector<StreamResult>& results() { return results_; }

 private:
  [[nodiscard]] Time next_due() const { return due_.empty() ? Time::never() : due_.begin()->first; }
  [[nodiscard]] Time next_health() const {
    return health_at_ < spec_.health.size() && traffic_.jobs_in_flight() + due_.size() > 0
               ? Time::zero() + Duration::from_seconds(spec_.health[health_at_].at_s)
               : Time::never();
  }

  void apply_health(Time now) {
    for (; next_health() <= now; ++health_at_) {
      const HealthChange& change = spec_.health[health_at_];
      if (change.link.valid()) traffic_.set_health(change.link, change.share, now);
      if (change.node.valid())
        for (const LinkId link : spec_.fabric.topology.links_from(change.node))
          traffic_.set_health(link, change.share, now);
    }
  }

  void begin_due(Time now) {
    while (next_due() <= now) {
      const std::size_t s = due_.begin()->second;
      due_.erase(due_.begin());
      begin(s, now);
    }
  }

  void begin(std::size_t s, Time now) {
    Progress& progress = progress_[s];
    const Stream& stream = spec_.streams[s];
    ++progress.started;
    for (const Job& job : progress.work.jobs) {
      ++progress.open;
      jobs_[traffic_.submit(job, now).value] = {s, now};
    }
    progress.began = now;
    if (stream.every_s > 0.0 && progress.started < stream.repeat)
      due_.emplace(now + Duration::from_seconds(stream.every_s), s);
  }

  void job_ended(sim::net::JobId job, Time now) {
    const auto at = jobs_.find(job.value);
    const auto [s, began] = at->second;
    jobs_.erase(at);
    Progress& progress = progress_[s];
    const Stream& stream = spec_.streams[s];
    // Repeats that overlap (every_s shorter than one takes) are told apart by their start.
    double& left = open_[{s, began}];
    if (left == 0.0) left = static_cast<double>(progress.work.jobs.size());
    --progress.open;
    if (--left > 0.0) return;
    open_.erase({s, began});
    results_[s].start_s.push_back(began.seconds());
    results_[s].seconds.push_back((now - began).seconds());
    if (stream.every_s <= 0.0 && progress.started < stream.repeat) due_.emplace(now, s);
  }

  struct Begun {
    std::size_t stream;
    Time at;
  };
  const TrafficSpec& spec_;
  Traffic traffic_;
  std::vector<Progress> progress_;
  std::vector<StreamResult> results_;
  std::multimap<Time, std::size_t> due_;
  std::map<std::uint32_t, Begun> jobs_;
  std::map<std::pair<std::size_t, Time>, double> open_;
  std::size_t health_at_ = 0;
};

// Bytes into every node that is no endpoint equal bytes out of it.
void check_conservation(Traffic& traffic, const TrafficResult& result,
                        std::vector<std::string>& errors) {
  const auto& topology = traffic.topology();
  std::vector<double> balance(topology.node_count(), 0.0), through(topology.node_count(), 0.0);
  for (const auto& account : result.links) {
    double bytes = 0.0;
    for (const double owner : account.owner_bytes) bytes += owner;
    const auto& link = topology.link(account.link);
    balance[link.from.value] -= bytes;
    balance[link.to.value] += bytes;
    through[link.to.value] += bytes;
  }
  for (std::uint32_t n = 0; n < topology.node_count(); ++n)
    if (topology.node(NodeId{n}).role != sim::net::NodeRole::endpoint &&
        std::abs(balance[n]) > kByteTolerance * through[n] + 1.0)
      errors.push_back("bytes into " + topology.node(NodeId{n}).name + " differ from bytes out");
  if (traffic.jobs_in_flight() > 0) errors.push_back("jobs are left in flight");
}

Work work_of_stream(const Stream& stream, const TrafficSpec& spec, const Wire& wire) {
  try {
    return std::visit([&](const auto& what) { return work_of(what, spec, wire); }, stream.what);
  } catch (const sim::core::InputError& error) {
    throw sim::core::InputError("traffic '" + stream.name + "': " + error.what());
  }
}

}  // namespace

double StreamResult::mean_s() const {
  double sum = 0.0;
  for (const double s : seconds) sum += s;
  return seconds.empty() ? 0.0 : sum / static_cast<double>(seconds.size());
}

TrafficResult simulate(const TrafficSpec& spec) {
  const Wire wire = wire_of(spec.fabric);
  std::vector<Work> work;
  double guess_s = 0.0;
  TrafficResult result;
  std::vector<double> alone;
  for (std::size_t s = 0; s < spec.streams.size(); ++s) {
    const Stream& stream = spec.streams[s];
    work.push_back(work_of_stream(stream, spec, wire));
  }
  for (std::size_t s = 0; s < spec.streams.size(); ++s) {
    const Stream& stream = spec.streams[s];
    alone.push_back(Run(spec, work, Duration()).run(s));
    guess_s =
        std::max(guess_s, stream.start_s + stream.repeat * std::max(stream.every_s, alone[s]));
  }
  result.bin_s = spec.bin_s > 0.0 ? spec.bin_s : std::max(1e-9, guess_s / kBins);
  Run run(spec, work, Duration::from_seconds(result.bin_s));
  result.end_s = run.run(std::nullopt);
  const Time end = Time::zero() + Duration::from_seconds(result.end_s);
  result.streams = std::move(run.results());
  for (std::size_t s = 0; s < result.streams.size(); ++s) {
    StreamResult& stream = result.streams[s];
    stream.closed_s = work[s].closed_s;
    stream.alone_s = alone[s];
    stream.bytes = work[s].bytes;
    stream.bus_factor = work[s].bus_factor;
    stream.algorithm = work[s].algorithm;
    if (stream.seconds.size() != static_cast<std::size_t>(spec.streams[s].repeat))
      result.conservation_errors.push_back("traffic '" + stream.name + "' did not run to its end");
  }
  result.links = run.traffic().accounts(end);
  result.waits = run.traffic().waits(end);
  result.flow_events = run.traffic().starts_and_ends();
  check_conservation(run.traffic(), result, result.conservation_errors);
  return result;
}

}  // namespace foretoken::models::collective
