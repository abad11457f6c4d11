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
      open_(make_open_arrivals(spec.workload, spec.seed)) {}

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
  SIM_ASSERT(event.kind == kDone, "the front end got a message it does not know");
  router_->done(event.payload.as<DoneMessage>().replica);
  if (open_ == nullptr) send_closed(context);
}

void FrontEnd::save(std::vector<std::byte>& out) const {
  Writer{out}(const_cast<FrontEnd*>(this)->issued_);  // writing changes nothing
}

void FrontEnd::restore(std::span<const std::byte> in) { Reader{in}(issued_); }

void FrontEnd::read_ahead(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  std::size_t left = needs_feedback() ? 0 : kAheadPerReplica * replicas_.size();
  while (pending_ && (pending_->arrival_ps == now_ps || left > 0)) {
    if (pending_->arrival_ps != now_ps) --left;
    issue(context, *pending_);
    pending_ = open_->next();
  }
  // Completions only tell the router something: nothing leaves before the next arrival.
  if (!pending_) {
    context.promise(Time::never(), false);
    return;
  }
  context.schedule(Duration::picoseconds(pending_->arrival_ps - now_ps), kArrival);
  context.promise(Time::from_ps(pending_->arrival_ps), false);
}

void FrontEnd::send_closed(Context& context) {
  // A client whose request is refused sends its next one at once.
  for (bool sent = false; !sent;) {
    const auto number = static_cast<std::int64_t>(issued_.size());
    if (workload_.requests && number >= *workload_.requests) return;
    if (workload_.duration && context.now().ps() >= workload_.duration->ps()) return;
    const Lengths lengths = draw_lengths(workload_, seed_, issued_.size());
    sent = issue(context, {context.now().ps(), lengths.input, lengths.output});
  }
}

bool FrontEnd::issue(Context& context, const TraceRequest& request) {
  Lengths lengths{request.input_tokens, request.output_tokens};
  IssuedRequest issued{request.arrival_ps, lengths.input, lengths.output, -1};
  if (!fit_context(lengths, context_tokens_, workload_.truncate_over_context)) {
    issued_.push_back(issued);
    return false;
  }
  const std::uint32_t replica = router_->route();
  issued.replica = static_cast<std::int32_t>(replica);
  issued.input = lengths.input;
  issued.output = lengths.output;
  const RequestMessage message{static_cast<std::uint32_t>(issued_.size()), lengths.input,
                               lengths.output, request.arrival_ps};
  const Duration ahead = Duration::picoseconds(request.arrival_ps - context.now().ps());
  context.send(replicas_[replica], ahead + request_delay_, kRequest, Payload(message));
  issued_.push_back(issued);
  return true;
}

}  // namespace foretoken::models::serving
