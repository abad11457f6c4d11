// The engine against queueing theory. Estimates come with a 99.9 % confidence interval over 40
// batches (Student, 39 degrees of freedom: 3.558 standard errors); the theory must lie inside, and
// the interval must be narrower than a tenth of the value, so that the test can fail.
#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <functional>
#include <numeric>
#include <vector>

#include "sim/core/random.hpp"
#include "sim/engine/simulation.hpp"

using namespace foretoken::sim::engine;
using foretoken::sim::core::Random;

namespace {

constexpr double kUnitPs = 1e9;  // one unit of time in picoseconds
constexpr int kBatches = 40;

Duration units(double u) { return Duration::from_seconds(u * kUnitPs * 1e-12); }
double in_units(Duration d) { return d.seconds() / (kUnitPs * 1e-12); }

// The area under the number in a system, in customers times units.
class Area {
 public:
  void add(Time now, int change) {
    area_ += number_ * in_units(now - last_);
    last_ = now;
    number_ += change;
  }
  double to(Time end) const { return area_ + number_ * in_units(end - last_); }
  int number() const { return number_; }

 private:
  double area_ = 0.0;
  int number_ = 0;
  Time last_;
};

using Service = std::function<double(Random&)>;

// `servers` servers and one queue, first come first served.
class Station final : public Process {
 public:
  enum Kind : std::uint32_t { kArrive, kDone };

  Station(std::uint32_t id, int servers, Service service)
      : random_(2024, id, 1), idle_(servers), service_(std::move(service)) {}

  // Where a customer goes after its service; nothing: it leaves the system.
  std::function<void(Context&)> leave;

  void handle(Context& context, const Event& event) override {
    if (event.kind == kArrive) {
      ++arrived;
      in_system.add(context.now(), 1);
      queue_.push_back(context.now());
    } else {
      const Time arrival = event.payload.as<Time>();
      sojourn_sum += in_units(context.now() - arrival);
      ++served;
      ++idle_;
      in_system.add(context.now(), -1);
      if (leave) leave(context);
    }
    while (idle_ > 0 && !queue_.empty()) begin(context);
  }

  std::vector<double> waits;
  double sojourn_sum = 0.0;
  std::uint64_t arrived = 0;
  std::uint64_t served = 0;
  Area in_system;

 private:
  void begin(Context& context) {
    --idle_;
    waits.push_back(in_units(context.now() - queue_.front()));
    context.schedule(units(service_(random_)), kDone, Payload(queue_.front()));
    queue_.pop_front();
  }

  Random random_;
  int idle_;
  Service service_;
  std::deque<Time> queue_;
};

class Poisson final : public Process {
 public:
  Poisson(double rate, std::uint64_t customers) : rate_(rate), left_(customers) {}
  ChannelId out;
  void start(Context& context) override { next(context); }
  void handle(Context& context, const Event&) override {
    context.send(out, Duration(), Station::kArrive);
    if (--left_ > 0) next(context);
  }

 private:
  void next(Context& context) { context.schedule(units(random_.exponential(1.0 / rate_)), 0); }
  Random random_{2024, 0, 0};
  double rate_;
  std::uint64_t left_;
};

struct Estimate {
  double mean = 0.0;
  double half_width = 0.0;
};

Estimate batch_means(const std::vector<double>& values) {
  const std::size_t size = values.size() / kBatches;
  std::vector<double> means;
  for (std::size_t b = 0; b < kBatches; ++b) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(b * size);
    const double sum = std::accumulate(first, first + static_cast<std::ptrdiff_t>(size), 0.0);
    means.push_back(sum / static_cast<double>(size));
  }
  const double mean = std::accumulate(means.begin(), means.end(), 0.0) / kBatches;
  double squares = 0.0;
  for (const double m : means) squares += (m - mean) * (m - mean);
  return {mean, 3.558 * std::sqrt(squares / (kBatches - 1) / kBatches)};
}

void check(const Estimate& estimate, double theory) {
  INFO("estimate " << estimate.mean << " +- " << estimate.half_width << ", theory " << theory);
  CHECK(std::abs(estimate.mean - theory) <= estimate.half_width);
  CHECK(estimate.half_width < 0.1 * theory);
}

struct OpenQueue {
  Simulation simulation;
  Station* station = nullptr;
  RunReport report;
};

OpenQueue run_open(double rate, int servers, Service service, std::uint64_t customers = 600'000) {
  OpenQueue q;
  const auto partition = q.simulation.add_partition();
  auto source = std::make_unique<Poisson>(rate, customers);
  auto station = std::make_unique<Station>(1, servers, std::move(service));
  Poisson& poisson = *source;
  q.station = station.get();
  const auto from = q.simulation.add_process(std::move(source), partition);
  const auto to = q.simulation.add_process(std::move(station), partition);
  poisson.out = q.simulation.connect(from, to, Duration());
  q.report = q.simulation.run({});
  return q;
}

Estimate waiting(const OpenQueue& q) {
  // The first tenth is warm-up.
  const auto& w = q.station->waits;
  return batch_means({w.begin() + static_cast<std::ptrdiff_t>(w.size() / 10), w.end()});
}

}  // namespace

TEST_CASE("M/M/1 waiting time") {
  // Wq = rho / (mu - lambda) = 0.7 / 0.3 = 2.3333.
  check(waiting(run_open(0.7, 1, [](Random& r) { return r.exponential(1.0); })), 0.7 / 0.3);
}

TEST_CASE("M/M/3 waiting time") {
  // a = 2.4, rho = 0.8. Erlang C: terms 1 + 2.4 + 2.88 = 6.28 and 2.304 / 0.2 = 11.52, so
  // C = 11.52 / 17.8 = 0.647191; Wq = C / (3 - 2.4) = 1.078652.
  check(waiting(run_open(2.4, 3, [](Random& r) { return r.exponential(1.0); })), 1.078652);
}

TEST_CASE("M/D/1 waiting time") {
  // Wq = rho / (2 mu (1 - rho)) = 0.7 / 0.6 = 1.16667.
  check(waiting(run_open(0.7, 1, [](Random&) { return 1.0; })), 0.7 / 0.6);
}

TEST_CASE("M/G/1 waiting time, Pollaczek and Khinchine") {
  // Gamma of shape 0.5 and mean 1: E[S^2] = 1 + 2 = 3; Wq = 0.6 * 3 / (2 * 0.4) = 2.25.
  check(waiting(run_open(0.6, 1, [](Random& r) { return r.gamma(0.5, 2.0); })), 2.25);
  // Lognormal of sigma 0.8 and mean 1 (mu = -0.32): E[S^2] = e^0.64 = 1.896481;
  // Wq = 0.6 * 1.896481 / 0.8 = 1.422361.
  check(waiting(run_open(0.6, 1, [](Random& r) { return r.lognormal(-0.32, 0.8); })), 1.422361);
}

TEST_CASE("Little's law holds on every path") {
  // With the system empty at both ends, the area under the number in it is the sum of sojourns.
  for (const int servers : {1, 3}) {
    const OpenQueue q = run_open(
        0.8 * servers, servers, [](Random& r) { return r.exponential(1.0); }, 50'000);
    const Station& s = *q.station;
    CHECK(s.arrived == 50'000);
    CHECK(s.served == 50'000);
    CHECK(s.in_system.number() == 0);
    const double area = s.in_system.to(q.report.end);
    CHECK(area == Approx(s.sojourn_sum).epsilon(1e-9));
  }
}

namespace {

// Mean value analysis of a closed network with single servers (Reiser and Lavenberg 1980).
struct ClosedResult {
  double throughput;
  std::vector<double> lengths;
};
ClosedResult mean_value_analysis(const std::vector<double>& demands, int customers) {
  ClosedResult r{0.0, std::vector<double>(demands.size(), 0.0)};
  for (int n = 1; n <= customers; ++n) {
    std::vector<double> residence;
    for (std::size_t i = 0; i < demands.size(); ++i) {
      residence.push_back(demands[i] * (1.0 + r.lengths[i]));
    }
    r.throughput = n / std::accumulate(residence.begin(), residence.end(), 0.0);
    for (std::size_t i = 0; i < demands.size(); ++i) r.lengths[i] = r.throughput * residence[i];
  }
  return r;
}

}  // namespace

TEST_CASE("closed Jackson network") {
  // Rates 1, 1.5 and 0.8; from station 0 to 1 with 0.6, to 2 with 0.4, and back: demands 1, 0.4
  // and 0.5. By hand for two customers: Q(1) = (1, .4, .5) / 1.9; residences 1.526316, .484211,
  // .631579, sum 2.642105; throughput 2 / 2.642105 = 0.756972.
  const std::vector<double> demands{1.0, 0.4, 0.5};
  CHECK(mean_value_analysis(demands, 2).throughput == Approx(0.756972).epsilon(1e-6));

  const int customers = 6;
  const ClosedResult theory = mean_value_analysis(demands, customers);
  const double rates[] = {1.0, 1.5, 0.8};
  Simulation simulation;
  const auto partition = simulation.add_partition();
  std::vector<Station*> stations;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const double mean = 1.0 / rates[i];
    auto station =
        std::make_unique<Station>(i, 1, [mean](Random& r) { return r.exponential(mean); });
    stations.push_back(station.get());
    simulation.add_process(std::move(station), partition);
  }
  class Feeder final : public Process {
   public:
    int count = 0;
    ChannelId out;
    void start(Context& c) override {
      for (int i = 0; i < count; ++i) c.send(out, Duration(), Station::kArrive);
    }
    void handle(Context&, const Event&) override {}
  };
  auto feeder = std::make_unique<Feeder>();
  Feeder& feed = *feeder;
  feed.count = customers;
  simulation.add_process(std::move(feeder), partition);
  feed.out = simulation.connect(EntityId{3}, EntityId{0}, Duration());
  const auto to1 = simulation.connect(EntityId{0}, EntityId{1}, Duration());
  const auto to2 = simulation.connect(EntityId{0}, EntityId{2}, Duration());
  Random routing(2024, 0, 2);
  stations[0]->leave = [&](Context& c) {
    c.send(routing.chance(0.6) ? to1 : to2, Duration(), Station::kArrive);
  };
  for (std::uint32_t i = 1; i < 3; ++i) {
    const auto back = simulation.connect(EntityId{i}, EntityId{0}, Duration());
    stations[i]->leave = [back](Context& c) { c.send(back, Duration(), Station::kArrive); };
  }

  // Batches of equal simulated time; the first is warm-up.
  constexpr double kBatch = 5000.0;
  std::vector<double> throughput;
  std::vector<std::vector<double>> lengths(3);
  std::uint64_t served = 0;
  std::vector<double> areas(3, 0.0);
  for (int b = 0; b <= kBatches; ++b) {
    RunOptions options;
    options.until = Time::zero() + units(kBatch * (b + 1));
    simulation.run(options);
    const double served_now = static_cast<double>(stations[0]->served - served);
    served = stations[0]->served;
    if (b > 0) throughput.push_back(served_now / kBatch);
    for (std::size_t i = 0; i < 3; ++i) {
      const double area = stations[i]->in_system.to(options.until);
      if (b > 0) lengths[i].push_back((area - areas[i]) / kBatch);
      areas[i] = area;
    }
  }
  check(batch_means(throughput), theory.throughput);
  for (std::size_t i = 0; i < 3; ++i) check(batch_means(lengths[i]), theory.lengths[i]);
}
