#include "models/serving/policy_plugin.hpp"

#include "models/serving/policy_parts.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

// What plan() of a library sees and may do. Everything it asks for is checked here. Nothing is
// deleted through the interface, whose table of functions libraries rely on.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class EngineView final : public policy::Engine {
 public:
  EngineView(Batch& batch, std::int64_t now_ps, StepPlan& plan, const Budget& budget)
      : batch_(batch), now_ps_(now_ps), plan_(plan), budget_(budget), left_(budget.step) {}

  [[nodiscard]] std::int64_t now_ps() const override { return now_ps_; }
  [[nodiscard]] std::int64_t free_blocks() const override {
    return batch_.free_blocks() - (plan_.decode ? batch_.decode_blocks() : 0);
  }
  [[nodiscard]] std::int32_t decode_blocks() const override { return batch_.decode_blocks(); }
  [[nodiscard]] std::int32_t tokens_left() const override { return left_; }
  std::size_t waiting(const policy::Id** ids) const override {
    queue_.assign(batch_.waiting().begin(), batch_.waiting().end());
    return list(queue_, ids);
  }
  std::size_t prefilling(const policy::Id** ids) const override {
    return list(batch_.prefilling(), ids);
  }
  std::size_t decoding(const policy::Id** ids) const override {
    return list(batch_.decoding(), ids);
  }
  [[nodiscard]] policy::Request request(policy::Id id) const override {
    const Sequence& s = known(id);
    policy::Request r;
    r.number = s.request;
    r.tenant = s.tenant;
    r.priority = s.priority;
    r.input = s.input;
    r.output = s.output;
    r.generated = batch_.generated_tokens(id);
    r.cached = batch_.cached_tokens(id);
    r.to_process = s.state == SequenceState::decoding ? 0 : prompt_left(s);
    r.preemptions = s.preemptions;
    r.state = s.state == SequenceState::waiting      ? policy::State::waiting
              : s.state == SequenceState::prefilling ? policy::State::prefilling
                                                     : policy::State::decoding;
    r.arrival_ps = s.arrival_ps;
    r.deadline_ps = s.deadline_ps;
    return r;
  }

  bool decode() override {
    const auto tokens = static_cast<std::int32_t>(batch_.decoding().size());
    if (plan_.decode || tokens == 0 || tokens > left_ ||
        batch_.decode_blocks() > batch_.free_blocks())
      return false;
    plan_.decode = true;
    left_ -= tokens;
    return true;
  }

  bool prefill(policy::Id id, std::int32_t tokens) override {
    const Sequence& s = known(id);
    const std::int64_t kept = plan_.decode ? batch_.decode_blocks() : 0;
    if (tokens <= 0 || tokens > std::min({left_, budget_.chunk, prompt_left(s)}) || planned(id))
      return false;
    if (s.state == SequenceState::prefilling) {
      if (!batch_.extend(id, tokens, kept)) return false;
      plan_.chunks.push_back({id, tokens});
    } else {
      if (s.state != SequenceState::waiting || !batch_.can_admit(id, tokens, kept)) return false;
      take(batch_, id, tokens, now_ps_, plan_);
    }
    left_ -= tokens;
    return true;
  }

  bool preempt(policy::Id id) override {
    const Sequence& s = known(id);
    const bool decodes = s.state == SequenceState::decoding;
    if (planned(id) || (decodes && plan_.decode) ||
        (!decodes && s.state != SequenceState::prefilling))
      return false;
    plan_.swapped_blocks += batch_.preempt(id, 0.0);
    return true;
  }

  void wake_at(std::int64_t time_ps) override { plan_.wake_ps = std::max(time_ps, now_ps_ + 1); }

 private:
  template <class List>
  static std::size_t list(const List& slots, const policy::Id** ids) {
    *ids = slots.data();
    return slots.size();
  }
  [[nodiscard]] const Sequence& known(policy::Id id) const {
    if (!batch_.holds(id))
      throw sim::core::InputError("the policy library asks for request " + std::to_string(id) +
                                  ", which is not in the engine");
    return batch_.sequence(id);
  }
  [[nodiscard]] bool planned(policy::Id id) const {
    return std::any_of(plan_.chunks.begin(), plan_.chunks.end(),
                       [id](const PlannedChunk& c) { return c.slot == id; });
  }

  Batch& batch_;
  std::int64_t now_ps_;
  StepPlan& plan_;
  Budget budget_;
  std::int32_t left_;
  mutable std::vector<policy::Id> queue_;
};

class PluginScheduler final : public Scheduler {
 public:
  PluginScheduler(const Budget& budget, PolicyPlugin::Create create, PolicyPlugin::Destroy destroy,
                  std::shared_ptr<void> library)
      : budget_(budget), create_(create), library_(std::move(library)), policy_(nullptr, destroy) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    EngineView view(batch, now_ps, plan, budget_);
    policy_of(batch).plan(view);
  }
  void arrived(const Batch& batch, Slot slot) override {
    StepPlan nothing;
    const EngineView view(const_cast<Batch&>(batch), -1, nothing, budget_);  // read through const
    policy_of(batch).arrived(view, slot);
  }
  void finished(const Batch& batch, Slot slot) override {
    StepPlan nothing;
    const EngineView view(const_cast<Batch&>(batch), -1, nothing, budget_);
    policy_of(batch).finished(view, slot);
  }

 private:
  policy::Policy& policy_of(const Batch& batch) {
    if (!policy_) {
      const policy::Limits limits{budget_.step, budget_.chunk, batch.max_sequences(),
                                  batch.block_tokens(), batch.total_blocks()};
      policy_.reset(create_(&limits));
      if (!policy_) throw sim::core::InputError("the policy library made no policy");
    }
    return *policy_;
  }

  Budget budget_;
  PolicyPlugin::Create create_;
  std::shared_ptr<void> library_;  // outlives the policy
  std::unique_ptr<policy::Policy, PolicyPlugin::Destroy> policy_;
};

}  // namespace

std::unique_ptr<Scheduler> PolicyPlugin::make(const BatchingSpec& batching,
                                              std::int32_t ranks) const {
  return std::make_unique<PluginScheduler>(budget_of(batching, ranks), create_, destroy_, library_);
}

}  // namespace foretoken::models::serving
