#include "models/serving/router.hpp"

#include <algorithm>

#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {

Router::Router(std::uint32_t replicas) : open_(replicas), serving_(replicas), place_(replicas) {
  for (std::uint32_t i = 0; i < replicas; ++i) serving_[i] = place_[i] = i;
}

std::uint32_t Router::route(const RouteQuestion& question) {
  SIM_ASSERT(!serving_.empty(), "a request was to be routed although no replica is in service");
  const std::uint32_t chosen = choose(question);
  ++open_[chosen].requests;
  open_[chosen].tokens += question.tokens;
  ++all_open_;
  load_changed(chosen);
  return chosen;
}

void Router::done(std::uint32_t replica, std::int64_t tokens) {
  SIM_ASSERT(open_[replica].requests > 0, "more requests done than were sent");
  --open_[replica].requests;
  open_[replica].tokens -= tokens;
  --all_open_;
  load_changed(replica);
}

void Router::set_service(std::uint32_t replica, bool in_service) {
  if (this->in_service(replica) == in_service) return;
  if (in_service) {
    serving_.insert(std::lower_bound(serving_.begin(), serving_.end(), replica), replica);
  } else {
    serving_.erase(serving_.begin() + place_[replica]);
    place_[replica] = kOut;
  }
  for (std::uint32_t i = 0; i < serving_.size(); ++i) place_[serving_[i]] = i;
  service_changed();
}

namespace {

using sim::core::Random;

constexpr std::uint32_t kRoutePurpose = 0x524f5554;  // random streams of routers

// The same for every platform: the final mix of SplitMix64.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class RoundRobin final : public Router {
 public:
  using Router::Router;
  std::uint32_t choose(const RouteQuestion&) override {
    const std::uint32_t chosen = serving()[next_];
    next_ = next_ + 1 >= serving().size() ? 0 : next_ + 1;
    return chosen;
  }
  void service_changed() override {
    if (next_ >= serving().size()) next_ = 0;
  }
  [[nodiscard]] bool needs_feedback() const override { return false; }

 private:
  std::uint32_t next_ = 0;
};

class RandomReplica final : public Router {
 public:
  RandomReplica(std::uint32_t replicas, std::uint64_t seed) : Router(replicas), seed_(seed) {}
  std::uint32_t choose(const RouteQuestion& question) override {
    Random random(seed_, question.request, kRoutePurpose);
    return serving()[random.below(serving().size())];
  }
  [[nodiscard]] bool needs_feedback() const override { return false; }

 private:
  std::uint64_t seed_;
};

// Fewest requests; ties go to the lowest number. A heap with positions: O(log replicas) a request.
class LeastRequests final : public Router {
 public:
  explicit LeastRequests(std::uint32_t replicas) : Router(replicas), at_(replicas) {
    service_changed();
  }
  std::uint32_t choose(const RouteQuestion&) override { return heap_[0]; }
  void load_changed(std::uint32_t replica) override {
    if (!in_service(replica)) return;
    rise(at_[replica]);
    sink(at_[replica]);
  }
  void service_changed() override {
    heap_ = serving();
    for (std::uint32_t i = 0; i < heap_.size(); ++i) at_[heap_[i]] = i;
    for (auto i = static_cast<std::uint32_t>(heap_.size() / 2); i-- > 0;) sink(i);
  }
  [[nodiscard]] bool needs_feedback() const override { return true; }

 private:
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
    const std::int64_t x = load(a).requests, y = load(b).requests;
    return x != y ? x < y : a < b;
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
  std::vector<std::uint32_t> heap_, at_;
};

// What load-based routers see: a copy of the loads, made anew at the first question after each
// multiple of the age. Between two copies a router does not even know what it sent itself, which
// is what makes least-loaded routing herd.
class Viewer : public Router {
 public:
  Viewer(std::uint32_t replicas, const RouterSpec& spec)
      : Router(replicas), seed_(spec.seed), age_ps_(spec.load_age.ps()), seen_(replicas) {}
  [[nodiscard]] bool needs_feedback() const override { return true; }

 protected:
  void look(std::int64_t now_ps) {
    if (age_ps_ <= 0 || now_ps / age_ps_ == looked_) return;
    looked_ = now_ps / age_ps_;
    for (std::uint32_t i = 0; i < seen_.size(); ++i) seen_[i] = load(i);
  }
  [[nodiscard]] const Load& seen(std::uint32_t replica) const {
    return age_ps_ > 0 ? seen_[replica] : load(replica);
  }
  template <class Measure>
  [[nodiscard]] std::uint32_t least(const Measure& measure) const {
    std::uint32_t best = serving().front();
    for (const std::uint32_t replica : serving())
      if (measure(seen(replica)) < measure(seen(best))) best = replica;
    return best;
  }
  std::uint64_t seed_;

 private:
  std::int64_t age_ps_, looked_ = -1;
  std::vector<Load> seen_;
};

class StaleLeastRequests final : public Viewer {
 public:
  using Viewer::Viewer;
  std::uint32_t choose(const RouteQuestion& question) override {
    look(question.now_ps);
    return least([](const Load& l) { return l.requests; });
  }
};

class LeastTokens final : public Viewer {
 public:
  using Viewer::Viewer;
  std::uint32_t choose(const RouteQuestion& question) override {
    look(question.now_ps);
    return least([](const Load& l) { return l.tokens; });
  }
};

// The less loaded of two drawn at random (Mitzenmacher 2001).
class PowerOfTwo final : public Viewer {
 public:
  using Viewer::Viewer;
  std::uint32_t choose(const RouteQuestion& question) override {
    look(question.now_ps);
    const std::size_t n = serving().size();
    if (n == 1) return serving().front();
    Random random(seed_, question.request, kRoutePurpose);
    const std::size_t first = random.below(n);
    std::size_t second = random.below(n - 1);
    second += second >= first;
    const std::uint32_t a = serving()[first], b = serving()[second];
    return seen(b).requests < seen(a).requests ? b : a;
  }
};

// A session stays where it is (rendezvous hashing: when a replica leaves, only its own sessions
// move); requests of no session go to the least loaded.
class SessionAffinity : public Viewer {
 public:
  using Viewer::Viewer;
  std::uint32_t choose(const RouteQuestion& question) override {
    look(question.now_ps);
    if (question.session < 0) return least([](const Load& l) { return l.requests; });
    return home(question.session);
  }

 protected:
  [[nodiscard]] std::uint32_t home(std::int64_t session) const {
    const auto key = mix(seed_ ^ static_cast<std::uint64_t>(session));
    std::uint32_t best = serving().front();
    std::uint64_t most = 0;
    for (const std::uint32_t replica : serving()) {
      const std::uint64_t score = mix(key + 0x9e3779b97f4a7c15ULL * (replica + 1));
      if (score >= most) {
        most = score;
        best = replica;
      }
    }
    return best;
  }
};

// SGLang's cache-aware routing: where the prefix lies, unless that replica is much busier than the
// least busy one (more than 32 requests and 1.1 times apart, its defaults balance_abs_threshold and
// balance_rel_threshold), then to the least busy.
class PrefixAware final : public SessionAffinity {
 public:
  using SessionAffinity::SessionAffinity;
  std::uint32_t choose(const RouteQuestion& question) override {
    constexpr std::int64_t kApart = 32;
    constexpr double kTimes = 1.1;
    look(question.now_ps);
    const std::uint32_t idle = least([](const Load& l) { return l.requests; });
    if (question.session < 0) return idle;
    const std::uint32_t at = home(question.session);
    const std::int64_t busy = seen(at).requests, free = seen(idle).requests;
    const bool apart =
        busy - free > kApart && static_cast<double>(busy) > kTimes * static_cast<double>(free);
    return apart ? idle : at;
  }
};

}  // namespace

const std::vector<RouterInfo>& router_policies() {
  static const std::vector<RouterInfo> kPolicies = {
      {"round_robin", "one after the other"},
      {"random", "any, all equally likely"},
      {"power_of_two", "the less loaded of two drawn at random"},
      {"least_requests", "fewest requests sent and not yet answered"},
      {"least_tokens", "fewest tokens of such requests"},
      {"session_affinity", "a conversation stays on its replica, others go to the least loaded"},
      {"prefix_aware", "the same, unless that replica is much busier than another"}};
  return kPolicies;
}

std::unique_ptr<Router> make_router(const RouterSpec& spec, std::uint32_t replicas) {
  const std::string& name = spec.policy;
  if (name == "round_robin") return std::make_unique<RoundRobin>(replicas);
  if (name == "random") return std::make_unique<RandomReplica>(replicas, spec.seed);
  if (name == "power_of_two") return std::make_unique<PowerOfTwo>(replicas, spec);
  if (name == "least_requests" && spec.load_age > sim::core::Duration())
    return std::make_unique<StaleLeastRequests>(replicas, spec);
  if (name == "least_requests") return std::make_unique<LeastRequests>(replicas);
  if (name == "least_tokens") return std::make_unique<LeastTokens>(replicas, spec);
  if (name == "session_affinity") return std::make_unique<SessionAffinity>(replicas, spec);
  if (name == "prefix_aware") return std::make_unique<PrefixAware>(replicas, spec);
  std::string known;
  for (const RouterInfo& policy : router_policies())
    known += (known.empty() ? "" : ", ") + std::string(policy.name);
  throw sim::core::InputError("unknown router '" + name + "': choose one of " + known);
}

}  // namespace foretoken::models::serving
