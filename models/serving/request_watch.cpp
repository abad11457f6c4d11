#include "models/serving/request_watch.hpp"

#include <algorithm>

namespace foretoken::models::serving {

using Kind = RequestEvent::Kind;

void RequestWatch::refused(std::int64_t now_ps) {
  events_.push_back({Kind::refused, now_ps, now_ps, 0, 0, 0, 0});
}

void RequestWatch::reached(std::size_t ahead, std::int32_t running, std::int64_t now_ps) {
  events_.push_back(
      {Kind::reached, now_ps, now_ps, static_cast<std::int64_t>(ahead), running, 0, 0});
}

void RequestWatch::queued(Slot slot) {
  slot_ = slot;
  here_ = true;
  running_ = false;
}

void RequestWatch::left(bool lost, std::int64_t now_ps) {
  here_ = running_ = false;
  events_.push_back({lost ? Kind::lost : Kind::gave_up, now_ps, now_ps, 0, 0, 0, 0});
}

void RequestWatch::planned(const Batch& batch, std::int64_t now_ps) {
  if (!here_) return;
  const Sequence& s = batch.sequence(slot_);
  if (s.preemptions > preemptions_) {
    preemptions_ = s.preemptions;
    running_ = false;
    events_.push_back(
        {Kind::preempted, now_ps, now_ps, batch.generated_tokens(slot_), s.swapped ? 1 : 0, 0, 0});
  }
  if (!running_ && s.state != SequenceState::waiting) {
    running_ = true;
    events_.push_back({Kind::admitted, now_ps, now_ps, batch.cached_tokens(slot_), 0, 0, 0});
  }
}

void RequestWatch::step(const Batch& batch, const StepPlan& plan, std::int64_t start_ps,
                        std::int64_t end_ps) {
  if (!here_ || !running_) return;
  const Sequence& s = batch.sequence(slot_);
  if (s.state == SequenceState::decoding) {
    if (plan.decode) decoded(plan, start_ps, end_ps);
    return;
  }
  std::int64_t tokens = 0, all = 0;
  for (const PlannedChunk& chunk : plan.chunks) {
    all += chunk.tokens;
    if (chunk.slot == slot_) tokens = chunk.tokens;
  }
  if (tokens == 0) return;
  const auto decodes = plan.decode ? static_cast<std::int64_t>(batch.decoding().size()) : 0;
  events_.push_back({Kind::chunk, start_ps, end_ps, tokens, all, decodes, 0});
  if (s.prefilled + tokens == s.target && s.generated == 0)
    events_.push_back({Kind::token, end_ps, end_ps, 0, 0, 0, 0});
}

void RequestWatch::decoded(const StepPlan& plan, std::int64_t start_ps, std::int64_t end_ps) {
  if (events_.back().kind != Kind::decoded || events_.back().end_ps > start_ps)
    events_.push_back({Kind::decoded, start_ps, start_ps, 0, 0, 0, 0});
  RequestEvent& run = events_.back();
  run.end_ps = end_ps;
  ++run.a;
  run.b += !plan.chunks.empty();
  run.longest_ps = std::max(run.longest_ps, end_ps - start_ps);
}

void RequestWatch::finished(const Batch& batch, Slot slot, std::int64_t now_ps) {
  here_ = running_ = false;
  events_.push_back({Kind::finished, now_ps, now_ps, batch.sequence(slot).output, 0, 0, 0});
}

}  // namespace foretoken::models::serving
