#include "models/serving/shared_network.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/collective/transfer.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::core::Time;
using sim::net::LinkId;
using sim::net::NodeId;

namespace {

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
};

// Every k-th, so that `count` are left.
std::vector<NodeId> thinned(const std::vector<NodeId>& all, std::size_t count) {
  std::vector<NodeId> some;
  for (std::size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return some;
}

}  // namespace

const char* in_words(NetworkUse use) {
  switch (use) {
    case NetworkUse::kv:
      return "kv_transfer";
    case NetworkUse::cache:
      return "cache_read";
    case NetworkUse::weights:
      return "weight_load";
    case NetworkUse::steps:
      return "steps";
  }
  return "";
}

std::vector<ReplicaPlace> place_replicas(const collective::Fabric& fabric,
                                         std::span<const PoolPlace> pools) {
  std::vector<ReplicaPlace> places;
  std::size_t first = 0;
  for (const PoolPlace& pool : pools) {
    std::size_t next = first;
    for (int r = 0; r < pool.replicas; ++r) {
      ReplicaPlace place;
      place.rank_gpus = pool.rank_gpus;
      SIM_ASSERT(next + static_cast<std::size_t>(pool.gpus) <= fabric.gpus.size(),
                 "the fabric has the GPUs of all replicas");
      for (int g = 0; g < pool.gpus; ++g) place.gpus.push_back(fabric.gpus[next++]);
      places.push_back(std::move(place));
    }
    first += static_cast<std::size_t>(pool.nodes) * static_cast<std::size_t>(fabric.server.gpus);
  }
  return places;
}

SharedNetwork::SharedNetwork(const SharedFabric& spec, std::vector<ReplicaPlace> places,
                             double messages)
    : fabric_(spec.fabric),
      flows_(spec.flows),
      places_(std::move(places)),
      messages_(messages),
      traffic_(fabric_->topology, static_cast<std::uint16_t>(kNetworkUses),
               flows_ ? Duration::from_seconds(spec.bin_s) : Duration()),
      router_(fabric_->topology),
      link_bytes_(fabric_->topology.link_count(), 0.0) {
  result_.flows = flows_;
  result_.bin_s = spec.bin_s;
  steps_.resize(places_.size());
  if (flows_)
    for (std::uint32_t r = 0; r < places_.size(); ++r) open_steps(r);
}

// --- steps --------------------------------------------------------------------------------------

namespace {
// A change of a step's pace by less is not worth a message.
constexpr double kMaterial = 0.01;
}  // namespace

void SharedNetwork::open_steps(std::uint32_t replica) {
  const auto& topology = fabric_->topology;
  const std::size_t places = static_cast<std::size_t>(fabric_->server.gpus);
  std::vector<std::vector<NodeId>> nodes;  // by place in the node; invalid where it has none
  std::vector<int> servers;
  for (const NodeId gpu : places_[replica].gpus) {
    if (servers.empty() || servers.back() != topology.node(gpu).server) {
      servers.push_back(topology.node(gpu).server);
      nodes.emplace_back(places);
    }
    nodes.back()[static_cast<std::size_t>(fabric_->rank_of(gpu)) % places] = gpu;
  }
  if (nodes.size() < 2) return;
  Steps& steps = steps_[replica];
  std::vector<sim::net::Transfer> transfers;
  for (std::size_t n = 0; n < nodes.size(); ++n)
    for (std::size_t g = 0; g < places; ++g) {
      sim::net::Transfer one;
      one.from = nodes[n][g];
      one.to = nodes[(n + 1) % nodes.size()][g];
      if (one.from.valid() && one.to.valid()) transfers.push_back(one);
    }
  if (transfers.empty()) return;
  steps.gpus = static_cast<double>(transfers.size());
  steps.stream =
      traffic_.open_stream(static_cast<std::uint16_t>(NetworkUse::steps), std::move(transfers));
  // No more than steps are priced with: the GPU's part of its node's adapters.
  const auto& server = fabric_->server;
  const double port = server.nic_bandwidth.value() * server.nics / server.gpus;
  steps.burst = traffic_.share_of(steps.stream, port, Time::zero()).rate;
}

bool SharedNetwork::carries_steps(std::uint32_t replica) const {
  return steps_[replica].stream.valid();
}

// What a replica's steps did since they last changed.
void SharedNetwork::book(const Steps& steps, Time now, NetworkResult::Use& use) {
  if (steps.load.share <= 0.0) return;
  const double seconds = (now - steps.since).seconds();
  use.bytes += seconds * steps.load.bytes_per_s * steps.gpus;
  use.seconds += seconds;
  use.alone_s += seconds * steps.load.share / steps.load.alone;
}

void SharedNetwork::set_rate(const Steps& steps, Time now) {
  traffic_.set_rate(steps.stream, steps.load.share * steps.burst, steps.load.alone * steps.burst,
                    steps.held, now);
}

void SharedNetwork::set_load(std::uint32_t replica, const StepLoad& load, Time now) {
  Steps& steps = steps_[replica];
  now_ = std::max(now_, now);
  book(steps, now, result_.uses[static_cast<std::size_t>(NetworkUse::steps)]);
  steps.load = load;
  steps.since = now;
  set_rate(steps, now);
}

std::span<const SharedNetwork::Stretch> SharedNetwork::stretches(Time now) {
  stretches_.clear();
  for (std::uint32_t r = 0; r < steps_.size(); ++r) {
    Steps& steps = steps_[r];
    if (steps.load.share <= 0.0) continue;
    double stretch = 1.0;
    LinkId held;
    if (traffic_.shares_links(steps.stream)) {
      const auto share = traffic_.share_of(steps.stream, steps.burst, now);
      if (share.rate < steps.burst * (1.0 - 1e-9)) {
        stretch = steps.burst / share.rate;
        held = share.link;
      }
    }
    const bool material = std::abs(stretch - steps.stretch) > kMaterial * steps.stretch;
    if (!material && (stretch == 1.0) == (steps.stretch == 1.0)) continue;
    steps.stretch = stretch;
    steps.held = held;
    set_rate(steps, now);
    stretches_.push_back({r, stretch});
  }
  return stretches_;
}

// --- moves --------------------------------------------------------------------------------------

// One stage: from every GPU (or host, or storage node) that holds a part to those that need it.
sim::net::Job SharedNetwork::job_of(const Move& move) const {
  const collective::Fabric& fabric = *fabric_;
  const auto ranks_gpus = [&](std::uint32_t replica, bool all) {
    const ReplicaPlace& place = places_[replica];
    if (all) return place.gpus;
    const auto size = static_cast<std::size_t>(place.rank_gpus);
    const std::size_t rank = move.spread % (place.gpus.size() / size);
    const auto begin = place.gpus.begin() + static_cast<std::ptrdiff_t>(rank * size);
    return std::vector<NodeId>(begin, begin + static_cast<std::ptrdiff_t>(size));
  };
  std::vector<NodeId> to = ranks_gpus(move.to, move.use == NetworkUse::weights), from;
  if (move.source == Source::replica) {
    from = ranks_gpus(move.from, false);
    // Where neither number divides the other, as many lanes as divide both.
    const std::size_t a = from.size(), b = to.size();
    if (std::max(a, b) % std::min(a, b) != 0) {
      const std::size_t lanes = std::gcd(a, b);
      from = thinned(from, lanes);
      to = thinned(to, lanes);
    }
  } else {
    // Files and caches are striped: a GPU reads its part from one place, the next from the next.
    const auto& all = move.source == Source::hosts ? fabric.hosts : fabric.storage;
    SIM_ASSERT(!all.empty(), "a read comes from somewhere");
    for (std::size_t i = 0; i < to.size(); ++i) from.push_back(all[(move.spread + i) % all.size()]);
  }
  collective::BulkTransfer transfer;
  transfer.bytes = move.bytes;
  transfer.senders = static_cast<int>(from.size());
  transfer.receivers = static_cast<int>(to.size());
  transfer.messages = messages_;
  const auto& topology = fabric.topology;
  const int server = topology.node(from.front()).server;
  const auto here = [&](NodeId id) { return server >= 0 && topology.node(id).server == server; };
  transfer.same_node =
      std::all_of(from.begin(), from.end(), here) && std::all_of(to.begin(), to.end(), here);
  const collective::Plan plan = transfer_plan(transfer, wire_of(fabric));
  sim::net::Job job = transfer_job(transfer, plan, fabric, from, to);
  job.owner = static_cast<std::uint16_t>(move.use);
  sim::net::Stage& stage = job.stages.front();
  stage.delay += Duration::from_seconds(move.latency_s);
  if (move.most_bytes_per_s > 0)
    for (sim::net::Transfer& lane : stage.transfers)
      lane.cap_bytes_per_s = move.most_bytes_per_s / static_cast<double>(stage.transfers.size());
  return job;
}

// Time of a job of one stage with nothing else on the fabric: its fullest link, or its caps.
double SharedNetwork::alone(const sim::net::Job& job) {
  const sim::net::Stage& stage = job.stages.front();
  const auto& topology = fabric_->topology;
  double wire_s = 0.0, latency_s = 0.0;
  std::vector<LinkId> used;
  for (std::uint32_t i = 0; i < stage.transfers.size(); ++i) {
    const sim::net::Transfer& lane = stage.transfers[i];
    router_.route(lane.from, lane.to, job.route, i, path_);
    latency_s = std::max(latency_s, router_.latency(path_).seconds());
    wire_s = std::max(wire_s, lane.bytes / lane.cap_bytes_per_s);
    for (const LinkId link : path_) {
      if (link_bytes_[link.value] <= 0.0) used.push_back(link);
      link_bytes_[link.value] += lane.bytes;
    }
  }
  for (const LinkId link : used) {
    wire_s = std::max(wire_s, link_bytes_[link.value] / topology.link(link).payload_bytes_per_s());
    link_bytes_[link.value] = 0.0;
  }
  return std::max(stage.delay.seconds(), latency_s) + wire_s;
}

void SharedNetwork::start(const Move& move, Time now, std::uint32_t ticket) {
  sim::net::Job job = job_of(move);
  const double alone_s = alone(job);
  ++result_.open;
  now_ = std::max(now_, now);
  const Begun begun{ticket, move.use, now, move.bytes, alone_s};
  if (!flows_) {
    due_.push_back({now + Duration::from_seconds(alone_s), sequence_++, begun});
    std::push_heap(due_.begin(), due_.end(), kLater);
    return;
  }
  const std::uint32_t id = traffic_.submit(std::move(job), now).value;
  if (id >= begun_.size()) begun_.resize(id + 1);
  begun_[id] = begun;
}

Time SharedNetwork::next_event() {
  if (flows_) return traffic_.next_event();
  return due_.empty() ? Time::never() : due_.front().at;
}

void SharedNetwork::over(const Begun& begun, Time at) {
  NetworkResult::Use& use = result_.uses[static_cast<std::size_t>(begun.use)];
  ++use.moves;
  use.bytes += begun.bytes;
  use.alone_s += begun.alone_s;
  use.seconds += (at - begun.at).seconds();
  --result_.open;
  done_.push_back(begun.ticket);
}

std::span<const std::uint32_t> SharedNetwork::advance(Time now) {
  done_.clear();
  now_ = std::max(now_, now);
  if (flows_)
    for (const auto& finished : traffic_.advance(now))
      over(begun_[finished.job.value], finished.at);
  for (; !due_.empty() && due_.front().at <= now; due_.pop_back()) {
    std::pop_heap(due_.begin(), due_.end(), kLater);
    over(due_.back().begun, due_.back().at);
  }
  return done_;
}

NetworkResult SharedNetwork::result() {
  NetworkResult result = result_;
  result.end_s = now_.seconds();
  for (const Steps& steps : steps_)
    book(steps, now_, result.uses[static_cast<std::size_t>(NetworkUse::steps)]);
  for (const sim::net::LinkAccount& account : traffic_.accounts(now_)) {
    LinkUse use{account.link, account.bytes, account.waiting_s, {}, {}};
    std::copy(account.owner_bytes.begin(), account.owner_bytes.end(), use.used_bytes.begin());
    std::copy(account.owner_waited.begin(), account.owner_waited.end(), use.waited_s.begin());
    result.links.push_back(std::move(use));
  }
  for (const sim::net::WaitEntry& wait : traffic_.waits(now_))
    result.waits.push_back({static_cast<NetworkUse>(wait.who), static_cast<NetworkUse>(wait.whom),
                            wait.link, wait.seconds});
  return result;
}

}  // namespace foretoken::models::serving
