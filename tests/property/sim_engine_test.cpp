// Properties of the engine over random input.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <utility>
#include <vector>

#include "sim/core/random.hpp"
#include "sim/engine/event_queue.hpp"
#include "sim/engine/partition_heap.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/metrics/histogram.hpp"

using namespace foretoken::sim::engine;
using foretoken::sim::core::Random;
using foretoken::sim::metrics::Histogram;

TEST_CASE("the queue pops what an ordered map pops, cancellations included") {
  const bool ok = rc::check([](std::uint64_t seed) {
    const auto operations = *rc::gen::inRange(1, 3000);
    const auto spread = *rc::gen::inRange<std::uint64_t>(1, 1000);
    Random random(seed, 0, 0);
    EventQueue queue;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> reference;
    std::vector<std::pair<EventHandle, Key>> handles;
    std::uint64_t now = 0;
    std::uint32_t sequence = 0;
    for (int i = 0; i < operations; ++i) {
      const std::uint64_t what = random.below(10);
      if (what < 5) {
        // Few times, so that the rest of the key often decides; a payload for every other event.
        const auto priority = random.chance(0.5) ? Priority::normal : Priority::late;
        const auto source = static_cast<std::uint32_t>(random.below(3));
        const Key key = Key::make(now + random.below(spread), priority, source, sequence);
        const Payload payload = sequence % 2 == 0 ? Payload() : Payload(sequence);
        handles.emplace_back(queue.push(key, 0, sequence, payload), key);
        reference.emplace(std::pair(key.time, key.order), sequence++);
      } else if (what < 8) {
        const std::uint64_t time = queue.next_time();
        RC_ASSERT((time == EventQueue::kNever) == reference.empty());
        if (reference.empty()) continue;
        RC_ASSERT(time == reference.begin()->first.first);
        RC_ASSERT(queue.top_key().order == reference.begin()->first.second);
        RC_ASSERT(queue.top_kind() == reference.begin()->second);
        const Payload* const payload = queue.top_payload();
        RC_ASSERT((payload != nullptr) == (queue.top_kind() % 2 == 1));
        if (payload != nullptr) RC_ASSERT(payload->as<std::uint32_t>() == queue.top_kind());
        now = time;
        queue.pop();
        reference.erase(reference.begin());
      } else if (!handles.empty()) {
        const auto& [handle, key] = handles[random.below(handles.size())];
        const bool was_there = reference.erase(std::pair(key.time, key.order)) == 1;
        RC_ASSERT(queue.cancel(handle, 0) == was_there);
      }
      RC_ASSERT(queue.size() == reference.size());
    }
  });
  CHECK(ok);
}

TEST_CASE("the partition heap knows the two earliest partitions") {
  const bool ok = rc::check([](std::vector<std::uint64_t> times) {
    RC_PRE(!times.empty());
    Random random(times.size(), 0, 0);
    PartitionHeap heap;
    heap.assign(times);
    for (int i = 0; i < 100; ++i) {
      auto sorted = times;
      std::sort(sorted.begin(), sorted.end());
      RC_ASSERT(heap.top_time() == sorted[0]);
      RC_ASSERT(times[heap.top()] == sorted[0]);
      RC_ASSERT(heap.second_time() == (sorted.size() > 1 ? sorted[1] : UINT64_MAX));
      const auto p = static_cast<std::uint32_t>(random.below(times.size()));
      times[p] = random.below(50);
      heap.update(p, times[p]);
    }
  });
  CHECK(ok);
}

TEST_CASE("histograms merge to the same whatever the parts and their order") {
  const bool ok = rc::check([](std::uint64_t seed) {
    const auto n = *rc::gen::inRange<std::size_t>(1, 2000);
    const auto parts = *rc::gen::inRange<std::size_t>(1, 9);
    const auto limit = *rc::gen::element<std::size_t>(0, 100, 5000);
    Random random(seed, 0, 0);
    Histogram whole(limit);
    std::vector<Histogram> split(parts, Histogram(limit));
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) {
      values.push_back(random.lognormal(0.0, 5.0));
      whole.add(values.back());
      split[random.below(parts)].add(values.back());
    }
    Histogram merged(limit);
    while (!split.empty()) {
      const std::size_t i = random.below(split.size());
      merged.merge(split[i]);
      split.erase(split.begin() + static_cast<std::ptrdiff_t>(i));
    }
    RC_ASSERT(merged.sum() == whole.sum());
    std::sort(values.begin(), values.end());
    for (const double p : {0.0, 25.0, 50.0, 99.0, 100.0}) {
      RC_ASSERT(merged.percentile(p) == whole.percentile(p));
      // Between the two order statistics around it, give or take half a percent.
      const double at = p / 100.0 * static_cast<double>(n - 1);
      const double low = values[static_cast<std::size_t>(at)];
      const double high = values[std::min(n - 1, static_cast<std::size_t>(at) + 1)];
      RC_ASSERT(merged.percentile(p) >= low * (1.0 - Histogram::kRelativeError));
      RC_ASSERT(merged.percentile(p) <= high * (1.0 + Histogram::kRelativeError));
    }
  });
  CHECK(ok);
}

namespace {

// Forwards messages along random channels, with draws, ties and promises of its own next event.
class Forwarder final : public Process {
 public:
  Forwarder(std::uint64_t seed, std::uint32_t id) : random_(seed, id, 0) {}
  std::vector<std::pair<ChannelId, std::int64_t>> out;

  void start(Context& c) override { tick(c); }
  void handle(Context& c, const Event& event) override {
    if (event.source == event.target) {
      if (!out.empty()) send(c);
      tick(c);
    } else if (!out.empty() && random_.chance(0.4)) {
      send(c);
    }
  }

 private:
  void send(Context& c) {
    const auto& [channel, least] = out[random_.below(out.size())];
    c.send(channel, Duration::picoseconds(least + 3 * random_.integer(0, 3)), 1);
  }
  void tick(Context& c) {
    const Duration pause = Duration::picoseconds(3 * random_.integer(1, 30));
    c.schedule(pause, 0);
    c.promise(c.now() + pause, true);
  }
  Random random_;
};

struct Graph {
  std::uint64_t seed;
  std::uint32_t processes;
  std::vector<std::uint32_t> partition_of;
  std::uint32_t partitions;
  double density;
};

std::uint64_t hash_of(const Graph& g, bool together, const RunOptions& options) {
  Simulation s;
  for (std::uint32_t p = 0; p < g.partitions; ++p) s.add_partition();
  std::vector<Forwarder*> made;
  for (std::uint32_t i = 0; i < g.processes; ++i) {
    auto process = std::make_unique<Forwarder>(g.seed, i);
    made.push_back(process.get());
    s.add_process(std::move(process), PartitionId{together ? 0 : g.partition_of[i]});
  }
  Random random(g.seed, 0, 9);
  for (std::uint32_t a = 0; a < g.processes; ++a) {
    for (std::uint32_t b = 0; b < g.processes; ++b) {
      if (a == b || !random.chance(g.density)) continue;
      const bool same = g.partition_of[a] == g.partition_of[b];
      const std::int64_t least = random.integer(same ? 0 : 1, 40);
      const auto channel = s.connect(EntityId{a}, EntityId{b}, Duration::picoseconds(least));
      // Even where a channel's least delay is zero, a message takes time: no endless exchange.
      made[a]->out.emplace_back(channel, std::max<std::int64_t>(least, 1));
    }
  }
  RunOptions bounded = options;
  bounded.until = Time::from_ps(1500);
  return s.run(bounded).hash;
}

}  // namespace

TEST_CASE("random systems give the same events however they are cut up and run") {
  const bool ok = rc::check([] {
    Graph g;
    g.seed = *rc::gen::arbitrary<std::uint64_t>();
    g.processes = *rc::gen::inRange<std::uint32_t>(1, 24);
    g.partitions = *rc::gen::inRange<std::uint32_t>(1, 12);
    g.density = *rc::gen::element(0.02, 0.1, 0.5);
    for (std::uint32_t i = 0; i < g.processes; ++i) {
      g.partition_of.push_back(*rc::gen::inRange<std::uint32_t>(0, g.partitions));
    }
    const std::uint64_t expected = hash_of(g, true, {});
    RC_ASSERT(hash_of(g, false, {}) == expected);
    RunOptions windows;
    windows.executor = ExecutorKind::threads;
    windows.threads = 2;
    windows.always_windows = true;
    windows.plain_threads = true;
    windows.shuffle_mailboxes = g.seed;
    RC_ASSERT(hash_of(g, false, windows) == expected);
  });
  CHECK(ok);
}
