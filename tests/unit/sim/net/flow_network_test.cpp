#include "sim/net/flow_network.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <vector>

using namespace foretoken::sim::net;

namespace {
constexpr double kNoCap = std::numeric_limits<double>::infinity();
Time ms(std::int64_t n) { return Time::from_ps(n * 1'000'000'000); }
}  // namespace

TEST_CASE("a short flow slows a long one while both are in flight") {
  // Link of 1,000 B/s. A: 1,000 B at t = 0. B: 250 B at t = 500 ms.
  // Until 500 ms A moves 500 B. Then 500 B/s each: B ends at 1,000 ms, A has 250 B left and the
  // whole link: it ends at 1,250 ms.
  FlowNetwork net;
  const LinkId link = net.add_link(1000);
  net.start({{link}}, 1000, kNoCap, ms(0), 1);
  CHECK(net.next_completion() == ms(1000));
  const FlowId b = net.start({{link}}, 250, kNoCap, ms(500), 2);
  CHECK(net.rate(b) == 500);
  CHECK(net.next_completion() == ms(1000));
  auto done = net.complete(ms(1000));
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 2);
  CHECK(net.next_completion() == ms(1250));
  done = net.complete(ms(1250));
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 1);
  CHECK(net.next_completion() == Time::never());
  CHECK(net.in_flight() == 0);
  CHECK(net.starts_and_ends() == 4);
  // Bytes in equal bytes out.
  CHECK(net.bytes_carried(link, ms(1250)) == Approx(1250).epsilon(1e-12));
}

TEST_CASE("equal flows end together, in the order of their tags") {
  // Two flows of 100 B on 100 B/s: both at 2 s.
  FlowNetwork net;
  const LinkId link = net.add_link(100);
  net.start({{link}}, 100, kNoCap, ms(0), 9);
  net.start({{link}}, 100, kNoCap, ms(0), 3);
  CHECK(net.next_completion() == ms(2000));
  const auto done = net.complete(ms(2000));
  REQUIRE(done.size() == 2);
  CHECK(done[0].tag == 3);
  CHECK(done[1].tag == 9);
}

TEST_CASE("an aborted flow gives back what it had not sent and frees the link") {
  // 1,000 B at 100 B/s, aborted after 4 s: 600 B left. The other flow, at 50 B/s so far (200 B
  // sent of 500), has the link alone: 300 B more take 3 s.
  FlowNetwork net;
  const LinkId wide = net.add_link(150);
  const FlowId a = net.start({{wide}}, 1000, 100, ms(0), 1);
  net.start({{wide}}, 500, 50, ms(0), 2);
  CHECK(net.abort(a, ms(4000)) == Approx(600));
  CHECK(net.next_completion() == ms(10000));  // still capped at 50 B/s
  net.set_capacity(wide, 25, ms(4000));       // the link degrades: 300 B at 25 B/s
  CHECK(net.next_completion() == ms(16000));
}

TEST_CASE("a flow that would take longer than the clock's range never ends") {
  FlowNetwork net;
  const LinkId link = net.add_link(1e-9);
  net.start({{link}}, 1e6, kNoCap, ms(0), 1);
  CHECK(net.next_completion() == Time::never());
  CHECK(net.in_flight() == 1);
}

TEST_CASE("merged links are one to the solver and two to the books") {
  // In and out of an adapter: 300 B over the narrower of 200 and 100 B/s take 3 s; both links have
  // carried all of it. The wider one falls to 50 B/s: so does the pair.
  FlowNetwork net;
  const LinkId in = net.add_link(200), out = net.add_link(100), other = net.add_link(1000);
  net.merge(in, out);
  const FlowId a = net.start({{other, in, out}}, 300, kNoCap, ms(0), 1);
  CHECK(net.next_completion() == ms(3000));
  net.set_capacity(in, 50, ms(1000));
  CHECK(net.rate(a) == 50);
  CHECK(net.next_completion() == ms(5000));
  CHECK(net.bytes_carried(in, ms(2000)) == Approx(150));
  net.complete(ms(5000));
  CHECK(net.bytes_carried(in, ms(5000)) == Approx(300));
  CHECK(net.bytes_carried(out, ms(5000)) == Approx(300));
  CHECK(net.bytes_carried(other, ms(5000)) == Approx(300));
}

TEST_CASE("of merged links the narrower holds a flow, whichever stands for both") {
  // Two flows of 300 B into an adapter at 100 B/s and out of it at 200: both wait on the way in.
  struct Watcher : FlowWatcher {
    std::vector<LinkId> held;
    void moved(const Span& span) override { held.push_back(span.bottleneck); }
    void rate_changed(const Change&) override {}
  };
  for (const bool into : {true, false}) {
    Watcher watcher;
    FlowNetwork net;
    net.watch(&watcher);
    const LinkId in = net.add_link(100), out = net.add_link(200);
    if (into)
      net.merge(in, out);
    else
      net.merge(out, in);
    net.start({{in, out}}, 300, kNoCap, ms(0), 1);
    net.start({{in, out}}, 300, kNoCap, ms(0), 2);
    net.settle_all(ms(1000));
    CHECK(watcher.held == std::vector<LinkId>{in, in});
  }
}
