#include "models/serving/front_end.hpp"

#include <algorithm>
#include <cmath>

#include "models/serving/archive.hpp"
#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::core::Time;
using sim::engine::Context;
using sim::engine::Event;
using sim::engine::Payload;
using sim::engine::Priority;

namespace {
// Requests sent ahead of their time in one event, for each replica, where nothing that happens can
// change them: fewer events and wide windows, the same messages.
constexpr std::size_t kAheadPerReplica = 64;
constexpr std::uint32_t kRemotePurpose = 0x52454d4f;  // random stream: who is served remotely

// Replicas are the processes after this one, in order.
std::uint32_t replica_of(const Event& event) { return event.source.value - event.target.value - 1; }

RouterSpec router_spec(const DeploymentSpec& deployment, std::uint64_t seed) {
  return {deployment.router, deployment.router_load_age, seed};
}
}  // namespace

FrontEnd::FrontEnd(const ServingSpec& spec, const FrontEndSpec& own, std::vector<PoolPlan> pools)
    : workload_(spec.workload),
      cluster_(spec.cluster),
      own_(own),
      seed_(spec.seed),
      context_tokens_(spec.deployment.model.max_positions),
      fleet_(std::move(pools), router_spec(spec.deployment, spec.seed),
             router_spec(spec.pools.empty() ? spec.deployment : spec.pools.back(), spec.seed + 1)),
      open_(make_open_arrivals(spec.workload, spec.seed)),
      changed_ps_(fleet_.pools().size(), 0),
      sketches_wanted_(!own.records.all()) {
  if (const auto* sessions = std::get_if<SessionArrivals>(&workload_.arrivals)) {
    sessions_ = *sessions;
    own_.records = {};  // turns are made of what was said before
  }
  if (const auto* loop = std::get_if<ClosedLoopArrivals>(&workload_.arrivals))
    think_s_ = loop->think_s;
  if (const auto* trace = std::get_if<TraceArrivals>(&workload_.arrivals)) prefix_ = trace->prefix;
  if (own_.network)
    network_ = std::make_unique<SharedNetwork>(*own_.network, own_.places, own_.kv_messages);
  if (cluster_.cache_tiers.empty()) return;
  const double block = own_.kv_bytes_per_token * block_tokens();
  std::vector<std::int64_t> capacities;
  for (const CacheTierSpec& tier : cluster_.cache_tiers)
    capacities.push_back(block > 0 ? static_cast<std::int64_t>(tier.capacity_bytes / block) : 0);
  cache_.emplace(std::move(capacities));
}

// Tokens of a block of the cache: those of the trace, where it has any.
std::int32_t FrontEnd::block_tokens() const {
  return prefix_ ? prefix_->block_tokens : own_.cache_block_tokens;
}

// Without any of these, whom a request goes to and when is known from the start.
bool FrontEnd::ahead_of_time() const {
  const auto& rules = cluster_.rules;
  bool fixed = open_ != nullptr && !sessions_ && !network_ && !fleet_.needs_feedback() &&
               !cluster_.faults.any() && rules.most_open_per_replica == 0 &&
               rules.timeout == Duration();
  for (const PoolPlan& pool : fleet_.pools())
    fixed = fixed && pool.schedule.empty() && pool.autoscale.requests_per_replica <= 0;
  return fixed;
}

bool FrontEnd::needs_feedback() const { return !ahead_of_time(); }

// Whether something may leave because of what replicas report. Reports that only tell the router
// how busy they are make nothing leave before the next arrival.
bool FrontEnd::answers() const {
  const auto& rules = cluster_.rules;
  bool answers = fleet_.pools().size() > 1 || network_ || cluster_.faults.any() ||
                 rules.most_open_per_replica > 0 || rules.timeout > Duration();
  for (const PoolPlan& pool : fleet_.pools())
    answers = answers || !pool.schedule.empty() || pool.autoscale.requests_per_replica > 0;
  return answers;
}

void FrontEnd::start(Context& context) {
  start_pools(context);
  start_outages(context);
  if (open_ == nullptr) {
    const auto& loop = std::get<ClosedLoopArrivals>(workload_.arrivals);
    for (int i = 0; i < loop.concurrency; ++i) send_closed(context);
    return;
  }
  pending_ = open_->next();
  if (pending_) context.schedule(Duration::picoseconds(pending_->arrival_ps), kArrival);
}

void FrontEnd::start_pools(Context& context) {
  const auto& pools = fleet_.pools();
  for (std::uint32_t p = 0; p < pools.size(); ++p) {
    for (const ServiceStep& step : pools[p].schedule) {
      if (step.at == Duration())
        fleet_.want(p, static_cast<std::uint32_t>(step.replicas), 0);
      else
        context.schedule(step.at, kService, Payload(ServiceMessage{p, step.replicas}),
                         Priority::urgent);
    }
    const AutoscaleSpec& scaling = pools[p].autoscale;
    if (scaling.requests_per_replica > 0) {
      fleet_.want(p, static_cast<std::uint32_t>(scaling.least), 0);
      context.schedule(scaling.interval, kScale, Payload(ServiceMessage{p, 0}), Priority::urgent);
    }
    for (std::uint32_t i = 0; i < pools[p].outages.size(); ++i)
      for (const Outage& outage : pools[p].outages[i]) {
        if (!outage.down()) continue;
        const std::uint32_t replica = fleet_.first_of(p) + i;
        const std::int64_t known =
            std::min(outage.to_ps, outage.from_ps + cluster_.faults.detection.ps());
        context.schedule(Duration::picoseconds(known), kHealth, Payload(HealthMessage{replica, 0}),
                         Priority::urgent);
        context.schedule(Duration::picoseconds(outage.to_ps), kHealth,
                         Payload(HealthMessage{replica, 1}), Priority::urgent);
      }
  }
}

void FrontEnd::start_outages(Context& context) {
  for (const std::uint32_t router : {0U, 1U})
    for (const Outage& outage : router ? own_.router_outages : own_.storage_outages) {
      context.schedule(Duration::picoseconds(outage.from_ps), kOutage,
                       Payload(OutageMessage{router, 0}), Priority::urgent);
      context.schedule(Duration::picoseconds(outage.to_ps), kOutage,
                       Payload(OutageMessage{router, 1}), Priority::urgent);
    }
}

void FrontEnd::handle(Context& context, const Event& event) {
  const std::int64_t now_ps = context.now().ps();
  switch (event.kind) {
    case kArrival:
      return read_ahead(context);
    case kDone: {
      const auto done = event.payload.as<DoneMessage>();
      fleet_.done(done.replica, done.tokens);
      return ended(context, done.request, Duration());
    }
    case kThought:
      --pausing_;
      return send_closed(context);
    case kTurn:
      --pausing_;
      return next_turn(context, event.payload.as<TurnMessage>());
    case kPrefilled:
      return hand_on(context, replica_of(event), event.payload.as<RequestMessage>());
    case kLost: {
      const auto message = event.payload.as<RequestMessage>();
      fleet_.done(replica_of(event), held_tokens(message, message.first_ps >= 0));
      return retry(context, message, RequestReason::lost);
    }
    case kTimedOut: {
      const auto message = event.payload.as<RequestMessage>();
      fleet_.done(replica_of(event), held_tokens(message, message.first_ps >= 0));
      return end(context, message, RequestReason::timed_out);
    }
    case kRetry:
      --retrying_;
      return dispatch(context, event.payload.as<RequestMessage>());
    case kService: {
      const auto step = event.payload.as<ServiceMessage>();
      if (over(now_ps)) return;  // nobody is left to notice
      return fleet_.want(step.pool, static_cast<std::uint32_t>(step.replicas), now_ps);
    }
    case kStarted: {
      const auto ready = event.payload.as<ServiceMessage>();
      if (network_ && network_->has_storage()) return load_weights(context, ready);
      return fleet_.want(ready.pool, static_cast<std::uint32_t>(ready.replicas), now_ps);
    }
    case kMoved:
      for (const std::uint32_t ticket : network_->advance(context.now())) moved_on(context, ticket);
      tell_stretches(context);
      return watch_network(context);
    case kStepLoad:
      network_->set_load(replica_of(event), event.payload.as<StepLoad>(), context.now());
      tell_stretches(context);
      return watch_network(context);
    case kScale:
      return scale(context, event.payload.as<ServiceMessage>().pool);
    case kHealth: {
      const auto health = event.payload.as<HealthMessage>();
      return fleet_.set_health(health.replica, health.up != 0);
    }
    case kOutage: {
      const auto outage = event.payload.as<OutageMessage>();
      (outage.router ? router_down_ : storage_down_) = outage.up == 0;
      return;
    }
    default:
      SIM_ASSERT(false, "the front end got a message it does not know");
  }
}

// --- arrivals -----------------------------------------------------------------------------------

void FrontEnd::read_ahead(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  const bool ahead = ahead_of_time();
  std::size_t left = ahead ? kAheadPerReplica * replicas_.size() : 0;
  while (pending_ && (pending_->arrival_ps == now_ps || left > 0)) {
    if (sessions_ && arrivals_over(pending_->arrival_ps)) {
      pending_.reset();
      break;
    }
    if (pending_->arrival_ps != now_ps) --left;
    issue(context, *pending_);
    pending_ = open_->next();
  }
  // Retries and turns leave at times of their own: no promise where there may be any.
  const bool promises = cluster_.rules.retries == 0 && !sessions_ && !network_;
  if (!pending_) {
    if (promises) context.promise(Time::never(), answers());
    return;
  }
  context.schedule(Duration::picoseconds(pending_->arrival_ps - now_ps), kArrival);
  if (promises) context.promise(Time::from_ps(pending_->arrival_ps), answers());
}

bool FrontEnd::arrivals_over(std::int64_t now_ps) const {
  return (workload_.requests && number_ >= *workload_.requests) ||
         (workload_.duration && now_ps >= workload_.duration->ps());
}

void FrontEnd::send_closed(Context& context) {
  // A client whose request is refused sends its next one at once.
  for (bool sent = false; !sent;) {
    if (arrivals_over(context.now().ps())) return;
    TraceRequest request;
    request.arrival_ps = context.now().ps();
    sent = issue(context, request);
  }
}

void FrontEnd::next_turn(Context& context, const TurnMessage& next) {
  TraceRequest request;
  request.arrival_ps = context.now().ps();
  request.session = next.session;
  request.shared_tokens = next.shared_tokens;
  if (!arrivals_over(request.arrival_ps)) issue(context, request, next.turn);
}

void FrontEnd::ended(Context& context, std::uint32_t request, Duration after) {
  if (open_ == nullptr) {
    if (think_s_ <= 0.0 && after == Duration()) return send_closed(context);
    const double pause_s = think_s_ > 0.0 ? draw_think(think_s_, seed_, request) : 0.0;
    ++pausing_;
    context.schedule(after + Duration::from_seconds(pause_s), kThought);
  } else if (sessions_) {
    const IssuedRequest& last = issued_[request];
    if (!draw_continues(*sessions_, seed_, request)) return;
    const TurnMessage next{last.session, last.turn + 1, last.input + last.output};
    const double pause_s = draw_think(sessions_->think_s, seed_, request);
    ++pausing_;
    context.schedule(after + Duration::from_seconds(pause_s), kTurn, Payload(next));
  }
}

bool FrontEnd::issue(Context& context, const TraceRequest& asked, std::int32_t turn) {
  RequestMessage message;
  message.request = number_++;
  TraceRequest request = asked;
  finish_request(request, workload_, seed_, message.request);
  Lengths lengths{request.input_tokens, request.output_tokens};
  const bool fits = fit_context(lengths, context_tokens_, workload_.truncate_over_context);
  message.arrival_ps = request.arrival_ps;
  message.input = lengths.input;
  message.output = lengths.output;
  message.tenant = static_cast<std::uint16_t>(std::clamp(request.tenant, 0, 65535));
  message.priority = static_cast<std::int8_t>(std::clamp(request.priority, -128, 127));
  message.session = request.session;
  if (request.deadline_ps >= 0)
    message.deadline_after_s = static_cast<float>(static_cast<double>(request.deadline_ps) * 1e-12);
  ++counts_.arrived;
  if (own_.records.keeps(message.request))
    issued_.push_back({request.arrival_ps, message.input, message.output, -1,
                       fits ? RequestReason::none : RequestReason::too_long, request.tenant,
                       request.priority, request.session, turn, request.deadline_ps});
  if (!fits) {
    ++counts_.ended[static_cast<std::size_t>(RequestReason::too_long)];
    return false;
  }
  counts_.input_tokens += message.input;
  const Duration read = look_up(request, message);
  counts_.cached_tokens += message.cached;
  dispatch(context, message, read);
  reads_.clear();
  return true;
}

Duration FrontEnd::look_up(const TraceRequest& request, RequestMessage& message) {
  if (storage_down_) return {};
  if (cluster_.cached_input > 0) {
    const auto block = static_cast<double>(own_.cache_block_tokens);
    const double held = std::floor(cluster_.cached_input * message.input / block) * block;
    message.cached = std::min(static_cast<std::int32_t>(held), message.input - 1);
    if (network_ && message.cached > 0) {
      read_over_network({"", 0.0, cluster_.cache_bytes_per_s, cluster_.cache_latency_s},
                        message.cached, message.request);
      return {};
    }
    return moved(message.cached, cluster_.cache_bytes_per_s, cluster_.cache_latency_s);
  }
  if (!cache_) return {};
  blocks_.clear();
  if (prefix_) {
    for (std::uint32_t i = prefix_->offset[message.request];
         i < prefix_->offset[message.request + 1]; ++i)
      blocks_.push_back(prefix_->ids[i]);
  } else if (request.session >= 0) {  // a conversation's prompts grow at the end
    for (std::int32_t k = 0; k < message.input / block_tokens(); ++k)
      blocks_.push_back((static_cast<std::uint64_t>(request.session) << 32) |
                        static_cast<std::uint64_t>(k));
  }
  const PrefixCache::Hit hit = cache_->use(blocks_);
  // The last token is always processed: it makes the first of the answer.
  const std::int64_t tokens = hit.blocks * block_tokens();
  message.cached = static_cast<std::int32_t>(std::min<std::int64_t>(tokens, message.input - 1));
  Duration longest;  // tiers are read side by side
  for (std::size_t t = 0; t < hit.from_tiers.size(); ++t) {
    const CacheTierSpec& tier = cluster_.cache_tiers[t];
    const auto there = static_cast<double>(hit.from_tiers[t] * block_tokens());
    if (network_ && there > 0 && tier.name != "hbm") {
      read_over_network(tier, there, message.request);
      continue;
    }
    longest = std::max(longest, moved(there, tier.bytes_per_s, tier.latency_s));
  }
  return longest;
}

// Host memory is spread over all nodes, other tiers over storage where the fabric has any.
void FrontEnd::read_over_network(const CacheTierSpec& tier, double tokens, std::uint32_t request) {
  SharedNetwork::Move move;
  move.use = NetworkUse::cache;
  move.source = tier.name == "dram" || !network_->has_storage() ? SharedNetwork::Source::hosts
                                                                : SharedNetwork::Source::storage;
  move.bytes = tokens * own_.kv_bytes_per_token;
  move.most_bytes_per_s = tier.bytes_per_s;
  move.latency_s = tier.latency_s;
  move.spread = request;
  reads_.push_back(move);
}

// --- one request --------------------------------------------------------------------------------

IssuedRequest* FrontEnd::record_of(std::uint32_t request) {
  return own_.records.keeps(request) ? &issued_[own_.records.row_of(request)] : nullptr;
}

std::int64_t FrontEnd::held_tokens(const RequestMessage& message, bool decode) const {
  const bool prompt_only = !decode && fleet_.has(Fleet::Stage::decode);
  return std::int64_t{message.input} + (prompt_only ? 0 : message.output);
}

Duration FrontEnd::moved(double tokens, double bytes_per_s, double latency_s) const {
  if (tokens <= 0) return {};
  const double wire = bytes_per_s > 0 ? tokens * own_.kv_bytes_per_token / bytes_per_s : 0.0;
  return Duration::from_seconds(latency_s + wire);
}

void FrontEnd::send(Context& context, std::uint32_t replica, Duration delay,
                    const RequestMessage& message) {
  if (IssuedRequest* record = record_of(message.request))
    record->replica = static_cast<std::int32_t>(replica);
  context.send(replicas_[replica], delay, kRequest, Payload(message));
}

bool FrontEnd::goes_remote(const RequestMessage& message) const {
  if (cluster_.remote.share <= 0 || message.attempt > 0) return false;
  sim::core::Random random(seed_, message.request, kRemotePurpose);
  return random.chance(cluster_.remote.share);
}

// A request without KV: to a replica that takes prompts, or elsewhere.
void FrontEnd::dispatch(Context& context, const RequestMessage& message, Duration read) {
  if (router_down_) return retry(context, message, RequestReason::no_router);
  if (goes_remote(message)) return answer_remotely(context, message);
  const auto most = cluster_.rules.most_open_per_replica;
  if (!fleet_.can_route(Fleet::Stage::entry))
    return retry(context, message, RequestReason::no_replica);
  if (most > 0 && fleet_.open_per_replica(Fleet::Stage::entry) >= static_cast<double>(most)) {
    if (!cluster_.remote.overflow) return end(context, message, RequestReason::turned_away);
    return answer_remotely(context, message);
  }
  const std::int64_t now_ps = context.now().ps();
  const std::uint32_t replica = fleet_.route(
      Fleet::Stage::entry, {message.request, held_tokens(message, false), message.session, now_ps});
  if (!reads_.empty()) {
    const std::uint32_t ticket = begin_moving(message, replica);
    moving_[ticket].after = read;
    moving_[ticket].left = static_cast<std::uint32_t>(reads_.size());
    for (SharedNetwork::Move& read_move : reads_) {
      read_move.to = replica;
      move(context, read_move, ticket);
    }
    return;
  }
  const std::int64_t ahead_ps = std::max<std::int64_t>(0, message.arrival_ps - now_ps);
  send(context, replica, Duration::picoseconds(ahead_ps) + own_.request_delay + read, message);
}

// A prompt that is done: its KV goes to a replica that decodes.
void FrontEnd::hand_on(Context& context, std::uint32_t from, RequestMessage message) {
  fleet_.done(from, held_tokens(message, false));
  if (router_down_) return retry(context, message, RequestReason::no_router);
  if (!fleet_.can_route(Fleet::Stage::decode))
    return retry(context, message, RequestReason::no_replica);
  const std::uint32_t replica = fleet_.route(
      Fleet::Stage::decode,
      {message.request, held_tokens(message, true), message.session, context.now().ps()});
  ++counts_.handed_on;
  counts_.transferred_bytes += message.input * own_.kv_bytes_per_token;
  const auto& way = cluster_.transfer;
  message.cached = message.input;
  if (network_) {
    SharedNetwork::Move hand_over;
    hand_over.from = from;
    hand_over.to = replica;
    hand_over.bytes = message.input * own_.kv_bytes_per_token;
    hand_over.most_bytes_per_s = way.bytes_per_s;
    hand_over.latency_s = way.latency_s;
    hand_over.spread = message.request;
    return move(context, hand_over, begin_moving(message, replica));
  }
  send(context, replica, own_.request_delay + moved(message.input, way.bytes_per_s, way.latency_s),
       message);
}

// --- ends of requests --------------------------------------------------------------------------

// From the start, KV and all; what the client has seen of the answer stays seen.
void FrontEnd::retry(Context& context, RequestMessage message, RequestReason otherwise) {
  if (message.attempt >= cluster_.rules.retries) return end(context, message, otherwise);
  ++message.attempt;
  message.cached = 0;
  message.first_ps = -1;
  message.scheduled_after_s = -1;
  ++counts_.retries;
  ++retrying_;
  context.schedule(cluster_.rules.retry_delay, kRetry, Payload(message));
}

void FrontEnd::end(Context& context, const RequestMessage& message, RequestReason reason) {
  ++counts_.ended[static_cast<std::size_t>(reason)];
  if (IssuedRequest* record = record_of(message.request)) record->reason = reason;
  ended(context, message.request, cluster_.rules.pause);
}

void FrontEnd::answer_remotely(Context& context, const RequestMessage& message) {
  const auto& api = cluster_.remote;
  ++counts_.ended[static_cast<std::size_t>(RequestReason::none)];
  counts_.remote_input += message.input;
  counts_.remote_output += message.output;
  const std::int64_t now_ps = context.now().ps();
  const std::int64_t sent_ps = std::max(now_ps, message.arrival_ps);
  const std::int64_t first_ps =
      sent_ps + Duration::from_seconds(api.round_trip_s + api.first_token_s).ps();
  const std::int64_t last_ps =
      first_ps + Duration::from_seconds((message.output - 1) / api.tokens_per_s).ps();
  if (own_.records.keeps(message.request)) remote_.push_back({message.request, first_ps, last_ps});
  if (sketches_wanted_ && message.arrival_ps >= workload_.warmup.ps())
    sketches_.add({message.arrival_ps, message.arrival_ps, first_ps, last_ps, message.output});
  ended(context, message.request, Duration::picoseconds(last_ps - now_ps));
}

// --- size of the pools --------------------------------------------------------------------------

bool FrontEnd::over(std::int64_t now_ps) const {
  const bool arriving = open_ != nullptr ? pending_.has_value() : !arrivals_over(now_ps);
  return !arriving && fleet_.open_requests() == 0 && retrying_ == 0 && pausing_ == 0;
}

void FrontEnd::scale(Context& context, std::uint32_t pool) {
  const AutoscaleSpec& spec = fleet_.pools()[pool].autoscale;
  const std::int64_t now_ps = context.now().ps();
  if (over(now_ps)) return;
  const double wanted =
      std::ceil(static_cast<double>(fleet_.open_in(pool)) / spec.requests_per_replica);
  const auto target = static_cast<std::uint32_t>(std::clamp(
      wanted, static_cast<double>(spec.least), static_cast<double>(fleet_.pools()[pool].replicas)));
  const bool rested =
      changed_ps_[pool] <= now_ps && now_ps - changed_ps_[pool] >= spec.cool_down.ps();
  if (target > fleet_.wanted(pool) && changed_ps_[pool] <= now_ps) {
    context.schedule(spec.start_delay, kStarted,
                     Payload(ServiceMessage{pool, static_cast<std::int32_t>(target)}),
                     Priority::urgent);
    changed_ps_[pool] = now_ps + spec.start_delay.ps();
  } else if (target < fleet_.wanted(pool) && rested) {
    fleet_.want(pool, target, now_ps);
    changed_ps_[pool] = now_ps;
  }
  context.schedule(spec.interval, kScale, Payload(ServiceMessage{pool, 0}), Priority::urgent);
}

std::vector<double> FrontEnd::wanted_seconds(std::int64_t end_ps) const {
  std::vector<double> seconds;
  for (std::uint32_t p = 0; p < fleet_.pools().size(); ++p)
    seconds.push_back(fleet_.wanted_seconds(p, end_ps));
  return seconds;
}

void FrontEnd::save(std::vector<std::byte>& out) const {
  Writer writer(out);
  auto* self = const_cast<FrontEnd*>(this);  // writing changes nothing
  if (auto used = network()) self->network_result_ = std::move(*used);
  self->fields(writer);
}

void FrontEnd::restore(std::span<const std::byte> in) {
  Reader reader(in);
  fields(reader);
}

}  // namespace foretoken::models::serving
