#include "models/serving/replica.hpp"

#include <algorithm>
#include <array>

#include "models/serving/policy_plugin.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::engine::Context;
using sim::engine::Event;
using sim::engine::Payload;
using sim::engine::Priority;

namespace {
// Longest run of decode steps planned in one go: adapts, since a run cut short by an arrival has
// wasted the look-ups behind the cut. Changes speed only.
constexpr std::size_t kShortestRun = 8, kLongestRun = 512;
constexpr std::size_t kAtOnce = 64;  // steps priced in one call, on the stack

// Of a straggler: everything but the busy time at peak rates takes longer.
void slow_down(StepCost& cost, double times) {
  for (double* part : {&cost.seconds, &cost.gemm_s, &cost.attention_s, &cost.experts_s,
                       &cost.communication_s, &cost.elementwise_s, &cost.host_s})
    *part *= times;
}
}  // namespace

Replica::Replica(const ReplicaSpec& spec, const StepTimer& timer)
    : spec_(spec),
      timer_(timer),
      scheduler_(make_scheduler(spec.batching, spec.ranks, spec.seed)),
      batch_(spec.kv_blocks, spec.block_tokens, spec.admission, spec.first_chunk_tokens),
      recorder_(spec.recorder),
      watch_(spec.watch),
      stream_(spec.stream_token_ps),
      run_cap_(2 * kShortestRun) {}

void Replica::start(Context& context) {
  for (const Outage& outage : spec_.outages) {
    const Duration from = Duration::picoseconds(outage.from_ps);
    const Duration to = Duration::picoseconds(outage.to_ps);
    if (outage.down()) {
      context.schedule(from, kFail, {}, Priority::urgent);
      context.schedule(to, kRepaired, {}, Priority::urgent);
    } else {
      context.schedule(from, kPace, Payload(outage.slowdown), Priority::urgent);
      context.schedule(to, kPace, Payload(1.0), Priority::urgent);
    }
  }
}

void Replica::handle(Context& context, const Event& event) {
  switch (event.kind) {
    case kRequest:
      receive(context, event.payload.as<RequestMessage>());
      break;
    case kWake:
      wake_pending_ = false;
      start_step(context);
      break;
    case kTimer:
      if (!busy_ && !wake_pending_) start_step(context);
      break;
    case kStepEnd:
      end_step(context);
      start_step(context);
      break;
    case kExpire:
      expire(context, event.payload.as<ExpireMessage>());
      break;
    case kFail:
      fail(context);
      break;
    case kRepaired:
      down_ = false;
      break;
    case kStretch:
      stretch_steps(context, event.payload.as<double>());
      break;
    case kPace:
      if (run_length_ > 0) cut_run(context);
      pace_ = event.payload.as<double>();
      break;
    default:
      SIM_ASSERT(false, "a replica got a message it does not know");
  }
}

// Something arrived within a run: it ends with the step in progress, or the one planned already.
void Replica::cut_run(Context& context, bool planned) {
  const std::int64_t now_ps = context.now().ps();
  book_run_steps(now_ps);
  const std::size_t kept = run_booked_ + (planned ? 2 : 1);
  if (kept >= run_length_) return;
  context.cancel(step_end_);
  run_length_ = kept;
  const Duration rest = Duration::picoseconds(ends_[kept - 1] - now_ps);
  step_end_ = context.schedule(rest, kStepEnd, {}, Priority::late);
  run_cap_ = std::max(kShortestRun, run_cap_ / 2);
}

StepInput Replica::step_input() {
  StepInput input;
  input.network_stretch = stretch_;
  if (plan_.decode) {
    const auto decodes = static_cast<std::int32_t>(batch_.decoding().size());
    input.decode_batch = std::max(decodes, plan_.lanes);
    input.decode_context = batch_.decode_context();
  }
  input.chunks = chunks_;
  input.logits = input.decode_batch;
  for (const PlannedChunk& chunk : plan_.chunks) {
    const Sequence& sequence = batch_.sequence(chunk.slot);
    input.logits += sequence.prefilled + chunk.tokens == sequence.target;
  }
  return input;
}

// With the copies of KV to and from host memory, which the step waits for.
StepCost Replica::price(const StepInput& input) const {
  StepCost cost = timer_.cost(input);
  if (pace_ != 1.0) slow_down(cost, pace_);
  const double copies_s = plan_.swapped_blocks * spec_.swap_block_s;
  cost.seconds += copies_s;
  cost.host_s += copies_s;
  return cost;
}

// The policy found nothing to run although requests are here.
void Replica::wait_for_policy(Context& context) {
  if (batch_.running() == 0 && batch_.waiting().empty()) return;
  const std::int64_t now_ps = context.now().ps();
  if (plan_.wake_ps == INT64_MAX && spec_.batching.plugin != nullptr)
    throw sim::core::InputError("policy " + spec_.batching.plugin->name() + " planned no work at " +
                                std::to_string(static_cast<double>(now_ps) * 1e-12) +
                                " s although " + std::to_string(batch_.running()) +
                                " requests run and " + std::to_string(batch_.waiting().size()) +
                                " wait, and asked for no wake-up: they would never end");
  SIM_ASSERT(plan_.wake_ps > now_ps && plan_.wake_ps < INT64_MAX,
             "the scheduler found nothing to run although requests wait");
  timer_event_ =
      context.schedule(Duration::picoseconds(plan_.wake_ps - now_ps), kTimer, {}, Priority::late);
}

void Replica::start_step(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  const std::size_t waited = queued();
  poll(context);
  plan_.clear();
  scheduler_->plan(batch_, now_ps, plan_);
  if (plan_.empty() && !inbox_.empty()) {  // nothing was planned ahead of them
    look(context, inbox_.size());
    scheduler_->plan(batch_, now_ps, plan_);
  }
  if (watch_.on()) watch_.planned(batch_, now_ps);
  if (queued() != waited) recorder_.waiting(now_ps, waited);
  busy_ = !plan_.empty();
  run_length_ = run_booked_ = 0;
  if (timer_event_.valid()) {
    context.cancel(timer_event_);
    timer_event_ = {};
  }
  if (!busy_) {
    tell_load(context);
    return wait_for_policy(context);
  }
  step_start_ps_ = now_ps;
  chunks_.clear();
  std::int32_t longest = 0;
  for (const PlannedChunk& chunk : plan_.chunks) longest = std::max(longest, chunk.tokens);
  for (const PlannedChunk& chunk : plan_.chunks)
    chunks_.push_back(
        {plan_.padded ? longest : chunk.tokens, batch_.sequence(chunk.slot).prefilled});
  const bool plain = plan_.swapped_blocks == 0 && pace_ == 1.0;
  if (plan_.steady && plain && spec_.decode_runs) return start_run(context);
  const Duration duration = Duration::from_seconds(price(step_input()).seconds);
  ends_.assign(1, now_ps + duration.ps());
  step_end_ = context.schedule(duration, kStepEnd, {}, Priority::late);
  tell_load(context);
}

// Steps that can be done before a sequence ends, a first chunk is full, or blocks run short.
std::size_t Replica::run_length() {
  std::int64_t most = inbox_.empty() || spec_.poll_steps > 1 ? batch_.steps_to_milestone() : 1;
  if (spec_.poll_steps > 1)
    most = std::min<std::int64_t>(most, spec_.poll_steps - decodes_since_poll_);
  const auto limit = static_cast<std::size_t>(
      std::clamp<std::int64_t>(most, 1, static_cast<std::int64_t>(run_cap_)));
  std::int64_t free = batch_.free_blocks() - batch_.decode_blocks();
  std::size_t length = 1;
  for (; length < limit; ++length) {
    free -= batch_.decode_blocks(static_cast<std::int64_t>(length));
    if (free < 0) break;
  }
  return length;
}

void Replica::start_run(Context& context) {
  run_length_ = run_length();
  if (run_length_ == run_cap_) run_cap_ = std::min(kLongestRun, 2 * run_cap_);
  ends_.resize(run_length_);
  std::int64_t end_ps = step_start_ps_;
  const auto batch = static_cast<std::int32_t>(batch_.decoding().size());
  std::int64_t context_tokens = batch_.decode_context();
  std::array<Duration, kAtOnce> durations;
  for (std::size_t done = 0; done < run_length_;) {
    const std::size_t n = std::min(run_length_ - done, kAtOnce);
    if (stretch_ == 1.0)
      timer_.decode_run(batch, context_tokens, std::span(durations).first(n));
    else
      for (std::size_t i = 0; i < n; ++i) {
        const StepInput step{
            batch, context_tokens + static_cast<std::int64_t>(i) * batch, {}, batch, stretch_};
        durations[i] = Duration::from_seconds(timer_.cost(step).seconds);
      }
    for (std::size_t i = 0; i < n; ++i) ends_[done + i] = end_ps += durations[i].ps();
    done += n;
    context_tokens += static_cast<std::int64_t>(n) * batch;
  }
  step_end_ = context.schedule(Duration::picoseconds(end_ps - step_start_ps_), kStepEnd, {},
                               Priority::late);
  tell_load(context);
}

// Steps of the run that ended strictly before `before_ps`: at that very instant an arrival still
// comes first, as it does when every step has an event of its own.
void Replica::book_run_steps(std::int64_t before_ps) {
  std::size_t steps = 0;
  while (run_booked_ + steps + 1 < run_length_ && ends_[run_booked_ + steps] < before_ps) ++steps;
  book_run(steps);
}

void Replica::book_run(std::size_t steps) {
  std::array<StepCost, kAtOnce> costs;
  while (steps > 0) {
    const std::size_t n = std::min(steps, kAtOnce);
    StepInput input = step_input();
    if (stretch_ == 1.0)
      timer_.decode_costs(input.decode_batch, input.decode_context, std::span(costs).first(n));
    for (std::size_t i = 0; i < n; ++i) {
      if (stretch_ != 1.0) costs[i] = timer_.cost(input);
      book_step(ends_[run_booked_++], input, costs[i]);
      input.decode_context += input.decode_batch;
    }
    steps -= n;
  }
}

// The step that began at step_start_ps_ and whose work is in plan_ is over.
void Replica::book_step(std::int64_t end_ps, const StepInput& input, StepCost cost) {
  if (bent_) {  // it took what it took; the network made the difference
    const double seconds = static_cast<double>(end_ps - step_start_ps_) * 1e-12;
    cost.communication_s += seconds - cost.seconds;
    cost.seconds = seconds;
    bent_ = false;
  }
  if (plan_.decode) batch_.begin_decode_step();
  StepRecord record;
  record.start_ps = step_start_ps_;
  record.end_ps = end_ps;
  record.decode_sequences = plan_.decode ? static_cast<std::int32_t>(batch_.decoding().size()) : 0;
  record.prefill_sequences = static_cast<std::int32_t>(chunks_.size());
  for (const PlannedChunk& chunk : plan_.chunks) record.prefill_tokens += chunk.tokens;
  record.output_tokens = input.logits - input.decode_batch + record.decode_sequences;
  record.swapped_blocks = plan_.swapped_blocks;
  record.waiting = static_cast<std::int32_t>(queued());
  record.kv_blocks = batch_.used_blocks();
  recorder_.step(record, input, cost);
  if (watch_.on()) watch_.step(batch_, plan_, step_start_ps_, end_ps);
  if (plan_.decode) batch_.end_decode_step();
  decodes_since_poll_ = plan_.chunks.empty() ? decodes_since_poll_ + 1 : spec_.poll_steps;
  const std::int64_t sent_ps = stream_.send(end_ps, record.output_tokens);
  // Last ones first: what leaves the list of prompts then has little behind it.
  for (auto chunk = plan_.chunks.rbegin(); chunk != plan_.chunks.rend(); ++chunk)
    batch_.end_chunk(chunk->slot, chunk->tokens, sent_ps);
  last_start_ps_ = step_start_ps_;
  step_start_ps_ = end_ps;
}

void Replica::end_step(Context& context) {
  const std::int64_t now_ps = context.now().ps();
  if (run_length_ > 0) {
    book_run(run_length_ - run_booked_);
  } else {
    const StepInput input = step_input();
    book_step(now_ps, input, price(input));
  }
  run_length_ = run_booked_ = 0;
  complete_finished(&context, now_ps);
}

void Replica::complete_finished(Context* context, std::int64_t now_ps) {
  const std::int64_t sent_ps = stream_.after(now_ps);
  batch_.collect_finished(sent_ps, finished_);
  for (const Slot slot : finished_) {
    SIM_ASSERT(batch_.generated_tokens(slot) == batch_.sequence(slot).output,
               "a request ended early");
    account(slot);
    if (watch_.is(batch_.sequence(slot).request)) watch_.finished(batch_, slot, now_ps);
    if (context != nullptr && batch_.sequence(slot).output < guests_[slot].output)
      hand_on(*context, slot, now_ps);
    else
      complete(context, slot, now_ps, sent_ps);
    scheduler_->finished(batch_, slot);
    batch_.release(slot);
  }
}

void Replica::save(std::vector<std::byte>& out) const {
  Writer writer(out);
  const_cast<Replica*>(this)->fields(writer);  // fields() serves both ways; writing changes nothing
}

void Replica::restore(std::span<const std::byte> in) {
  Reader reader(in);
  fields(reader);
  SIM_ASSERT(reader.done(), "the saved state of a replica is longer than it should be");
}

void Replica::finish(sim::core::Time end) {
  if (busy_) book_run_steps(end.ps());
  recorder_.waiting(end.ps(), queued());
  const auto keep = [&](Slot slot) {
    const Sequence& s = batch_.sequence(slot);
    if (!spec_.records.keeps(s.request)) return;
    const std::int64_t first = s.first_ps < 0 ? -1 : s.first_ps + spec_.response_delay.ps();
    records_.push_back({s.request, s.input, guests_[slot].output, s.preemptions, s.arrival_ps,
                        s.scheduled_ps, first, -1, RequestOutcome::unfinished});
  };
  for (const Slot slot : batch_.waiting()) keep(slot);
  for (const Slot slot : batch_.prefilling()) keep(slot);
  for (const Slot slot : batch_.decoding()) keep(slot);
}

}  // namespace foretoken::models::serving
