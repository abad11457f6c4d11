#include "sim/engine/simulation.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/error.hpp"

using namespace foretoken::sim::engine;
using Catch::Matchers::Contains;
using foretoken::sim::core::InputError;

namespace {

constexpr Duration ps(std::int64_t n) { return Duration::picoseconds(n); }

// A process made of two functions, so that a test reads in one place.
class Scripted final : public Process {
 public:
  using Start = std::function<void(Context&)>;
  using Handle = std::function<void(Context&, const Event&)>;
  Scripted(Start start, Handle handle, bool stops = false)
      : start_(std::move(start)), handle_(std::move(handle)), stops_(stops) {}
  void start(Context& context) override {
    if (start_) start_(context);
  }
  void handle(Context& context, const Event& event) override {
    if (handle_) handle_(context, event);
  }
  bool may_stop() const override { return stops_; }

 private:
  Start start_;
  Handle handle_;
  bool stops_;
};

std::unique_ptr<Process> scripted(Scripted::Start start, Scripted::Handle handle = {},
                                  bool stops = false) {
  return std::make_unique<Scripted>(std::move(start), std::move(handle), stops);
}

struct Seen {
  std::int64_t time;
  std::uint32_t kind;
  bool operator==(const Seen&) const = default;
};

}  // namespace

TEST_CASE("events run in order of time, priority, then scheduling") {
  std::vector<Seen> seen;
  Simulation simulation;
  simulation.add_process(scripted(
                             [](Context& c) {
                               c.schedule(ps(20), 1);
                               c.schedule(ps(10), 2, {}, Priority::late);
                               c.schedule(ps(10), 3);
                               c.schedule(ps(10), 4, {}, Priority::urgent);
                               c.schedule(ps(10), 5);
                             },
                             [&](Context& c, const Event& e) {
                               REQUIRE(c.now() == e.time);
                               seen.push_back({e.time.ps(), e.kind});
                             }),
                         simulation.add_partition());
  const RunReport report = simulation.run({});
  CHECK(seen == std::vector<Seen>{{10, 4}, {10, 3}, {10, 5}, {10, 2}, {20, 1}});
  CHECK(report.events == 5);
  CHECK(report.reason == StopReason::drained);
  CHECK(report.end.ps() == 20);
}

TEST_CASE("equal times from several processes are ordered by sender, not by who ran first") {
  // Process 2 sends first in simulated time, process 1 later; both messages arrive at 100.
  std::vector<std::uint32_t> sources;
  Simulation simulation;
  const auto p = simulation.add_partition();
  const auto sink = simulation.add_process(
      scripted({}, [&](Context&, const Event& e) { sources.push_back(e.source.value); }), p);
  std::vector<ChannelId> channels(3);
  for (std::uint32_t i = 1; i <= 2; ++i) {
    const auto id =
        simulation.add_process(scripted([i](Context& c) { c.schedule(ps(i == 1 ? 50 : 10), 0); },
                                        [&channels, i](Context& c, const Event&) {
                                          c.send(channels[i], ps(100) - ps(c.now().ps()), 0);
                                        }),
                               p);
    channels[i] = simulation.connect(id, sink, ps(1));
  }
  simulation.run({});
  CHECK(sources == std::vector<std::uint32_t>{1, 2});
}

TEST_CASE("zero delays run at once, after what has the same time and a smaller key") {
  std::vector<Seen> seen;
  Simulation simulation;
  simulation.add_process(scripted(
                             [](Context& c) {
                               c.schedule(ps(5), 1);
                               c.schedule(ps(5), 2);
                             },
                             [&](Context& c, const Event& e) {
                               seen.push_back({e.time.ps(), e.kind});
                               if (e.kind == 1) c.schedule(ps(0), 3);
                               if (e.kind == 3) c.schedule(ps(0), 4, {}, Priority::urgent);
                             }),
                         simulation.add_partition());
  simulation.run({});
  CHECK(seen == std::vector<Seen>{{5, 1}, {5, 2}, {5, 3}, {5, 4}});
}

TEST_CASE("a cancelled event is not delivered, and can be cancelled once") {
  std::vector<std::uint32_t> kinds;
  std::vector<bool> answers;
  EventHandle doomed, ran;
  Simulation simulation;
  simulation.add_process(
      scripted(
          [&](Context& c) {
            ran = c.schedule(ps(1), 1);
            doomed = c.schedule(ps(2), 2);
            c.schedule(ps(3), 3);
          },
          [&](Context& c, const Event& e) {
            kinds.push_back(e.kind);
            if (e.kind != 1) return;
            answers = {c.cancel(doomed), c.cancel(doomed), c.cancel(ran), c.cancel(EventHandle{})};
          }),
      simulation.add_partition());
  const RunReport report = simulation.run({});
  CHECK(kinds == std::vector<std::uint32_t>{1, 3});
  CHECK(answers == std::vector<bool>{true, false, false, false});
  CHECK(report.events == 2);
}

TEST_CASE("payloads arrive as they were sent, across partitions") {
  struct Body {
    double x;
    int y;
  };
  Body got{};
  Simulation simulation;
  const auto a = simulation.add_partition();
  const auto b = simulation.add_partition();
  ChannelId channel;
  const auto from = simulation.add_process(scripted([&](Context& c) {
                                             c.send(channel, ps(7), 9, Payload(Body{2.5, -3}));
                                           }),
                                           a);
  const auto to = simulation.add_process(scripted({},
                                                  [&](Context& c, const Event& e) {
                                                    got = e.payload.as<Body>();
                                                    CHECK(c.now().ps() == 7);
                                                    CHECK(e.kind == 9);
                                                    CHECK(e.source.value == 0);
                                                  }),
                                         b);
  channel = simulation.connect(from, to, ps(5));
  simulation.run({});
  CHECK(got.x == 2.5);
  CHECK(got.y == -3);
}

TEST_CASE("until leaves later events pending, and a second run goes on") {
  std::vector<std::int64_t> times;
  Simulation simulation;
  simulation.add_process(scripted([](Context& c) { c.schedule(ps(10), 0); },
                                  [&](Context& c, const Event& e) {
                                    times.push_back(e.time.ps());
                                    if (times.size() < 5) c.schedule(ps(10), 0);
                                  }),
                         simulation.add_partition());
  RunOptions options;
  options.until = Time::from_ps(30);
  RunReport report = simulation.run(options);
  CHECK(times == std::vector<std::int64_t>{10, 20});
  CHECK(report.reason == StopReason::until);
  CHECK(report.pending == 1);
  report = simulation.run({});
  CHECK(times == std::vector<std::int64_t>{10, 20, 30, 40, 50});
  CHECK(report.reason == StopReason::drained);
  CHECK(report.events == 3);
}

TEST_CASE("stop ends the run after the current time, in every partition") {
  // Two clocks tick every 10 ps with a wide lookahead between them; one stops at 50.
  std::vector<std::int64_t> other;
  Simulation simulation;
  const auto a = simulation.add_partition();
  const auto b = simulation.add_partition();
  const auto tick = [](Context& c) { c.schedule(ps(10), 0); };
  const auto stopper = simulation.add_process(scripted(
                                                  tick,
                                                  [](Context& c, const Event& e) {
                                                    if (e.time.ps() == 50) c.stop();
                                                    c.schedule(ps(10), 0);
                                                  },
                                                  true),
                                              a);
  const auto clock = simulation.add_process(scripted(tick,
                                                     [&](Context& c, const Event& e) {
                                                       other.push_back(e.time.ps());
                                                       c.schedule(ps(10), 0);
                                                     }),
                                            b);
  simulation.connect(stopper, clock, ps(1000));
  simulation.connect(clock, stopper, ps(1000));
  const RunReport report = simulation.run({});
  CHECK(report.reason == StopReason::stopped);
  CHECK(other == std::vector<std::int64_t>{10, 20, 30, 40, 50});
  CHECK(report.events == 10);
}

TEST_CASE("an interrupt and limits end the run with what was reached") {
  const auto forever = [](Context& c) { c.schedule(ps(1), 0); };
  const auto again = [](Context& c, const Event&) { c.schedule(ps(1), 0); };
  Simulation simulation;
  simulation.add_process(scripted(forever, again), simulation.add_partition());
  RunOptions options;
  options.wall_limit_s = 0.02;
  CHECK(simulation.run(options).reason == StopReason::time_limit);

  std::atomic<bool> interrupt{false};
  options.wall_limit_s.reset();
  options.interrupt = &interrupt;
  int calls = 0;
  options.progress = [&](Time now, std::uint64_t events) {
    CHECK(now.ps() > 0);
    CHECK(events > 0);
    ++calls;
    interrupt = true;
  };
  CHECK(simulation.run(options).reason == StopReason::interrupted);
  CHECK(calls == 1);

  RunOptions tight;
  tight.memory_limit_bytes = 1.0;
  CHECK(simulation.run(tight).reason == StopReason::memory_limit);
}

namespace {

// The message of the exception that a handler's action at time 5 ends the run with.
std::string refusal(const std::function<void(Context&, ChannelId)>& act) {
  Simulation simulation;
  ChannelId channel;
  const auto a = simulation.add_partition();
  const auto b = simulation.add_partition();
  const auto from =
      simulation.add_process(scripted([](Context& c) { c.schedule(ps(5), 0); },
                                      [&](Context& c, const Event&) { act(c, channel); }),
                             a, "sender");
  const auto to = simulation.add_process(scripted({}), b, "receiver");
  channel = simulation.connect(from, to, ps(100));
  simulation.connect(to, from, ps(100));
  try {
    simulation.run({});
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what a handler may not do is refused in words") {
  CHECK_THAT(refusal([](Context& c, ChannelId) { c.schedule(ps(-1), 0); }),
             Contains("'sender'") && Contains("negative delay of -1 ps"));
  CHECK_THAT(refusal([](Context& c, ChannelId) { c.schedule(Duration::max(), 0); }),
             Contains("limited to 106 days"));
  CHECK_THAT(refusal([](Context& c, ChannelId ch) { c.send(ch, ps(99), 0); }),
             Contains("'receiver'") && Contains("below the channel's minimum of 100 ps"));
  CHECK_THAT(refusal([](Context& c, ChannelId) { c.send(ChannelId{1}, ps(200), 0); }),
             Contains("belongs to process 1 'receiver'"));
  CHECK_THAT(refusal([](Context& c, ChannelId) { c.send(ChannelId{7}, ps(200), 0); }),
             Contains("does not exist"));
  CHECK_THAT(refusal([](Context& c, ChannelId ch) { c.send_to(ch, 1, ps(200), 0); }),
             Contains("has only 1"));
  CHECK_THAT(refusal([](Context& c, ChannelId) { c.stop(); }), Contains("may_stop() is false"));
  CHECK_THAT(refusal([](Context& c, ChannelId ch) {
               c.promise(Time::from_ps(6), false);
               c.send(ch, ps(200), 0);
             }),
             Contains("broke its promise"));
}

TEST_CASE("a promise with unless_messaged is void once a message was handled") {
  int answers = 0;
  Simulation simulation;
  const auto a = simulation.add_partition();
  const auto b = simulation.add_partition();
  ChannelId ask, answer;
  const auto client = simulation.add_process(scripted([&](Context& c) { c.send(ask, ps(10), 0); },
                                                      [&](Context&, const Event&) { ++answers; }),
                                             a);
  const auto server =
      simulation.add_process(scripted([&](Context& c) { c.promise(Time::from_ps(1000), true); },
                                      [&](Context& c, const Event&) { c.send(answer, ps(10), 0); }),
                             b);
  ask = simulation.connect(client, server, ps(10));
  answer = simulation.connect(server, client, ps(10));
  simulation.run({});
  CHECK(answers == 1);
}

TEST_CASE("a cycle of zero lookahead across partitions is refused with its processes named") {
  Simulation simulation;
  const auto a = simulation.add_partition();
  const auto b = simulation.add_partition();
  const auto x = simulation.add_process(scripted({}), a, "router");
  const auto y = simulation.add_process(scripted({}), b, "replica");
  simulation.connect(x, y, ps(0));
  simulation.connect(y, x, ps(0));
  CHECK_THROWS_WITH(simulation.run({}),
                    Contains("cycle") && Contains("'router'") && Contains("'replica'"));
}

TEST_CASE("a channel of zero delay is allowed inside a partition and refused across") {
  for (const bool same : {true, false}) {
    int got = 0;
    Simulation simulation;
    const auto a = simulation.add_partition();
    const auto b = simulation.add_partition();
    ChannelId channel;
    const auto x =
        simulation.add_process(scripted([&](Context& c) { c.send(channel, ps(0), 0); }), a, "x");
    const auto y = simulation.add_process(scripted({}, [&](Context&, const Event&) { ++got; }),
                                          same ? a : b, "y");
    channel = simulation.connect(x, y, ps(0));
    if (same) {
      simulation.run({});
      CHECK(got == 1);
    } else {
      CHECK_THROWS_WITH(simulation.run({}),
                        Contains("'x'") && Contains("'y'") && Contains("minimum delay of zero"));
    }
  }
}

TEST_CASE("what cannot be built is refused") {
  Simulation simulation;
  const auto p = simulation.add_partition();
  CHECK_THROWS_AS(simulation.add_process(nullptr, p), InputError);
  CHECK_THROWS_WITH(simulation.add_process(scripted({}), PartitionId{3}), Contains("only 1 exist"));
  const auto x = simulation.add_process(scripted({}), p);
  CHECK_THROWS_WITH(simulation.connect(x, EntityId{9}, ps(1)), Contains("receiver"));
  CHECK_THROWS_WITH(simulation.connect(EntityId{9}, x, ps(1)), Contains("sender"));
  CHECK_THROWS_WITH(simulation.connect(x, x, ps(-1)), Contains("negative minimum delay"));
  CHECK_THROWS_WITH(simulation.connect_range(x, x, 2, ps(1)), Contains("receiver"));
  CHECK_THROWS_WITH(simulation.connect_range(x, x, 0, ps(1)), Contains("no process"));
  simulation.run({});
  CHECK_THROWS_WITH(simulation.add_partition(), Contains("once the simulation has run"));
  CHECK_THROWS_AS(simulation.process(EntityId{5}), InputError);
}

TEST_CASE("the failure reported is the earliest in simulated time") {
  // Partition 0 fails at 90, partition 1 at 40; neither hears of the other before 1000.
  Simulation simulation;
  for (int i = 0; i < 2; ++i) {
    const auto fail_at = ps(i == 0 ? 90 : 40);
    simulation.add_process(scripted([fail_at](Context& c) { c.schedule(fail_at, 0); },
                                    [i](Context&, const Event&) {
                                      throw std::runtime_error("from " + std::to_string(i));
                                    }),
                           simulation.add_partition());
  }
  simulation.connect(EntityId{0}, EntityId{1}, ps(1000));
  CHECK_THROWS_WITH(simulation.run({}), Contains("from 1"));
  CHECK_THROWS_WITH(simulation.run({}), Contains("from 1"));
}

namespace {

std::atomic<int> sent{0}, received{0}, most_waiting{0};

class Source final : public Process {
 public:
  ChannelId channel;
  void start(Context& c) override { c.schedule(ps(1), 0); }
  void handle(Context& c, const Event&) override {
    ++sent;
    c.send(channel, ps(5), 0, Payload(1));
    if (sent < 20'000) c.schedule(ps(1), 0);
  }
};

class Sink final : public Process {
 public:
  void handle(Context&, const Event&) override {
    most_waiting = std::max(most_waiting.load(), sent - ++received);
  }
};

}  // namespace

TEST_CASE("a partition that hears from nobody does not run away from those that hear from it") {
  for (const int threads : {1, 2}) {
    INFO(threads << " threads");
    sent = received = most_waiting = 0;
    Simulation s;
    auto source = std::make_unique<Source>();
    Source& first = *source;
    s.add_process(std::move(source), s.add_partition());
    s.add_process(std::make_unique<Sink>(), s.add_partition());
    first.channel = s.connect(EntityId{0}, EntityId{1}, ps(5));
    RunOptions options;
    options.threads = threads;
    options.executor = threads > 1 ? ExecutorKind::threads : ExecutorKind::serial;
    options.always_windows = true;
    CHECK(s.run(options).events == 40'000);
    CHECK(received == 20'000);
    // 16 events at a time, twice that while both work, and the messages on their way.
    CHECK(most_waiting <= 40);
  }
}
