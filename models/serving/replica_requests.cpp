// Requests coming into a replica and leaving it: done, handed on, given up, lost.
#include <algorithm>

#include "models/serving/replica.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::engine::Context;
using sim::engine::Payload;
using sim::engine::Priority;

void Replica::receive(Context& context, const RequestMessage& message) {
  ++counts_.received;
  if (down_) {
    ++counts_.lost;
    return tell(context, kLost, message);
  }
  const bool prompt_only = spec_.role == PoolRole::prefill;
  const std::int32_t output = prompt_only ? 1 : message.output;
  if (!batch_.can_ever_hold(message.input, output)) return reject(context, message);
  const std::int64_t now_ps = context.now().ps();
  if (run_length_ > 0) cut_run(context, spec_.plans_ahead);
  recorder_.waiting(now_ps, queued());
  if (busy_ && (spec_.poll_steps > 1 || spec_.plans_ahead)) {
    expire_later(context, message, ExpireMessage::kUnseen);
    if (watch_.is(message.request)) watch_.reached(queued(), batch_.running(), now_ps);
    inbox_.push_back({message, now_ps});
    return;
  }
  const Slot slot = enqueue(context, message, now_ps);
  if (watch_.is(message.request)) watch_.reached(batch_.ahead_of(slot), batch_.running(), now_ps);
  // Everything that arrives at one instant is seen by one plan, hence the late wake-up.
  if (!busy_ && !wake_pending_) {
    context.schedule(Duration{}, kWake, {}, Priority::late);
    wake_pending_ = true;
  }
}

// Nobody waits longer than that for the start.
void Replica::expire_later(Context& context, const RequestMessage& message, Slot slot) {
  if (spec_.timeout <= Duration() || message.first_ps >= 0) return;
  const std::int64_t patience_ps = message.arrival_ps + spec_.timeout.ps() - context.now().ps();
  context.schedule(Duration::picoseconds(std::max<std::int64_t>(0, patience_ps)), kExpire,
                   Payload(ExpireMessage{message.request, slot}), Priority::urgent);
}

Slot Replica::enqueue(Context& context, const RequestMessage& message, std::int64_t reached_ps) {
  Sequence sequence;
  sequence.request = message.request;
  sequence.input = message.input;
  sequence.output = spec_.role == PoolRole::prefill ? 1 : message.output;
  sequence.arrival_ps = message.arrival_ps;
  sequence.queued_ps = reached_ps;
  if (message.deadline_after_s >= 0)
    sequence.deadline_ps =
        message.arrival_ps + Duration::from_seconds(message.deadline_after_s).ps();
  sequence.tenant = message.tenant;
  sequence.priority = int{message.priority};
  sequence.prefilled = message.cached;
  if (message.first_ps >= 0) {  // the prompt is done elsewhere, its KV came along
    sequence.generated = 1;
    sequence.swapped = true;
    sequence.first_ps = message.first_ps - spec_.response_delay.ps();
    sequence.scheduled_ps =
        message.arrival_ps + Duration::from_seconds(message.scheduled_after_s).ps();
  }
  if (message.cached > 0 && message.first_ps < 0 && reached_ps >= spec_.recorder.measured_from_ps &&
      reached_ps < spec_.recorder.measured_until_ps)
    counts_.cached_tokens += message.cached;
  sequence.rank = scheduler_->rank(sequence);
  const Slot slot = batch_.enqueue(sequence);
  guests_.resize(std::max<std::size_t>(guests_.size(), slot + 1));
  guests_[slot] = {message.output, message.cached, message.session, message.attempt};
  scheduler_->arrived(batch_, slot);
  if (watch_.is(message.request)) watch_.queued(slot);
  expire_later(context, message, slot);
  return slot;
}

// Engines may look at new requests every so many decode steps only (SGLang,
// --scheduler-recv-interval); a step with prompts, or none at all, makes them look at once.
bool Replica::polls() const {
  return decodes_since_poll_ >= spec_.poll_steps || batch_.decoding().empty();
}

// A step planned ahead knows of what was there when the step before it started, unless nothing
// runs.
void Replica::poll(Context& context) {
  if (spec_.poll_steps > 1 && !polls()) return;
  decodes_since_poll_ = 0;
  const bool ahead = spec_.plans_ahead && batch_.running() > 0;
  std::size_t seen = 0;
  while (seen < inbox_.size() && (!ahead || inbox_[seen].at_ps <= last_start_ps_)) ++seen;
  look(context, seen);
}

// At the first so many of those that the engine has not looked at yet.
void Replica::look(Context& context, std::size_t requests) {
  const auto end = inbox_.begin() + static_cast<std::ptrdiff_t>(requests);
  for (auto unseen = inbox_.begin(); unseen != end; ++unseen)
    enqueue(context, unseen->message, unseen->at_ps);
  inbox_.erase(inbox_.begin(), end);
}

void Replica::reject(Context& context, const RequestMessage& message) {
  ++counts_.rejected;
  if (watch_.is(message.request)) watch_.refused(context.now().ps());
  if (spec_.records.keeps(message.request)) {
    RequestRecord record;
    record.request = message.request;
    record.input = message.input;
    record.output = message.output;
    record.arrival_ps = message.arrival_ps;
    record.outcome = RequestOutcome::rejected;
    records_.push_back(record);
  }
  announce(context, message.request, held(message.input, message.output), Duration());
}

// Tokens that the router counts for a request here: a prefill replica holds its prompt alone.
std::int64_t Replica::held(std::int32_t input, std::int32_t output) const {
  return std::int64_t{input} + (spec_.role == PoolRole::prefill ? 0 : output);
}

void Replica::account(Slot slot) {
  counts_.made_output += batch_.generated_tokens(slot) - (guests_[slot].kv > 0 &&
                                                          batch_.sequence(slot).first_ps >= 0 &&
                                                          spec_.role == PoolRole::decode);
  counts_.made_kv += batch_.cached_tokens(slot) - guests_[slot].kv;
}

// The last token leaves the engine at `sent_ps`, behind those that others stream.
void Replica::complete(Context* context, Slot slot, std::int64_t now_ps, std::int64_t sent_ps) {
  const Sequence& sequence = batch_.sequence(slot);
  const std::int64_t delay_ps = spec_.response_delay.ps();
  ++counts_.completed;
  counts_.input_tokens += sequence.input;
  counts_.output_tokens += sequence.output;
  counts_.last_ps = sent_ps + delay_ps;
  const RequestRecord record{sequence.request,
                             sequence.input,
                             sequence.output,
                             sequence.preemptions,
                             sequence.arrival_ps,
                             sequence.scheduled_ps,
                             sequence.first_ps + delay_ps,
                             sent_ps + delay_ps,
                             RequestOutcome::completed};
  if (spec_.records.keeps(record.request)) records_.push_back(record);
  if (!spec_.records.all() && record.arrival_ps >= spec_.recorder.measured_from_ps)
    sketches_.add(
        {record.arrival_ps, record.scheduled_ps, record.first_ps, record.last_ps, record.output});
  if (context != nullptr)
    announce(*context, sequence.request, held(sequence.input, guests_[slot].output),
             Duration::picoseconds(sent_ps - now_ps));
}

void Replica::announce(Context& context, std::uint32_t request, std::int64_t tokens,
                       Duration later) {
  if (!report_) return;
  context.send(*report_, later + spec_.response_delay, kDone,
               Payload(DoneMessage{request, spec_.index, tokens}));
}

RequestMessage Replica::message_of(Slot slot) const {
  const Sequence& sequence = batch_.sequence(slot);
  RequestMessage message;
  message.request = sequence.request;
  message.input = sequence.input;
  message.output = guests_[slot].output;
  message.arrival_ps = sequence.arrival_ps;
  message.session = guests_[slot].session;
  if (sequence.deadline_ps >= 0)
    message.deadline_after_s =
        static_cast<float>(static_cast<double>(sequence.deadline_ps - sequence.arrival_ps) * 1e-12);
  if (sequence.first_ps >= 0) message.first_ps = sequence.first_ps + spec_.response_delay.ps();
  if (sequence.scheduled_ps >= 0)
    message.scheduled_after_s = static_cast<float>(
        static_cast<double>(sequence.scheduled_ps - sequence.arrival_ps) * 1e-12);
  message.tenant = static_cast<std::uint16_t>(sequence.tenant);
  message.priority = static_cast<std::int8_t>(sequence.priority);
  message.attempt = guests_[slot].attempt;
  return message;
}

void Replica::tell(Context& context, MessageKind kind, const RequestMessage& message) {
  SIM_ASSERT(report_, "a replica has news and nobody to tell");
  context.send(*report_, spec_.response_delay, kind, Payload(message));
}

// The prompt is done and its first token out: the rest is another pool's.
void Replica::hand_on(Context& context, Slot slot, std::int64_t now_ps) {
  ++counts_.handed_on;
  RequestMessage message = message_of(slot);
  if (message.first_ps < 0) message.first_ps = now_ps + spec_.response_delay.ps();
  tell(context, kPrefilled, message);
}

// Out of the batch unfinished; the front end decides what becomes of it.
void Replica::give_back(Context& context, Slot slot, MessageKind kind) {
  account(slot);
  const std::uint32_t request = batch_.sequence(slot).request;
  if (watch_.is(request)) watch_.left(kind == kLost, context.now().ps());
  ++(kind == kLost ? counts_.lost : counts_.timed_out);
  tell(context, kind, message_of(slot));
  scheduler_->finished(batch_, slot);
  batch_.abandon(slot);
}

void Replica::expire(Context& context, const ExpireMessage& message) {
  const std::int64_t now_ps = context.now().ps();
  if (message.slot == ExpireMessage::kUnseen) {
    const auto unseen = std::find_if(inbox_.begin(), inbox_.end(), [&](const Unseen& u) {
      return u.message.request == message.request;
    });
    if (unseen == inbox_.end()) return;
    if (run_length_ > 0) book_run_steps(now_ps);
    recorder_.waiting(now_ps, queued());
    ++counts_.timed_out;
    if (watch_.is(message.request)) watch_.left(false, now_ps);
    tell(context, kTimedOut, unseen->message);
    inbox_.erase(unseen);
    return;
  }
  const Sequence& sequence = batch_.sequence(message.slot);
  if (sequence.state != SequenceState::waiting || sequence.request != message.request ||
      sequence.scheduled_ps >= 0)
    return;
  if (run_length_ > 0) cut_run(context);
  recorder_.waiting(now_ps, queued());
  give_back(context, message.slot, kTimedOut);
}

// Everything inside is lost, the step in progress with it.
void Replica::fail(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  down_ = true;
  recorder_.waiting(now_ps, queued());
  if (run_length_ > 0) book_run_steps(now_ps);
  if (busy_) context.cancel(step_end_);
  busy_ = bent_ = false;
  run_length_ = run_booked_ = 0;
  tell_load(context);
  std::vector<Slot> inside(batch_.waiting().begin(), batch_.waiting().end());
  inside.insert(inside.end(), batch_.prefilling().begin(), batch_.prefilling().end());
  inside.insert(inside.end(), batch_.decoding().begin(), batch_.decoding().end());
  std::sort(inside.begin(), inside.end(), [this](Slot a, Slot b) {
    return batch_.sequence(a).request < batch_.sequence(b).request;
  });
  for (const Slot slot : inside) give_back(context, slot, kLost);
  for (const auto& [message, at_ps] : inbox_) {
    ++counts_.lost;
    if (watch_.is(message.request)) watch_.left(true, now_ps);
    tell(context, kLost, message);
  }
  inbox_.clear();
}

}  // namespace foretoken::models::serving
