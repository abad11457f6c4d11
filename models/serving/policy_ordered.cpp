// Chunked prefill with the queue in another order than that of arrival.
#include <cmath>
#include <limits>
#include <map>

#include "models/serving/policy_parts.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

// Fewest output tokens first. Whether they are known is a question of `error`: 0 is an oracle.
class ShortestJob final : public ChunkedPrefill {
 public:
  ShortestJob(const Budget& budget, double error, std::uint64_t seed)
      : ChunkedPrefill(budget), error_(error), seed_(seed) {}
  [[nodiscard]] double rank(const Sequence& sequence) const override {
    return predicted_output(sequence, error_, seed_);
  }

 private:
  double error_;
  std::uint64_t seed_;
};

double deadline_of(const Sequence& sequence) {
  return sequence.deadline_ps < 0 ? std::numeric_limits<double>::infinity()
                                  : static_cast<double>(sequence.deadline_ps);
}

// Earliest deadline first; with a time a token, the latest moment to start: deadline less the
// predicted time of the output. What all have in common (now) does not change the order.
class Deadline final : public ChunkedPrefill {
 public:
  Deadline(const Budget& budget, double token_ps, double error, std::uint64_t seed)
      : ChunkedPrefill(budget), token_ps_(token_ps), error_(error), seed_(seed) {}
  [[nodiscard]] double rank(const Sequence& sequence) const override {
    const double deadline = deadline_of(sequence);
    if (token_ps_ <= 0.0 || std::isinf(deadline)) return deadline;
    return deadline - token_ps_ * predicted_output(sequence, error_, seed_);
  }

 private:
  double token_ps_, error_;
  std::uint64_t seed_;
};

// vLLM's --scheduling-policy priority: lower values first; who runs gives way to a lower value.
class Priority final : public ChunkedPrefill {
 public:
  using ChunkedPrefill::ChunkedPrefill;
  [[nodiscard]] double rank(const Sequence& sequence) const override { return sequence.priority; }

 private:
  [[nodiscard]] bool preempts() const override { return true; }
};

// Multi-level feedback queue as in FastServe (Wu et al., 2023): the level follows from the tokens
// served so far, prompt included, so a long prompt starts below (skip-join). Level i ends at
// quantum x (2^(i+1) - 1) tokens; the last has no end.
class MultilevelFeedback final : public ChunkedPrefill {
 public:
  MultilevelFeedback(const Budget& budget, int quantum, int levels)
      : ChunkedPrefill(budget), quantum_(quantum), levels_(levels) {}
  [[nodiscard]] double rank(const Sequence& sequence) const override {
    return level(sequence.input);
  }

 private:
  [[nodiscard]] double level(std::int64_t served) const {
    int at = 0;
    for (double end = quantum_; at + 1 < levels_ && static_cast<double>(served) > end; ++at)
      end += quantum_ * std::exp2(at + 1);
    return at;
  }
  void begin(Batch& batch) override {
    if (batch.waiting().empty()) return;
    for (const auto* list : {&batch.prefilling(), &batch.decoding()})
      for (const Slot slot : *list)
        batch.set_rank(
            slot, level(std::int64_t{batch.sequence(slot).input} + batch.generated_tokens(slot)));
  }
  [[nodiscard]] bool preempts() const override { return true; }
  [[nodiscard]] bool order_is_fixed() const override { return false; }

  double quantum_;
  int levels_;
};

// Virtual token counter (Sheng et al., Fairness in Serving Large Language Models, OSDI 2024,
// algorithm 2): each tenant's counter grows with the tokens it was served; the waiting tenant with
// the lowest is next. A tenant that comes back from idling starts no lower than who is waiting.
class Fair final : public ChunkedPrefill {
 public:
  Fair(const Budget& budget, double prompt_weight, double output_weight)
      : ChunkedPrefill(budget), prompt_weight_(prompt_weight), output_weight_(output_weight) {}

  void arrived(const Batch& batch, Slot slot) override {
    charge_decodes(batch);
    recount(batch);
    Tenant& tenant = tenants_[batch.sequence(slot).tenant];
    if (tenant.waiting == 1) {  // it alone: the tenant comes back
      tenant.waiting = 0;
      const auto first = first_served();
      if (first) tenant.counter = std::max(tenant.counter, tenants_[*first].counter);
      tenant.waiting = 1;
    }
    if (slot >= charged_.size()) charged_.resize(slot + 1, 0);
    charged_[slot] = 0;
  }
  void finished(const Batch& batch, Slot slot) override { charge(batch, slot); }

 private:
  struct Tenant {
    double counter = 0.0;
    std::int32_t waiting = 0;
  };

  void begin(Batch& batch) override {
    if (batch.waiting().empty()) return;
    charge_decodes(batch);
    recount(batch);
  }
  [[nodiscard]] Slot next(const Batch& batch) override {
    const std::int32_t tenant = first_served().value();
    return *std::find_if(batch.waiting().begin(), batch.waiting().end(),
                         [&](Slot slot) { return batch.sequence(slot).tenant == tenant; });
  }
  void admitted(const Batch& batch, Slot slot) override {
    const Sequence& sequence = batch.sequence(slot);
    Tenant& tenant = tenants_[sequence.tenant];
    --tenant.waiting;
    --queued_;
    if (sequence.preemptions == 0) tenant.counter += prompt_weight_ * sequence.input;
  }
  [[nodiscard]] bool order_is_fixed() const override { return false; }

  // The waiting tenant with the lowest counter, of equals the one with the lowest number.
  [[nodiscard]] std::optional<std::int32_t> first_served() const {
    std::optional<std::int32_t> first;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [name, tenant] : tenants_)
      if (tenant.waiting > 0 && tenant.counter < least) {
        first = name;
        least = tenant.counter;
      }
    return first;
  }
  // Arrivals add one; a preemption changes the queue behind our back.
  void recount(const Batch& batch) {
    if (batch.waiting().size() == queued_ + 1 && batch.preemptions() == preemptions_) {
      ++tenants_[batch.sequence(batch.waiting().back()).tenant].waiting;
    } else if (batch.waiting().size() != queued_ || batch.preemptions() != preemptions_) {
      for (auto& [name, tenant] : tenants_) tenant.waiting = 0;
      for (const Slot slot : batch.waiting()) ++tenants_[batch.sequence(slot).tenant].waiting;
    }
    queued_ = batch.waiting().size();
    preemptions_ = batch.preemptions();
  }
  void charge_decodes(const Batch& batch) {
    for (const Slot slot : batch.decoding()) charge(batch, slot);
  }
  void charge(const Batch& batch, Slot slot) {
    const std::int32_t generated = batch.generated_tokens(slot);
    tenants_[batch.sequence(slot).tenant].counter += output_weight_ * (generated - charged_[slot]);
    charged_[slot] = generated;
  }

  double prompt_weight_, output_weight_;
  std::map<std::int32_t, Tenant> tenants_;
  std::size_t queued_ = 0;
  std::int64_t preemptions_ = 0;
  std::vector<std::int32_t> charged_;  // generated tokens accounted for, by slot
};

}  // namespace

std::unique_ptr<Scheduler> make_ordered(const BatchingSpec& batching, const Budget& budget,
                                        std::uint64_t seed) {
  switch (batching.policy) {
    case BatchingPolicy::shortest_job_first:
      return std::make_unique<ShortestJob>(budget, batching.length_error, seed);
    case BatchingPolicy::earliest_deadline:
      return std::make_unique<Deadline>(budget, 0.0, 0.0, seed);
    case BatchingPolicy::least_slack:
      return std::make_unique<Deadline>(budget, static_cast<double>(batching.token_time.ps()),
                                        batching.length_error, seed);
    case BatchingPolicy::priority:
      return std::make_unique<Priority>(budget);
    case BatchingPolicy::multilevel_feedback:
      return std::make_unique<MultilevelFeedback>(budget, batching.quantum_tokens, batching.levels);
    case BatchingPolicy::fair:
      return std::make_unique<Fair>(budget, batching.prompt_weight, batching.output_weight);
    default:
      SIM_ASSERT(false, "not an ordered policy");
  }
}

}  // namespace foretoken::models::serving
