// Requests of a client pool: every client is a renewal process whose clock follows its rate by
// window; the processes are merged as they go, so that nothing but the clients is kept.
#include <algorithm>
#include <cmath>
#include <optional>

#include "models/serving/arrivals.hpp"
#include "models/serving/client_pool.hpp"
#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Discrete;
using sim::core::Duration;
using sim::core::Random;

// Purposes of the random streams of one client; requests of other arrivals use small numbers.
constexpr std::uint32_t kGap = 32, kInput = 33, kOutput = 34;
constexpr double kLastSecond = 9e6;  // simulated time reaches 106 days

// Lengths by window: those of the latest start that has any, else of the first that has.
class Lengther {
 public:
  Lengther(const std::vector<ClientPool::Lengths>& windows, Random random) : random_(random) {
    for (const auto& window : windows) {
      if (window.tokens.empty()) continue;
      windows_.push_back({window.start_s, &window.tokens, Discrete(window.weights)});
    }
  }
  std::int32_t draw(double day_s) {
    std::size_t at = 0;
    while (at + 1 < windows_.size() && windows_[at + 1].start_s <= day_s) ++at;
    return (*windows_[at].tokens)[windows_[at].index(random_)];
  }
  [[nodiscard]] bool any() const { return !windows_.empty(); }

 private:
  struct Window {
    double start_s;
    const std::vector<std::int32_t>* tokens;
    Discrete index;
  };
  std::vector<Window> windows_;
  Random random_;
};

class ClientStream {
 public:
  ClientStream(const ClientPool& pool, const ClientPool::Client& client, double rate_scale,
               double from_s, std::uint64_t seed)
      : client_(client),
        span_s_(pool.span_s),
        rate_scale_(rate_scale),
        gaps_(stream(seed, client, kGap)),
        input_(client.input, stream(seed, client, kInput)),
        output_(client.output, stream(seed, client, kOutput)) {
    double requests = 0.0;
    for (const auto& window : client.windows) requests += window.requests_per_s;
    silent_ = requests <= 0.0 || !input_.any() || !output_.any();
    seek(from_s);
    from_s_ = from_s;
  }

  // Seconds after `from_s` of the client's next request; nothing if there will be none in time.
  std::optional<double> advance() {
    if (silent_) return std::nullopt;
    double left = unit_gap();
    while (true) {
      const auto& window = client_.windows[at_];
      const double rate = window.requests_per_s * rate_scale_;
      const double end_s = window_end(at_);
      const double room = rate * (end_s - day_s_);
      if (left < room) {
        day_s_ += left / rate;
        return day_s_ + day_start_s_ - from_s_;
      }
      left -= room;
      day_s_ = end_s;
      if (++at_ == client_.windows.size()) {
        at_ = 0;
        day_s_ = 0.0;
        day_start_s_ += span_s_;
      }
      if (day_s_ + day_start_s_ - from_s_ > kLastSecond) return std::nullopt;
    }
  }
  TraceRequest request(double at_s) {
    TraceRequest request;
    request.arrival_ps = Duration::from_seconds(at_s).ps();
    request.input_tokens = input_.draw(day_s_);
    request.output_tokens = output_.draw(day_s_);
    request.tenant = client_.number;
    return request;
  }
  [[nodiscard]] std::int32_t number() const { return client_.number; }

 private:
  static Random stream(std::uint64_t seed, const ClientPool::Client& client,
                       std::uint32_t purpose) {
    return {seed, static_cast<std::uint32_t>(client.number), purpose};
  }
  [[nodiscard]] double window_end(std::size_t i) const {
    return i + 1 < client_.windows.size() ? client_.windows[i + 1].start_s : span_s_;
  }
  void seek(double from_s) {
    const double days = std::floor(from_s / span_s_);
    day_start_s_ = days * span_s_;
    day_s_ = from_s - day_start_s_;
    while (at_ + 1 < client_.windows.size() && client_.windows[at_ + 1].start_s <= day_s_) ++at_;
  }
  // Of mean 1 and the window's shape.
  double unit_gap() {
    const auto& window = client_.windows[at_];
    const double k = window.shape;
    return window.weibull ? gaps_.weibull(k, 1.0 / std::tgamma(1.0 + 1.0 / k))
                          : gaps_.gamma(k, 1.0 / k);
  }

  const ClientPool::Client& client_;
  double span_s_, rate_scale_;
  Random gaps_;
  Lengther input_, output_;
  bool silent_ = false;
  std::size_t at_ = 0;
  double day_s_ = 0.0, day_start_s_ = 0.0, from_s_ = 0.0;
};

class PoolSource final : public OpenArrivals {
 public:
  PoolSource(const PoolArrivals& arrivals, const WorkloadSpec& workload, std::uint64_t seed)
      : pool_(arrivals.pool), limit_(workload.requests) {
    if (workload.duration) until_ps_ = workload.duration->ps();
    clients_.reserve(pool_->clients.size());
    for (const auto& client : pool_->clients) {
      clients_.emplace_back(*pool_, client, arrivals.rate_scale, arrivals.from_s, seed);
      push(static_cast<std::uint32_t>(clients_.size() - 1));
    }
  }
  std::optional<TraceRequest> next() override {
    if (heap_.empty() || (limit_ && number_ >= *limit_)) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Due due = heap_.back();
    heap_.pop_back();
    const TraceRequest request = clients_[due.client].request(due.at_s);
    if (request.arrival_ps >= until_ps_) return std::nullopt;
    push(due.client);
    ++number_;
    return request;
  }

 private:
  struct Due {
    double at_s;
    std::uint32_t client;
  };
  static bool later(const Due& a, const Due& b) {
    return a.at_s != b.at_s ? a.at_s > b.at_s : a.client > b.client;
  }
  void push(std::uint32_t client) {
    const auto at_s = clients_[client].advance();
    if (!at_s) return;
    heap_.push_back({*at_s, client});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::shared_ptr<const ClientPool> pool_;
  std::optional<std::int64_t> limit_;
  std::vector<ClientStream> clients_;
  std::vector<Due> heap_;
  std::int64_t number_ = 0, until_ps_ = INT64_MAX;
};

}  // namespace

std::unique_ptr<OpenArrivals> make_pool_arrivals(const PoolArrivals& arrivals,
                                                 const WorkloadSpec& workload, std::uint64_t seed) {
  return std::make_unique<PoolSource>(arrivals, workload, seed);
}

double mean_rate(const ClientPool& pool) {
  double requests = 0.0;
  for (const auto& client : pool.clients)
    for (std::size_t i = 0; i < client.windows.size(); ++i) {
      const auto& window = client.windows[i];
      const double end_s =
          i + 1 < client.windows.size() ? client.windows[i + 1].start_s : pool.span_s;
      requests += window.requests_per_s * (end_s - window.start_s);
    }
  return pool.span_s > 0 ? requests / pool.span_s : 0.0;
}

std::int64_t longest_request(const ClientPool& pool) {
  std::int64_t longest = 0;
  for (const auto& client : pool.clients) {
    std::int64_t sum = 0;
    for (const auto* side : {&client.input, &client.output}) {
      std::int32_t most = 0;
      for (const auto& window : *side)
        for (const std::int32_t tokens : window.tokens) most = std::max(most, tokens);
      sum += most;
    }
    longest = std::max(longest, sum);
  }
  return longest;
}

}  // namespace foretoken::models::serving
