#include "models/serving/router.hpp"

#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

class RoundRobin final : public Router {
 public:
  explicit RoundRobin(std::uint32_t replicas) : replicas_(replicas) {}
  std::uint32_t route() override {
    const std::uint32_t chosen = next_;
    next_ = next_ + 1 == replicas_ ? 0 : next_ + 1;
    return chosen;
  }
  [[nodiscard]] bool needs_feedback() const override { return false; }

 private:
  std::uint32_t replicas_, next_ = 0;
};

// Fewest requests sent and not yet known to be done; ties go to the lowest number. What it knows
// is one network hop old. A heap with positions: O(log replicas) a request.
class LeastRequests final : public Router {
 public:
  explicit LeastRequests(std::uint32_t replicas)
      : open_(replicas, 0), heap_(replicas), at_(replicas) {
    for (std::uint32_t i = 0; i < replicas; ++i) heap_[i] = at_[i] = i;
  }
  std::uint32_t route() override {
    const std::uint32_t chosen = heap_[0];
    ++open_[chosen];
    sink(0);
    return chosen;
  }
  void done(std::uint32_t replica) override {
    SIM_ASSERT(open_[replica] > 0, "more requests done than were sent");
    --open_[replica];
    rise(at_[replica]);
  }
  [[nodiscard]] bool needs_feedback() const override { return true; }

 private:
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
    return open_[a] != open_[b] ? open_[a] < open_[b] : a < b;
  }
  void swap(std::uint32_t i, std::uint32_t j) {
    std::swap(heap_[i], heap_[j]);
    at_[heap_[i]] = i;
    at_[heap_[j]] = j;
  }
  void rise(std::uint32_t i) {
    for (; i > 0 && before(heap_[i], heap_[(i - 1) / 2]); i = (i - 1) / 2) swap(i, (i - 1) / 2);
  }
  void sink(std::uint32_t i) {
    const auto size = static_cast<std::uint32_t>(heap_.size());
    while (true) {
      std::uint32_t best = i;
      for (const std::uint32_t child : {2 * i + 1, 2 * i + 2})
        if (child < size && before(heap_[child], heap_[best])) best = child;
      if (best == i) return;
      swap(i, best);
      i = best;
    }
  }
  std::vector<std::int64_t> open_;
  std::vector<std::uint32_t> heap_, at_;
};

}  // namespace

std::unique_ptr<Router> make_router(const std::string& name, std::uint32_t replicas) {
  if (name == "round_robin") return std::make_unique<RoundRobin>(replicas);
  if (name == "least_requests") return std::make_unique<LeastRequests>(replicas);
  throw sim::core::InputError("unknown router '" + name +
                              "': choose round_robin or least_requests");
}

}  // namespace foretoken::models::serving
