#include "models/serving/batch.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {

Batch::Batch(std::int64_t kv_blocks, std::int32_t block_tokens, const AdmissionRule& rule,
             std::int32_t stream_chunk)
    : total_blocks_(kv_blocks),
      free_blocks_(kv_blocks),
      block_tokens_(block_tokens),
      rule_(rule),
      stream_chunk_(stream_chunk),
      phase_count_(static_cast<std::size_t>(block_tokens), 0) {
  SIM_ASSERT(kv_blocks > 0 && block_tokens > 0, "a replica needs KV blocks");
}

// A sequence with c cached tokens needs a block for the next one exactly when c is a multiple of
// the block size. c - step is constant while it decodes, so that residue is its phase.
std::size_t Batch::phase_of(const Sequence& sequence) const {
  const std::int64_t residue = (sequence.cached_at_join - sequence.join_step) % block_tokens_;
  return static_cast<std::size_t>(residue < 0 ? residue + block_tokens_ : residue);
}

std::int32_t Batch::decode_blocks(std::int64_t ahead) const {
  const std::int64_t residue = (step_ + ahead) % block_tokens_;
  return phase_count_[static_cast<std::size_t>(residue == 0 ? 0 : block_tokens_ - residue)];
}

void Batch::push_milestone(const Milestone& milestone) {
  milestones_.push_back(milestone);
  std::push_heap(milestones_.begin(), milestones_.end(), Later{});
}

// A preempted sequence leaves its milestones behind; its admission number has changed since.
void Batch::drop_stale_milestones() {
  if (!any_left_early_) return;
  while (!milestones_.empty()) {
    const Milestone& top = milestones_.front();
    const Sequence& sequence = sequences_[top.slot];
    if (sequence.state == SequenceState::decoding && sequence.admission == top.admission) return;
    std::pop_heap(milestones_.begin(), milestones_.end(), Later{});
    milestones_.pop_back();
  }
}

std::int64_t Batch::steps_to_milestone() {
  drop_stale_milestones();
  SIM_ASSERT(!milestones_.empty(), "a decoding batch without an end");
  return milestones_.front().step - step_;
}

bool Batch::can_ever_hold(std::int32_t input, std::int32_t output) const {
  const std::int64_t most = rule_.request_blocks > 0 ? rule_.request_blocks : total_blocks_;
  return blocks_for(std::int64_t{input} + output - 1) <= most;
}

std::size_t Batch::ahead_of(Slot slot) const {
  return static_cast<std::size_t>(std::find(waiting_.begin(), waiting_.end(), slot) -
                                  waiting_.begin());
}

Slot Batch::enqueue(const Sequence& arrival) {
  Slot slot;
  if (free_slots_.empty()) {
    slot = static_cast<Slot>(sequences_.size());
    sequences_.push_back(arrival);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    sequences_[slot] = arrival;
  }
  Sequence& sequence = sequences_[slot];
  sequence.target = sequence.input;
  if (sequence.swapped) swapped_blocks_ += blocks_for(sequence.prefilled);
  sequence.state = SequenceState::waiting;
  if (waiting_.empty() || sequences_[waiting_.back()].rank <= sequence.rank) {
    waiting_.push_back(slot);
  } else {
    const auto behind = [this](double rank, Slot other) { return rank < sequences_[other].rank; };
    waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), sequence.rank, behind),
                    slot);
  }
  inside_blocks_ += most_of(sequence);
  most_blocks_ = std::max(most_blocks_, inside_blocks_);
  most_inside_ = std::max(most_inside_, running() + static_cast<std::int64_t>(waiting_.size()));
  return slot;
}

std::int32_t Batch::committed_for(const Sequence& sequence) const {
  if (rule_.reserve_output <= 0.0) return 0;
  const double ahead = rule_.reserve_output * (sequence.output - sequence.generated);
  return blocks_for(sequence.target + std::llround(ahead));
}

bool Batch::can_admit(Slot slot, std::int32_t tokens, std::int64_t keep_free) const {
  if (running() >= rule_.max_sequences) return false;
  const Sequence& sequence = sequences_[slot];
  const bool alone = running() == 0;
  const std::int64_t kept = keep_free + (alone ? 0 : rule_.watermark_blocks);
  // A sequence that comes back to decode may need a block for its next token in this very step.
  const std::int32_t next = sequence.swapped && tokens == 0 ? 1 : tokens;
  const std::int64_t held = std::int64_t{sequence.prefilled} + next;
  const std::int64_t wanted =
      rule_.whole_prompt ? std::max<std::int64_t>(held, sequence.target) : held;
  if (blocks_for(wanted) > free_blocks_ - kept) return false;
  return alone ||
         committed_for(sequence) <= total_blocks_ - rule_.watermark_blocks - committed_blocks_;
}

std::int32_t Batch::admit(Slot slot, std::int32_t tokens, std::int64_t now_ps) {
  if (waiting_.front() == slot) {
    waiting_.pop_front();
  } else {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), slot));
  }
  Sequence& sequence = sequences_[slot];
  sequence.committed = committed_for(sequence);
  sequence.blocks = blocks_for(std::int64_t{sequence.prefilled} + tokens);
  committed_blocks_ += sequence.committed;
  const std::int64_t own = reclaim(slot, false);
  free_blocks_ -= own;
  take_blocks(sequence.blocks - own);
  sequence.admission = ++admissions_;
  if (sequence.scheduled_ps < 0) sequence.scheduled_ps = now_ps;
  const std::int32_t copied = sequence.swapped ? blocks_for(sequence.prefilled) : 0;
  swapped_blocks_ -= copied;
  sequence.swapped = false;
  if (copied > 0 && sequence.prefilled == sequence.target) {
    join_decode(slot);
    return copied;
  }
  sequence.state = SequenceState::prefilling;
  sequence.position = static_cast<std::uint32_t>(prefilling_.size());
  prefilling_.push_back(slot);
  return copied;
}

bool Batch::extend(Slot slot, std::int32_t tokens, std::int64_t keep_free) {
  Sequence& sequence = sequences_[slot];
  const std::int32_t more = blocks_for(std::int64_t{sequence.prefilled} + tokens) - sequence.blocks;
  if (more > free_blocks_ - keep_free) return false;
  if (more > 0) {
    take_blocks(more);
    sequence.blocks += more;
  }
  return true;
}

// Keeps the order of prefilling_; decoding_ needs none, its order is that of admission numbers.
void Batch::leave(std::vector<Slot>& list, Slot slot) {
  const std::uint32_t at = sequences_[slot].position;
  if (&list == &decoding_) {
    list[at] = list.back();
    sequences_[list[at]].position = at;
    list.pop_back();
    return;
  }
  list.erase(list.begin() + at);
  for (std::size_t i = at; i < list.size(); ++i)
    sequences_[list[i]].position = static_cast<std::uint32_t>(i);
}

std::int32_t Batch::cached_tokens(Slot slot) const {
  const Sequence& sequence = sequences_[slot];
  if (sequence.state != SequenceState::decoding) return sequence.prefilled;
  return static_cast<std::int32_t>(sequence.cached_at_join + (step_ - sequence.join_step));
}

std::int32_t Batch::generated_tokens(Slot slot) const {
  const Sequence& sequence = sequences_[slot];
  if (sequence.state != SequenceState::decoding) return sequence.generated;
  return static_cast<std::int32_t>(sequence.generated + (step_ - sequence.join_step));
}

void Batch::join_decode(Slot slot) {
  Sequence& sequence = sequences_[slot];
  sequence.state = SequenceState::decoding;
  sequence.join_step = step_;
  sequence.cached_at_join = sequence.target;
  sequence.position = static_cast<std::uint32_t>(decoding_.size());
  decoding_.push_back(slot);
  cached_ += sequence.target;
  ++phase_count_[phase_of(sequence)];
  push_milestone({step_ + sequence.output - sequence.generated, sequence.admission, slot, true});
  if (sequence.first_ps < 0)
    push_milestone({step_ + std::min(stream_chunk_, sequence.output) - sequence.generated,
                    sequence.admission, slot, false});
}

void Batch::leave_decode(Slot slot) {
  Sequence& sequence = sequences_[slot];
  const std::int32_t cached = cached_tokens(slot);
  const std::int32_t generated = generated_tokens(slot);
  --phase_count_[phase_of(sequence)];
  cached_ -= cached;
  sequence.prefilled = cached;
  sequence.generated = generated;
  sequence.blocks = blocks_for(cached);
  leave(decoding_, slot);
}

Slot Batch::last_in_rank() const {
  SIM_ASSERT(running() > 0, "nothing to preempt");
  Slot last = prefilling_.empty() ? decoding_.front() : prefilling_.front();
  for (const auto* list : {&prefilling_, &decoding_})
    for (const Slot slot : *list) {
      const Sequence &a = sequences_[slot], &b = sequences_[last];
      if (a.rank != b.rank ? a.rank > b.rank : a.admission > b.admission) last = slot;
    }
  return last;
}

std::int32_t Batch::preempt(Slot slot, double rank) {
  Sequence& sequence = sequences_[slot];
  const bool decoded = sequence.state == SequenceState::decoding;
  any_left_early_ = any_left_early_ || decoded;
  if (decoded)
    leave_decode(slot);
  else
    leave(prefilling_, slot);
  committed_blocks_ -= sequence.committed;
  const std::int32_t kept = blocks_for(sequence.prefilled);
  sequence.swapped = kept > 0 && kept <= rule_.swap_blocks - swapped_blocks_;
  if (sequence.swapped) {
    swapped_blocks_ += kept;
    if (decoded) sequence.target = sequence.prefilled;
  } else {
    const auto found =
        rule_.finds_its_blocks ? static_cast<std::int32_t>(leave_behind(slot)) * block_tokens_ : 0;
    recomputed_tokens_ += sequence.prefilled - found;
    sequence.prefilled = found;
    sequence.target = sequence.input + sequence.generated;
  }
  free_blocks_ += sequence.blocks;
  sequence.blocks = sequence.committed = 0;
  inside_blocks_ -= most_of(sequence);
  sequence.state = SequenceState::waiting;
  sequence.rank = rank;
  ++sequence.preemptions;
  ++preemptions_;
  const auto ahead = [this](Slot other, double r) { return sequences_[other].rank < r; };
  waiting_.insert(std::lower_bound(waiting_.begin(), waiting_.end(), rank, ahead), slot);
  return sequence.swapped ? kept : 0;
}

// Full blocks alone can be found again. Returns how many; the caller frees them.
std::int64_t Batch::leave_behind(Slot slot) {
  std::int64_t ahead = free_blocks_;
  for (const LeftBehind& other : left_behind_) ahead -= other.ahead + other.blocks;
  const Sequence& sequence = sequences_[slot];
  const std::int64_t full = sequence.prefilled / block_tokens_;
  // A block that is not full is freed as well, and first of all.
  if (full > 0) left_behind_.push_back({ahead + sequence.blocks - full, full, slot});
  return full;
}

void Batch::overwrite(std::int64_t count) {
  if (left_behind_.empty()) return;
  auto next = left_behind_.begin();
  for (; next != left_behind_.end(); ++next) {
    const std::int64_t others = std::min(count, next->ahead);
    next->ahead -= others;
    count -= others;
    const std::int64_t own = std::min(count, next->blocks);
    next->blocks -= own;
    count -= own;
    const auto tokens = static_cast<std::int32_t>(own) * block_tokens_;
    sequences_[next->slot].prefilled -= tokens;
    recomputed_tokens_ += tokens;
    if (next->blocks > 0) break;
  }
  left_behind_.erase(left_behind_.begin(), next);
}

std::int64_t Batch::reclaim(Slot slot, bool stay_free) {
  const auto at = std::find_if(left_behind_.begin(), left_behind_.end(),
                               [slot](const LeftBehind& l) { return l.slot == slot; });
  if (at == left_behind_.end()) return 0;
  const std::int64_t blocks = at->blocks;
  if (const auto next = std::next(at); next != left_behind_.end())
    next->ahead += at->ahead + (stay_free ? blocks : 0);
  left_behind_.erase(at);
  return blocks;
}

void Batch::end_decode_step() {
  ++step_;
  cached_ += static_cast<std::int64_t>(decoding_.size());
}

bool Batch::end_chunk(Slot slot, std::int32_t tokens, std::int64_t now_ps) {
  Sequence& sequence = sequences_[slot];
  sequence.prefilled += tokens;
  SIM_ASSERT(sequence.prefilled <= sequence.target, "more of a prompt processed than it has");
  if (sequence.prefilled < sequence.target) return false;
  ++sequence.generated;
  if (sequence.first_ps < 0 && sequence.generated >= std::min(stream_chunk_, sequence.output))
    sequence.first_ps = now_ps;
  leave(prefilling_, slot);
  join_decode(slot);  // even if that token was its last: collect_finished finds it due
  return true;
}

void Batch::collect_finished(std::int64_t now_ps, std::vector<Slot>& finished) {
  finished.clear();
  for (drop_stale_milestones(); !milestones_.empty(); drop_stale_milestones()) {
    const Milestone due = milestones_.front();
    if (due.step > step_) return;
    std::pop_heap(milestones_.begin(), milestones_.end(), Later{});
    milestones_.pop_back();
    if (due.ends) finished.push_back(due.slot);
    if (sequences_[due.slot].first_ps < 0) sequences_[due.slot].first_ps = now_ps;
  }
}

void Batch::release(Slot slot) {
  Sequence& sequence = sequences_[slot];
  leave_decode(slot);
  free_blocks_ += sequence.blocks;
  committed_blocks_ -= sequence.committed;
  inside_blocks_ -= most_of(sequence);
  sequence.state = SequenceState::free;
  free_slots_.push_back(slot);
}

void Batch::abandon(Slot slot) {
  Sequence& sequence = sequences_[slot];
  if (sequence.state == SequenceState::waiting) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), slot));
    if (sequence.swapped) swapped_blocks_ -= blocks_for(sequence.prefilled);
    reclaim(slot, true);
  } else if (sequence.state == SequenceState::decoding) {
    any_left_early_ = true;
    leave_decode(slot);
  } else {
    leave(prefilling_, slot);
  }
  free_blocks_ += sequence.blocks;
  committed_blocks_ -= sequence.committed;
  sequence.blocks = sequence.committed = 0;
  sequence.state = SequenceState::free;
  free_slots_.push_back(slot);
}

}  // namespace foretoken::models::serving
