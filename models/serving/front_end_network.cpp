// What the front end puts on the shared network: moves of requests' KV and of weights; and what
// it tells replicas of it.
#include <algorithm>

#include "models/serving/front_end.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::core::Time;
using sim::engine::Context;
using sim::engine::Payload;

std::uint32_t FrontEnd::begin_moving(const RequestMessage& message, std::uint32_t replica) {
  std::uint32_t ticket = static_cast<std::uint32_t>(moving_.size());
  if (free_moving_.empty()) {
    moving_.emplace_back();
  } else {
    ticket = free_moving_.back();
    free_moving_.pop_back();
    moving_[ticket] = {};
  }
  moving_[ticket].message = message;
  moving_[ticket].replica = replica;
  moving_[ticket].left = 1;
  return ticket;
}

void FrontEnd::move(Context& context, const SharedNetwork::Move& move, std::uint32_t ticket) {
  moving_[ticket].began_ps = context.now().ps();
  network_->start(move, context.now(), ticket);
  watch_network(context);
}

// One event for whatever is next; an earlier one makes the later one find nothing to do.
void FrontEnd::watch_network(Context& context) {
  const Time next = network_->next_event();
  if (next == Time::never()) return;
  const std::int64_t now_ps = context.now().ps(), next_ps = std::max(next.ps(), now_ps);
  if (network_due_ps_ > now_ps && network_due_ps_ <= next_ps) return;
  network_due_ps_ = next_ps;
  context.schedule(Duration::picoseconds(next_ps - now_ps), kMoved);
}

void FrontEnd::connect_network(std::uint32_t replica, sim::engine::ChannelId channel) {
  networks_.resize(std::max<std::size_t>(networks_.size(), replica + 1));
  networks_[replica] = channel;
}

void FrontEnd::tell_stretches(Context& context) {
  for (const auto& [replica, times] : network_->stretches(context.now()))
    context.send(networks_[replica], own_.network_delay, kStretch, Payload(times));
}

void FrontEnd::moved_on(Context& context, std::uint32_t ticket) {
  if (--moving_[ticket].left > 0) return;
  const Moving done = moving_[ticket];
  free_moving_.push_back(ticket);
  const std::int64_t now_ps = context.now().ps();
  if (done.service) {
    const ServiceMessage& ready = *done.service;
    changed_ps_[ready.pool] = now_ps;
    return fleet_.want(ready.pool, static_cast<std::uint32_t>(ready.replicas), now_ps);
  }
  const std::int64_t spent_ps = now_ps - done.began_ps;
  const Duration rest =
      Duration::picoseconds(std::max<std::int64_t>(0, done.after.ps() - spent_ps));
  send(context, done.replica, own_.request_delay + rest, done.message);
}

// Replicas that have started read their weights; they are in service once all have.
void FrontEnd::load_weights(Context& context, const ServiceMessage& wanted) {
  const std::uint32_t there = fleet_.wanted(wanted.pool);
  const auto target = static_cast<std::uint32_t>(wanted.replicas);
  if (target <= there) return fleet_.want(wanted.pool, target, context.now().ps());
  const std::uint32_t ticket = begin_moving({}, 0);
  moving_[ticket].service = wanted;
  moving_[ticket].left = target - there;
  changed_ps_[wanted.pool] = INT64_MAX;  // no change of size before they are there
  for (std::uint32_t i = there; i < target; ++i) {
    SharedNetwork::Move load;
    load.use = NetworkUse::weights;
    load.source = SharedNetwork::Source::storage;
    load.to = fleet_.first_of(wanted.pool) + i;
    load.bytes = own_.weight_bytes[wanted.pool];
    load.spread = i;
    move(context, load, ticket);
  }
}

std::optional<NetworkResult> FrontEnd::network() const {
  if (!network_) return std::nullopt;
  // Run elsewhere, this copy's own network is untouched: what was restored counts.
  NetworkResult here = network_->result();
  return here.end_s > 0.0 ? here : network_result_;
}

}  // namespace foretoken::models::serving
