// Front end and pools together, on runs small enough to work by hand.
#include "models/serving/front_end.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;

namespace {

ServingSpec whole(int replicas, const std::vector<At>& requests) {
  ServingSpec spec = small_spec(64, 8);
  spec.deployment.replicas = replicas;
  spec.workload.arrivals = trace(requests);
  return spec;
}

ServingSpec disaggregated(int prefill, int decode, const std::vector<At>& requests) {
  ServingSpec spec = whole(prefill, requests);
  spec.deployment.role = PoolRole::prefill;
  spec.pools.push_back(spec.deployment);
  spec.pools[0].role = PoolRole::decode;
  spec.pools[0].replicas = decode;
  return spec;
}

const LinearTimer kTimer(0.01, 0.0, 0.001);

ServingResult run(const ServingSpec& spec) {
  auto result = simulate_with(spec, kTimer, blocks(1000), {});
  for (const std::string& error : result.conservation_errors) FAIL_CHECK(error);
  return result;
}

std::vector<At> many(int n) {
  std::vector<At> requests;
  for (int i = 0; i < n; ++i) requests.push_back({0.013 * i, 4 + i % 9, 1 + i % 7});
  return requests;
}

}  // namespace

// Prompt of 20: 10 ms + 20 ms. Four more tokens of 10 ms each on the other replica. Hops of 1 us:
// one to each replica, one back to the front end between them, one to the client.
TEST_CASE("A request goes through both pools") {
  const auto r = run(disaggregated(1, 1, {{0.0, 20, 5}}));
  REQUIRE(r.completed == 1);
  CHECK(r.requests.first_token_s[0] == Approx(0.03 + 2 * kHop).epsilon(1e-9));
  CHECK(r.requests.last_token_s[0] == Approx(0.07 + 4 * kHop).epsilon(1e-9));
  CHECK(r.requests.replica[0] == 1);
  CHECK(r.pools[0].output_tokens == 1);
  CHECK(r.pools[1].output_tokens == 4);
  CHECK(r.pools[0].prefill_tokens == 20);
  CHECK(r.output_tokens == 5);
}

TEST_CASE("The transfer of KV delays the second token by its bytes over its rate") {
  ServingSpec spec = disaggregated(1, 1, {{0.0, 20, 5}});
  for (DeploymentSpec* d : {&spec.deployment, &spec.pools[0]}) {
    d->model.layers = 1;  // 2 x 1 x 1 x 2 bytes = 4 B a token
    d->model.attention = {.heads = 1, .kv_heads = 1, .head_dim = 1, .mla = {}, .sparse = {}};
  }
  const double before = run(spec).requests.last_token_s[0];
  spec.cluster.transfer = {800.0, 0.05};  // 80 B: 100 ms, and 50 ms
  CHECK(run(spec).requests.last_token_s[0] == Approx(before + 0.15).epsilon(1e-9));
}

// With a network that takes no time the prefill pool is a server of one-token requests, and the
// decode pool one whose requests arrive when their first token leaves: a step of fixed length makes
// a prompt of one token what a sequence with KV is, if its output is one shorter.
TEST_CASE("Disaggregated with an infinite network is two independent stages") {
  const std::vector<At> requests = many(60);
  const auto both = run(disaggregated(2, 1, requests));
  std::vector<At> first = requests;
  for (At& r : first) r.output = 1;
  const auto prefill = run(whole(2, first));
  for (std::size_t i = 0; i < requests.size(); ++i)
    CHECK(both.requests.first_token_s[i] == prefill.requests.first_token_s[i]);
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (requests[i].output > 1) order.emplace_back(prefill.requests.first_token_s[i], i);
  std::sort(order.begin(), order.end());
  std::vector<At> second;
  for (const auto& [at, i] : order) second.push_back({at, 1, requests[i].output - 1});
  ServingSpec stage = whole(1, second);
  const auto decode = simulate_with(stage, LinearTimer(0.01, 0.0, 0.0), blocks(1000), {});
  for (std::size_t k = 0; k < order.size(); ++k)
    CHECK(both.requests.last_token_s[order[k].second] ==
          Approx(decode.requests.last_token_s[k]).epsilon(1e-12));
}

TEST_CASE("A cached prefix is not processed again") {
  ServingSpec spec = whole(1, {{0.0, 20, 1}});
  spec.cluster.cached_input = 0.5;  // 10 of 20, in blocks of 4: 8
  const auto r = run(spec);
  CHECK(r.requests.first_token_s[0] == Approx(0.01 + 0.012 + 2 * kHop).epsilon(1e-9));
  CHECK(r.pools[0].cached_tokens == 8);
  CHECK(r.pools[0].prefill_tokens == 12);
}

TEST_CASE("Admission control turns away what is above the limit, or sends it elsewhere") {
  ServingSpec spec = whole(1, std::vector<At>(5, {0.0, 4, 10}));
  spec.cluster.rules.most_open_per_replica = 2;
  const auto r = run(spec);
  CHECK(r.completed == 2);
  CHECK(r.rejected == 3);
  REQUIRE(r.reasons.size() == 1);
  CHECK(r.reasons[0].first == RequestReason::turned_away);
  spec.cluster.remote.overflow = true;
  spec.cluster.remote.tokens_per_s = 100;
  spec.cluster.remote.first_token_s = 0.5;
  spec.cluster.remote.round_trip_s = 0.1;
  spec.cluster.remote.usd_per_million_output = 2.0;
  const auto with = run(spec);
  CHECK(with.completed == 5);
  CHECK(with.remote.requests == 3);
  CHECK(with.remote.cost_usd == Approx(3 * 10 * 2e-6));
  CHECK(with.requests.first_token_s[4] == Approx(0.6));
  CHECK(with.requests.last_token_s[4] == Approx(0.69));
}

TEST_CASE("A share of the traffic is served remotely, the same for the same seed") {
  ServingSpec spec = whole(1, many(400));
  spec.cluster.remote.share = 0.25;
  const auto a = run(spec), b = run(spec);
  CHECK(a.remote.requests == b.remote.requests);
  CHECK(a.remote.requests > 60);  // 100 expected, standard deviation 8.7
  CHECK(a.remote.requests < 140);
  CHECK(a.completed == 400);
}

// The one slot is taken until 0.1 s; the second request's client waits 50 ms.
TEST_CASE("A client that waits too long for a start gives up") {
  ServingSpec spec = whole(1, {{0.0, 1, 10}, {0.0, 1, 10}});
  spec.deployment.batching.max_sequences = 1;
  spec.cluster.rules.timeout = Duration::from_seconds(0.05);
  const auto r = run(spec);
  CHECK(r.completed == 1);
  CHECK(r.timed_out == 1);
  CHECK(r.requests.outcome[1] == RequestOutcome::timed_out);
  CHECK(r.requests.reason[1] == RequestReason::timed_out);
}

// Replica 0 goes down at 30 ms with three of ten tokens made; known at once.
TEST_CASE("A request lost in a failure is tried again from the start, or has failed") {
  ServingSpec spec = whole(2, {{0.0, 1, 10}});
  spec.cluster.faults.events = {
      {FaultKind::gpu, 0, 0, Duration::from_seconds(0.03), Duration::from_seconds(1), 1.0}};
  const auto failed = run(spec);
  CHECK(failed.failed == 1);
  CHECK(failed.requests.reason[0] == RequestReason::lost);
  spec.cluster.rules.retries = 1;
  spec.cluster.rules.retry_delay = Duration::from_seconds(0.02);
  const auto retried = run(spec);
  CHECK(retried.completed == 1);
  CHECK(retried.retries == 1);
  CHECK(retried.requests.replica[0] == 1);
  // lost at 30 ms, back at 50 ms, then 11 + 9 x 10 ms
  CHECK(retried.requests.last_token_s[0] == Approx(0.151).margin(1e-5));
}

// Down from 10 ms to 40 ms: the request of 20 ms finds nobody, that of 0 ms runs on to its end.
TEST_CASE("Without the router nothing new gets in, and what runs runs on") {
  ServingSpec spec = whole(1, {{0.0, 1, 5}, {0.02, 1, 1}});
  spec.cluster.faults.events = {
      {FaultKind::router, 0, 0, Duration::from_seconds(0.01), Duration::from_seconds(0.03), 1.0}};
  const auto r = run(spec);
  CHECK(r.requests.outcome[0] == RequestOutcome::completed);
  CHECK(r.requests.last_token_s[0] == Approx(0.051).margin(1e-5));
  CHECK(r.requests.outcome[1] == RequestOutcome::failed);
  CHECK(r.requests.reason[1] == RequestReason::no_router);
  spec.cluster.rules.retries = 1;
  spec.cluster.rules.retry_delay = Duration::from_seconds(0.1);
  const auto retried = run(spec);
  CHECK(retried.completed == 2);
  CHECK(retried.requests.first_token_s[1] == Approx(0.12 + 0.011).margin(1e-5));
}

// The prompt is done at 30 ms, while the router is down: its KV is lost, it starts over at 130 ms.
TEST_CASE("A prompt that is done while the router is down starts over") {
  ServingSpec spec = disaggregated(1, 1, {{0.0, 20, 5}});
  spec.cluster.faults.events = {
      {FaultKind::router, 0, 0, Duration::from_seconds(0.02), Duration::from_seconds(0.05), 1.0}};
  CHECK(run(spec).requests.reason[0] == RequestReason::no_router);
  spec.cluster.rules.retries = 1;
  spec.cluster.rules.retry_delay = Duration::from_seconds(0.1);
  const auto r = run(spec);
  CHECK(r.completed == 1);
  CHECK(r.requests.last_token_s[0] == Approx(0.13 + 0.03 + 0.04).margin(1e-5));
}

// 10 ms and 1 ms a token: 12 of 20 tokens with the cache, all 20 without.
TEST_CASE("Without storage prompts are processed whole") {
  ServingSpec spec = whole(1, {{0.0, 20, 1}, {1.0, 20, 1}});
  spec.cluster.cached_input = 0.5;
  spec.cluster.faults.events = {
      {FaultKind::storage, 0, 0, Duration::from_seconds(0.5), Duration::from_seconds(1), 1.0}};
  const auto r = run(spec);
  CHECK(r.requests.first_token_s[0] == Approx(0.022).margin(1e-5));
  CHECK(r.requests.first_token_s[1] == Approx(1.03).margin(1e-5));
  CHECK(r.pools[0].cached_tokens == 8);
}

TEST_CASE("With nobody in service a request fails, and says so") {
  ServingSpec spec = whole(1, {{1.0, 1, 1}});
  spec.deployment.schedule = {
      {Duration(), 1}, {Duration::from_seconds(0.5), 0}, {Duration::from_seconds(2), 1}};
  CHECK(run(spec).requests.reason[0] == RequestReason::no_replica);
  spec.cluster.rules.retries = 3;
  spec.cluster.rules.retry_delay = Duration::from_seconds(0.7);
  const auto r = run(spec);
  CHECK(r.completed == 1);
  CHECK(r.requests.first_token_s[0] == Approx(2.4 + 0.011).margin(1e-5));
}

// Twenty long requests at once against one per replica: all four replicas, after 0.2 s of starting.
TEST_CASE("A pool grows with its load and shrinks when it is gone") {
  ServingSpec spec = whole(4, std::vector<At>(20, {0.05, 4, 40}));
  spec.deployment.autoscale = {1, 1.0, Duration::from_seconds(0.1), Duration::from_seconds(0.2),
                               Duration()};
  const auto r = run(spec);
  CHECK(r.completed == 20);
  CHECK(r.pools[0].replica_seconds > 1.2 * r.window_end_s);
  CHECK(r.pools[0].replica_seconds < 4.0 * r.window_end_s);
}

TEST_CASE("A straggler's steps take longer") {
  ServingSpec spec = whole(1, {{0.0, 1, 3}});
  spec.cluster.faults.events = {
      {FaultKind::straggler, 0, 0, Duration::from_seconds(0.005), Duration::from_seconds(9), 3.0}};
  // 11 ms as planned, then 2 x 30 ms
  CHECK(run(spec).requests.last_token_s[0] == Approx(0.071).margin(1e-5));
}

TEST_CASE("Requests that are forgotten leave the same figures") {
  ServingSpec spec = disaggregated(2, 2, many(300));
  const auto kept = run(spec);
  spec.record_one_in = 0;
  const auto forgotten = run(spec);
  CHECK(forgotten.requests.size() == 0);
  CHECK(forgotten.completed == kept.completed);
  CHECK(forgotten.output_tokens == kept.output_tokens);
  double sum = 0;
  for (std::size_t i = 0; i < kept.requests.size(); ++i)
    sum += kept.requests.last_token_s[i] - kept.requests.arrival_s[i];
  CHECK(forgotten.sketches.e2el.count() == 300);
  CHECK(forgotten.sketches.e2el.mean() == Approx(sum / 300).epsilon(1e-6));
}

TEST_CASE("A sample of requests holds one of each so many, as the full table has them") {
  ServingSpec spec = disaggregated(2, 2, many(305));
  const auto kept = run(spec);
  spec.record_one_in = 0;
  const auto forgotten = run(spec);
  spec.record_one_in = 10;
  const auto sample = run(spec);
  const RequestTable& t = sample.requests;
  REQUIRE(t.size() >= 30);  // of the last five one may have been drawn
  REQUIRE(t.size() <= 31);
  CHECK(t.one_in == 10);
  std::set<std::int64_t> places;
  for (std::size_t row = 0; row < t.size(); ++row) {
    const auto number = static_cast<std::size_t>(t.number_of(row));
    CHECK(number / 10 == row);
    CHECK(t.row_of(t.number_of(row)) == row);
    CHECK(t.arrival_s[row] == kept.requests.arrival_s[number]);
    CHECK(t.last_token_s[row] == kept.requests.last_token_s[number]);
    CHECK(t.output_tokens[row] == kept.requests.output_tokens[number]);
    places.insert(t.number_of(row) % 10);
  }
  CHECK(places.size() > 4);  // drawn, not every tenth
  CHECK(sample.completed == 305);
  CHECK(sample.sketches.e2el.count() == 305);
  CHECK(sample.sketches.ttft.sum() == forgotten.sketches.ttft.sum());
}

TEST_CASE("Figures over all requests hold those that a remote interface answers") {
  ServingSpec spec = whole(2, many(200));
  spec.cluster.remote.share = 0.5;
  spec.cluster.remote.first_token_s = 0.2;
  spec.cluster.remote.tokens_per_s = 50;
  const auto kept = run(spec);
  REQUIRE(kept.remote.requests > 50);
  spec.record_one_in = 0;
  const auto forgotten = run(spec);
  CHECK(forgotten.sketches.e2el.count() == 200);
  double sum = 0;
  for (std::size_t i = 0; i < kept.requests.size(); ++i)
    sum += kept.requests.last_token_s[i] - kept.requests.arrival_s[i];
  CHECK(forgotten.sketches.e2el.mean() == Approx(sum / 200).epsilon(1e-6));
}

// Blocks of 4 tokens. The second prompt shares two blocks with the first: 8 of its 20 tokens are
// read in 8 x 4 B / 320 B/s = 100 ms, the other 12 processed in 10 + 12 ms.
TEST_CASE("Common prefixes of a trace are found in the cache and read at its rate") {
  ServingSpec spec = whole(1, {{0.0, 12, 1}, {1.0, 20, 1}});
  spec.deployment.model.layers = 1;  // 4 B of KV a token
  spec.deployment.model.attention = {
      .heads = 1, .kv_heads = 1, .head_dim = 1, .mla = {}, .sparse = {}};
  auto& arrivals = std::get<TraceArrivals>(spec.workload.arrivals);
  arrivals.prefix =
      std::make_shared<const PrefixBlocks>(PrefixBlocks{4, {0, 3, 8}, {7, 8, 9, 7, 8, 10, 11, 12}});
  spec.cluster.cache_tiers = {{"dram", 1600, 320, 0.0}};
  const auto r = run(spec);
  CHECK(r.requests.first_token_s[0] == Approx(0.022).margin(1e-5));
  CHECK(r.requests.first_token_s[1] == Approx(1.0 + 0.1 + 0.022).margin(1e-5));
  CHECK(r.pools[0].cached_tokens == 8);
  spec.cluster.cache_tiers = {{"dram", 16, 320, 0.0}};  // one block: only 7 is kept
  CHECK(run(spec).pools[0].cached_tokens == 4);
}
