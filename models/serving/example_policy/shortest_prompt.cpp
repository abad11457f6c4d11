// An example of a policy of one's own: every step decodes, and what is left of the token budget
// goes to the shortest prompts. When blocks run out, the request with the most tokens gives way.
#include <algorithm>
#include <foretoken/policy.hpp>
#include <vector>

namespace {

using foretoken::policy::Engine;
using foretoken::policy::Id;
using foretoken::policy::Limits;

class ShortestPrompt final : public foretoken::policy::Policy {
 public:
  explicit ShortestPrompt(const Limits& limits) : limits_(limits) {}

  void plan(Engine& engine) override {
    bool preempted = false;
    while (!engine.decode()) {
      const Id* decoding = nullptr;
      const std::size_t count = engine.decoding(&decoding);
      if (count == 0) break;
      const auto fewer = [&](Id a, Id b) {
        return engine.request(a).cached < engine.request(b).cached;
      };
      engine.preempt(*std::max_element(decoding, decoding + count, fewer));
      preempted = true;
    }
    if (!preempted) prompts(engine);
  }

 private:
  void prompts(Engine& engine) {
    candidates_.clear();
    for (const auto list : {&Engine::prefilling, &Engine::waiting}) {
      const Id* ids = nullptr;
      const std::size_t count = (engine.*list)(&ids);
      candidates_.insert(candidates_.end(), ids, ids + count);
    }
    std::stable_sort(candidates_.begin(), candidates_.end(), [&](Id a, Id b) {
      return engine.request(a).to_process < engine.request(b).to_process;
    });
    for (const Id id : candidates_) {
      const std::int32_t tokens =
          std::min({engine.request(id).to_process, engine.tokens_left(), limits_.max_chunk});
      if (!engine.prefill(id, tokens)) break;
    }
  }

  Limits limits_;
  std::vector<Id> candidates_;
};

}  // namespace

FORETOKEN_POLICY(ShortestPrompt)
