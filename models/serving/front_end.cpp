#include "models/serving/front_end.hpp"

#include "models/serving/archive.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::core::Time;
using sim::engine::Context;
using sim::engine::Event;
using sim::engine::Payload;

namespace {
// Requests sent ahead of their time in one event, for each replica, where nothing that happens can
// change them: fewer events and wide windows, the same messages.
constexpr std::size_t kAheadPerReplica = 64;
}  // namespace

FrontEnd::FrontEnd(const ServingSpec& spec, Duration request_delay)
    : workload_(spec.workload),
      seed_(spec.seed),
      context_tokens_(spec.deployment.model.max_positions),
      request_delay_(request_delay),
      router_(make_router(spec.deployment.router,
                          static_cast<std::uint32_t>(spec.deployment.replicas))),
      open_(make_open_arrivals(spec.workload, spec.seed)) {
  if (const auto* sessions = std::get_if<SessionArrivals>(&workload_.arrivals))
    sessions_ = *sessions;
  if (const auto* loop = std::get_if<ClosedLoopArrivals>(&workload_.arrivals))
    think_s_ = loop->think_s;
}

void FrontEnd::start(Context& context) {
  if (open_ == nullptr) {
    const auto& loop = std::get<ClosedLoopArrivals>(workload_.arrivals);
    for (int i = 0; i < loop.concurrency; ++i) send_closed(context);
    return;
  }
  pending_ = open_->next();
  if (pending_) context.schedule(Duration::picoseconds(pending_->arrival_ps), kArrival);
}

void FrontEnd::handle(Context& context, const Event& event) {
  if (event.kind == kArrival) return read_ahead(context);
  if (event.kind == kThought) return send_closed(context);
  if (event.kind == kTurn) {
    const auto next = event.payload.as<TurnMessage>();
    TraceRequest request;
    request.arrival_ps = context.now().ps();
    request.session = next.session;
    request.shared_tokens = next.shared_tokens;
    if (!arrivals_over(request.arrival_ps)) issue(context, request, next.turn);
    return;
  }
  SIM_ASSERT(event.kind == kDone, "the front end got a message it does not know");
  const auto done = event.payload.as<DoneMessage>();
  router_->done(done.replica);
  answered(context, done.request);
}

bool FrontEnd::arrivals_over(std::int64_t now_ps) const {
  return (workload_.requests && static_cast<std::int64_t>(issued_.size()) >= *workload_.requests) ||
         (workload_.duration && now_ps >= workload_.duration->ps());
}

void FrontEnd::answered(Context& context, std::uint32_t request) {
  if (open_ == nullptr) {
    if (think_s_ <= 0.0) return send_closed(context);
    const double pause_s = draw_think(think_s_, seed_, request);
    context.schedule(Duration::from_seconds(pause_s), kThought);
  } else if (sessions_) {
    const IssuedRequest& last = issued_[request];
    if (!draw_continues(*sessions_, seed_, request)) return;
    const TurnMessage next{last.session, last.turn + 1, last.input + last.output};
    const double pause_s = draw_think(sessions_->think_s, seed_, request);
    context.schedule(Duration::from_seconds(pause_s), kTurn, Payload(next));
  }
}

void FrontEnd::save(std::vector<std::byte>& out) const {
  Writer{out}(const_cast<FrontEnd*>(this)->issued_);  // writing changes nothing
}

void FrontEnd::restore(std::span<const std::byte> in) { Reader{in}(issued_); }

void FrontEnd::read_ahead(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  std::size_t left = needs_feedback() ? 0 : kAheadPerReplica * replicas_.size();
  while (pending_ && (pending_->arrival_ps == now_ps || left > 0)) {
    if (sessions_ && arrivals_over(pending_->arrival_ps)) {
      pending_.reset();
      break;
    }
    if (pending_->arrival_ps != now_ps) --left;
    issue(context, *pending_);
    pending_ = open_->next();
  }
  if (!pending_) {
    if (!sessions_) context.promise(Time::never(), needs_feedback());
    return;
  }
  context.schedule(Duration::picoseconds(pending_->arrival_ps - now_ps), kArrival);
  // A turn may be due before the next conversation begins.
  if (!sessions_) context.promise(Time::from_ps(pending_->arrival_ps), needs_feedback());
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

bool FrontEnd::issue(Context& context, const TraceRequest& asked, std::int32_t turn) {
  TraceRequest request = asked;
  finish_request(request, workload_, seed_, issued_.size());
  Lengths lengths{request.input_tokens, request.output_tokens};
  IssuedRequest issued;
  issued.arrival_ps = request.arrival_ps;
  issued.input = lengths.input;
  issued.output = lengths.output;
  issued.tenant = request.tenant;
  issued.priority = request.priority;
  issued.deadline_ps = request.deadline_ps;
  issued.session = request.session;
  issued.turn = turn;
  if (!fit_context(lengths, context_tokens_, workload_.truncate_over_context)) {
    issued_.push_back(issued);
    return false;
  }
  const std::uint32_t replica = router_->route();
  issued.replica = static_cast<std::int32_t>(replica);
  issued.input = lengths.input;
  issued.output = lengths.output;
  RequestMessage message;
  message.request = static_cast<std::uint32_t>(issued_.size());
  message.input = lengths.input;
  message.output = lengths.output;
  message.tenant = request.tenant;
  message.priority = request.priority;
  message.session = request.session;
  message.arrival_ps = request.arrival_ps;
  if (request.deadline_ps >= 0) message.deadline_ps = request.arrival_ps + request.deadline_ps;
  const Duration ahead = Duration::picoseconds(request.arrival_ps - context.now().ps());
  context.send(replicas_[replica], ahead + request_delay_, kRequest, Payload(message));
  issued_.push_back(issued);
  return true;
}

}  // namespace foretoken::models::serving
