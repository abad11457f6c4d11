#include "sim/net/traffic.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

using namespace foretoken::sim;
using namespace foretoken::sim::net;
using core::Duration;
using core::Time;

namespace {

Duration us(std::int64_t n) { return Duration::picoseconds(n * 1'000'000); }
Time at_us(std::int64_t n) { return Time::zero() + us(n); }

// a and b on one switch, c and d on another; 1 GB/s between everything, 1 us a link.
struct Dumbbell {
  Topology fabric;
  NodeId a, b, c, d, left, right;
  LinkId middle;
  Dumbbell() {
    const auto node = [&](NodeRole role, const char* name) {
      return fabric.add_node({role, name, 0, -1, -1});
    };
    a = node(NodeRole::endpoint, "a");
    b = node(NodeRole::endpoint, "b");
    c = node(NodeRole::endpoint, "c");
    d = node(NodeRole::endpoint, "d");
    left = node(NodeRole::switching, "left");
    right = node(NodeRole::switching, "right");
    const core::BytesPerSecond rate(1e9);
    for (const NodeId n : {a, b}) fabric.connect(n, left, rate, us(1));
    for (const NodeId n : {c, d}) fabric.connect(n, right, rate, us(1));
    middle = fabric.connect(left, right, rate, us(1));
  }
};

Job one(NodeId from, NodeId to, double bytes, std::uint16_t owner = 0) {
  Job job;
  job.owner = owner;
  job.stages.push_back({Duration(), {{from, to, bytes, kNoCap, 0.0, {}}}});
  return job;
}

}  // namespace

TEST_CASE("a stage waits for its delay or the path's latency, then moves its bytes") {
  // 3 links of 1 us, 1,000 B at 1 GB/s: 1 us; 4 us in all. A delay of 10 us covers the latency.
  Dumbbell net;
  Traffic traffic(net.fabric);
  traffic.submit(one(net.a, net.c, 1000), Time::zero());
  CHECK(traffic.run() == at_us(4));
  Job late = one(net.a, net.c, 1000);
  late.stages[0].delay = us(10);
  late.stages.push_back(late.stages[0]);
  late.stages.push_back({us(5), {}});  // a stage without transfers is a wait
  traffic.submit(std::move(late), at_us(4));
  CHECK(traffic.run() == at_us(4 + 11 + 11 + 5));
  CHECK(traffic.jobs_in_flight() == 0);
}

TEST_CASE("jobs that meet on a link share it, and the books say who waited on whom") {
  // a -> c and b -> d meet in the middle: 0.5 GB/s each. Owner 1 moves 1,000 B, owner 0 2,000 B:
  // 1 ends at 3 + 2 = 5 us, then 0 has the link: 1,000 B more, at 6 us. 0 lost 1 us to 1 and 1
  // lost 1 us to 0 (half of what both waited is the fault of their own rate).
  Dumbbell net;
  Traffic traffic(net.fabric, 2, us(1));
  traffic.submit(one(net.a, net.c, 2000, 0), Time::zero());
  traffic.submit(one(net.b, net.d, 1000, 1), Time::zero());
  CHECK(traffic.run() == at_us(6));
  const auto accounts = traffic.accounts(at_us(6));
  double carried = 0.0;
  for (const LinkAccount& account : accounts) {
    if (account.link != net.middle) continue;
    carried = account.owner_bytes[0] + account.owner_bytes[1];
    REQUIRE(account.bytes.size() == 6);
    CHECK(account.bytes[2] == 0.0F);
    CHECK(account.bytes[3] == Approx(1000));
    CHECK(account.bytes[5] == Approx(1000));
    CHECK(account.waiting_s[3] == Approx(1e-6));
    CHECK(account.owner_waited[0] == Approx(1e-6));
    CHECK(account.owner_waited[1] == Approx(1e-6));
  }
  CHECK(carried == Approx(3000));
  double whole = 0.0, cross = 0.0;
  for (const WaitEntry& wait : traffic.waits(at_us(6))) {
    CHECK(wait.link == net.middle);
    whole += wait.seconds;
    if (wait.who != wait.whom) cross += wait.seconds;
  }
  CHECK(whole == Approx(2e-6));
  CHECK(cross == Approx(1e-6));
}

TEST_CASE("caps, shared limits and message sizes hold a transfer back") {
  Dumbbell net;
  Traffic traffic(net.fabric);
  // Cap of 0.25 GB/s: 1,000 B in 4 us.
  Job capped = one(net.a, net.c, 1000);
  capped.stages[0].transfers[0].cap_bytes_per_s = 0.25e9;
  traffic.submit(std::move(capped), Time::zero());
  CHECK(traffic.run() == at_us(7));
  // Two transfers over different links share a limit of 0.5 GB/s: 4 us for 1,000 B each.
  const LimitId limit = traffic.add_limit(0.5e9);
  Job shared = one(net.a, net.b, 1000);
  shared.stages[0].transfers.push_back({net.c, net.d, 1000, kNoCap, 0.0, {}});
  for (Transfer& transfer : shared.stages[0].transfers) transfer.limit = limit;
  traffic.submit(std::move(shared), at_us(7));
  CHECK(traffic.run() == at_us(7 + 2 + 4));

  Topology curved;
  const NodeId x = curved.add_node({NodeRole::endpoint, "x", 0, -1, -1});
  const NodeId y = curved.add_node({NodeRole::endpoint, "y", 0, -1, -1});
  NetLink link;
  link.bandwidth = core::BytesPerSecond(1e9);
  link.latency = us(1);
  link.half_bytes = 1000;
  curved.connect(x, y, link);
  Traffic small(curved);
  // Messages of 1,000 B get half of the link: 4,000 B in 8 us; one of 4,000 B gets 4/5: 5 us.
  Job job = one(x, y, 4000);
  job.stages[0].transfers[0].message_bytes = 1000;
  small.submit(std::move(job), Time::zero());
  CHECK(small.run() == at_us(9));
  small.submit(one(x, y, 4000), at_us(9));
  CHECK(small.run() == at_us(9 + 6));
}

TEST_CASE("a bundle goes at the pace of its slowest path") {
  // From a: 1,000 B to b, 1,000 B to c. a's own link carries both: 2 us; alike without a bundle.
  Dumbbell net;
  Job job = one(net.a, net.b, 1000);
  job.stages[0].transfers.push_back({net.a, net.c, 1000, kNoCap, 0.0, {}});
  for (Transfer& transfer : job.stages[0].transfers) transfer.bundle = 1;
  {
    Traffic traffic(net.fabric, 1, us(1));
    traffic.submit(job, Time::zero());
    CHECK(traffic.run() == at_us(3 + 2));
    CHECK(traffic.bytes_carried(net.middle, at_us(5)) == Approx(1000));
    for (const LinkAccount& account : traffic.accounts(at_us(5)))
      CHECK(account.owner_bytes[0] ==
            Approx(net.fabric.link(account.link).from == net.a ? 2000 : 1000));
  }
  // The middle at a quarter of its rate: 4 us for both, where b would have had its bytes after 4/3
  // us beside 0.25 GB/s to c: the strand to b waits, and a's link is half idle.
  net.fabric.set_health(net.middle, 0.25);
  Traffic slow(net.fabric);
  slow.submit(job, Time::zero());
  CHECK(slow.run() == at_us(3 + 4));
  // A failure on the way of one: both go on once it is gone around, and there is no other way here.
  Traffic cut(net.fabric);
  cut.submit(job, Time::zero());
  cut.advance(at_us(4));
  CHECK_THROWS_AS(cut.set_health(net.middle, 0.0, at_us(4)), core::InputError);
}

TEST_CASE("a link at half rate takes twice as long; a failed one is gone around") {
  // Two switches joined twice. A transfer of 4,000 B from 3 us on; at 5 us its link fails: the
  // 2,000 B left take the other link after that.
  Dumbbell net;
  net.fabric.connect(net.left, net.right, core::BytesPerSecond(1e9), us(1));
  Traffic traffic(net.fabric);
  Job job = one(net.a, net.c, 4000);
  job.route = RoutePolicy::first;
  traffic.submit(std::move(job), Time::zero());
  traffic.advance(at_us(5));
  traffic.set_health(net.middle, 0.0, at_us(5));
  CHECK(traffic.run() == at_us(7));
  CHECK(traffic.bytes_carried(net.middle, at_us(7)) == Approx(2000));

  Dumbbell slow;
  Traffic halved(slow.fabric);
  halved.submit(one(slow.a, slow.c, 4000), Time::zero());
  halved.advance(at_us(5));
  halved.set_health(slow.middle, 0.5, at_us(5));
  CHECK(halved.run() == at_us(3 + 2 + 4));
  halved.set_health(slow.middle, 1.0, at_us(9));
  halved.submit(one(slow.a, slow.c, 4000), at_us(9));
  CHECK(halved.run() == at_us(9 + 7));
  halved.submit(one(slow.a, slow.c, 4000), at_us(20));
  halved.advance(at_us(24));
  CHECK_THROWS_WITH(halved.set_health(slow.middle, 0.0, at_us(24)),
                    Catch::Contains("no path from a to c"));
}

// A stream from a to c beside a job from b to d: 1 GB/s in the middle. In a burst each has half;
// at 0.2 GB/s on average it leaves the job 0.8 GB/s, so that 0.8 GB take 1 s. It wanted 0.4 GB/s:
// half of that second is lost, to the job alone.
TEST_CASE("a stream takes its mean rate and gets its share in a burst") {
  Dumbbell net;
  Traffic traffic(net.fabric, 2, us(100'000));
  const StreamId stream = traffic.open_stream(1, {{net.a, net.c, 0.0, kNoCap, 0.0, {}}});
  CHECK(traffic.next_event() == Time::never());
  CHECK(traffic.share_of(stream, 7e8, Time::zero()).rate == Approx(7e8));
  traffic.set_rate(stream, 2e8, 2e8, LinkId{}, Time::zero());
  CHECK_FALSE(traffic.shares_links(stream));
  CHECK(traffic.next_event() == Time::never());
  traffic.submit(one(net.b, net.d, 8e8), Time::zero());
  CHECK(traffic.advance(at_us(3)).empty());  // past the latency: the job flows
  CHECK(traffic.shares_links(stream));
  const Traffic::Share share = traffic.share_of(stream, 7e8, at_us(3));
  CHECK(share.rate == Approx(5e8));
  REQUIRE(share.link.valid());
  CHECK(traffic.share_of(stream, 3e8, at_us(3)).rate == Approx(3e8));
  CHECK_FALSE(traffic.share_of(stream, 3e8, at_us(3)).link.valid());
  traffic.set_rate(stream, 2e8, 4e8, share.link, at_us(3));
  const Time end = at_us(1'000'003);
  CHECK(traffic.run() == end);
  for (const LinkAccount& account : traffic.accounts(end))
    if (account.link == share.link) {
      CHECK(account.owner_bytes[0] == Approx(8e8));
      CHECK(account.owner_bytes[1] == Approx(2e8).epsilon(1e-4));
      CHECK(account.owner_waited[1] == Approx(0.5));
    }
  double lost = 0.0, own = 0.0;
  for (const WaitEntry& wait : traffic.waits(end))
    if (wait.who == 1) (wait.whom == 0 ? lost : own) += wait.seconds;
  CHECK(lost == Approx(0.5));
  CHECK(own == 0.0);
  traffic.set_rate(stream, 0.0, 0.0, LinkId{}, end);
  CHECK(traffic.share_of(stream, 7e8, end).rate == Approx(7e8));
}

TEST_CASE("a stream goes another way when a link fails") {
  Dumbbell net;
  const LinkId other = net.fabric.connect(net.left, net.right, core::BytesPerSecond(1e8), us(9));
  Traffic traffic(net.fabric);
  const StreamId stream = traffic.open_stream(0, {{net.a, net.c, 0.0, kNoCap, 0.0, {}}});
  traffic.set_rate(stream, 2e8, 2e8, LinkId{}, Time::zero());
  traffic.set_health(net.middle, 0.0, at_us(10));
  CHECK(traffic.bytes_carried(other, at_us(20)) == Approx(1e8 * 10e-6));
  traffic.set_rate(stream, 5e7, 5e7, LinkId{}, at_us(20));
  CHECK(traffic.bytes_carried(other, at_us(30)) == Approx(1e8 * 10e-6 + 5e7 * 10e-6));
}
