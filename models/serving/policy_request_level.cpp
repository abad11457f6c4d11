// Request-level batching, as before Orca: a batch is formed, runs until its longest request is
// done, and only then the next is taken. The batch is a rectangle: prompts are padded to the
// longest of their step, and who is done leaves an idle lane behind that decodes along to the end.
#include <bit>
#include <limits>

#include "models/serving/policy_parts.hpp"

namespace foretoken::models::serving {
namespace {

class RequestLevel : public Scheduler {
 public:
  explicit RequestLevel(const Budget& budget) : budget_(budget) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    if (batch.running() == 0 && to_admit_ == 0) {
      lanes_ = 0;
      if (batch.waiting().empty()) return;
      to_admit_ = form(batch, now_ps, plan);
      if (to_admit_ == 0) return;
    }
    prompts(batch, now_ps, plan);
    if (!plan.chunks.empty()) return;
    to_admit_ = 0;  // the pool is full: the rest waits for the next batch
    const bool preempted = make_room_for_decode(batch, plan);
    plan.decode = !batch.decoding().empty();
    plan.lanes = lanes_;
    plan.steady =
        plan.decode && !preempted && static_cast<std::int32_t>(batch.decoding().size()) == lanes_;
  }

 protected:
  // How many of the queue the next batch takes; 0 = not yet, and plan.wake_ps says when.
  virtual std::int32_t form(const Batch& batch, std::int64_t now_ps, StepPlan& plan) {
    (void)now_ps, (void)plan;
    return std::min(batch.max_sequences(), static_cast<std::int32_t>(batch.waiting().size()));
  }
  // The next of the queue that belongs to the batch.
  virtual Slot next(const Batch& batch) { return batch.waiting().front(); }

 private:
  // Prompts of the batch for one step, all as long as the longest, within the budget.
  void prompts(Batch& batch, std::int64_t now_ps, StepPlan& plan) {
    std::int32_t longest = 0;
    const auto fits = [&](std::int32_t tokens) {
      const auto count = static_cast<std::int64_t>(plan.chunks.size()) + 1;
      return count * std::max(longest, tokens) <= budget_.step || plan.chunks.empty();
    };
    plan.padded = true;
    for (const Slot slot : batch.prefilling()) {
      const std::int32_t tokens = next_chunk(batch, slot, budget_.step, budget_);
      if (!fits(tokens) || !batch.extend(slot, tokens, 0)) return;
      plan.chunks.push_back({slot, tokens});
      longest = std::max(longest, tokens);
    }
    for (; to_admit_ > 0 && !batch.waiting().empty(); --to_admit_) {
      const Slot slot = next(batch);
      const std::int32_t tokens = next_chunk(batch, slot, budget_.step, budget_);
      if (!fits(tokens)) return;
      if (!batch.can_admit(slot, tokens, 0)) {
        to_admit_ = 0;
        return;
      }
      take(batch, slot, tokens, now_ps, plan);
      longest = std::max(longest, tokens);
      ++lanes_;
    }
  }

  Budget budget_;
  std::int32_t to_admit_ = 0, lanes_ = 0;
};

// Triton's dynamic batcher: starts when the batch is full or the oldest has waited long enough.
class Dynamic final : public RequestLevel {
 public:
  Dynamic(const Budget& budget, std::int64_t timeout_ps)
      : RequestLevel(budget), timeout_ps_(timeout_ps) {}

 private:
  std::int32_t form(const Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    const auto waiting = static_cast<std::int32_t>(batch.waiting().size());
    const std::int64_t due_ps = batch.sequence(batch.waiting().front()).queued_ps + timeout_ps_;
    if (waiting >= batch.max_sequences() || now_ps >= due_ps)
      return std::min(waiting, batch.max_sequences());
    plan.wake_ps = due_ps;
    return 0;
  }
  std::int64_t timeout_ps_;
};

// The bucket of the oldest runs next: little padding, at the price of order.
class LengthBucketed final : public RequestLevel {
 public:
  using RequestLevel::RequestLevel;

 private:
  static int bucket_of(const Sequence& sequence) {
    return static_cast<int>(std::bit_width(static_cast<std::uint32_t>(sequence.input)));
  }
  std::int32_t form(const Batch& batch, std::int64_t, StepPlan&) override {
    bucket_ = bucket_of(batch.sequence(batch.waiting().front()));
    std::int32_t members = 0;
    for (const Slot slot : batch.waiting()) members += bucket_of(batch.sequence(slot)) == bucket_;
    return std::min(batch.max_sequences(), members);
  }
  Slot next(const Batch& batch) override {
    return *std::find_if(batch.waiting().begin(), batch.waiting().end(),
                         [&](Slot slot) { return bucket_of(batch.sequence(slot)) == bucket_; });
  }
  int bucket_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_request_level(const BatchingSpec& batching, const Budget& budget) {
  switch (batching.policy) {
    case BatchingPolicy::dynamic_batching:
      return std::make_unique<Dynamic>(budget, batching.timeout.ps());
    case BatchingPolicy::length_bucketed:
      return std::make_unique<LengthBucketed>(budget);
    default:
      return std::make_unique<RequestLevel>(budget);
  }
}

}  // namespace foretoken::models::serving
