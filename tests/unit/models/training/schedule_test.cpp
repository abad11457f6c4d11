// Closed forms of pipeline schedules, communication free.
#include "models/training/schedule.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <tuple>

#include "fixture.hpp"

using namespace foretoken::models::training;
using test::job;

namespace {

// Every GPU's work of one micro-batch takes F, I, W; positions share it evenly.
PipelineTimes even(const TrainingSpec& spec, double f, double i, double w) {
  PipelineTimes times;
  const int each = positions(spec) / spec.layout.pipeline;
  times.positions.assign(static_cast<std::size_t>(positions(spec)), {f / each, i / each, w / each});
  times.overlapped_s = [=](int, int) { return (f + i + w) / each; };
  return times;
}

double simulated(const TrainingSpec& spec, const PipelineTimes& times) {
  return run_pipeline(spec, pipeline_order(spec), times, false).end.seconds();
}

}  // namespace

TEST_CASE("GPipe and 1F1B: (m + p - 1)(F + B), a bubble of (p - 1)/(m + p - 1)") {
  for (const Schedule schedule : {Schedule::gpipe, Schedule::one_f_one_b})
    for (const int p : {1, 2, 4, 8}) {
      const int m = 12;
      const auto spec = job(schedule, p, m);
      const double total = simulated(spec, even(spec, 1, 1, 1));
      CHECK(total == Approx((m + p - 1) * 3.0));
      CHECK(1 - m * 3.0 / total == Approx((p - 1.0) / (m + p - 1.0)).margin(1e-12));
      CHECK(pipeline_closed_form(spec, even(spec, 1, 1, 1)) == Approx(total));
    }
}

TEST_CASE("interleaving divides the bubble by the chunks") {
  for (const int v : {2, 4}) {
    const int p = 4, m = 16;
    const auto spec = job(Schedule::interleaved, p, m, v);
    const double total = simulated(spec, even(spec, 1, 1, 1));
    CHECK(total == Approx(m * 3.0 + (p - 1) * 3.0 / v));
    CHECK(pipeline_closed_form(spec, even(spec, 1, 1, 1)) == Approx(total));
  }
}

TEST_CASE("ZB-H1: bubble (p - 1)(F + B - W), a third of 1F1B's where all passes take as long") {
  for (const int p : {2, 4, 8}) {
    const int m = 3 * p;
    const auto spec = job(Schedule::zb_h1, p, m);
    CHECK(simulated(spec, even(spec, 1, 1, 1)) == Approx(m * 3.0 + (p - 1) * 1.0));
    CHECK(pipeline_closed_form(spec, even(spec, 1, 1, 1)) == Approx(m * 3.0 + (p - 1) * 1.0));
  }
}

TEST_CASE("ZB-V: no GPU idles between its first and its last task where all passes take as long") {
  for (const int p : {2, 4, 8}) {
    const int m = 3 * p;
    const auto spec = job(Schedule::zb_v, p, m);
    const auto run = run_pipeline(spec, pipeline_order(spec), even(spec, 2, 2, 2), true);
    std::map<int, std::pair<double, double>> span;
    for (const Span& s : run.spans) {
      auto& [first, last] = span.try_emplace(s.device, 1e9, 0.0).first->second;
      first = std::min(first, s.start.seconds());
      last = std::max(last, s.end.seconds());
    }
    for (const auto& [device, ends] : span) CHECK(ends.second - ends.first == Approx(m * 6.0));
    CHECK(pipeline_closed_form(spec, even(spec, 2, 2, 2)) == Approx(run.end.seconds()));
  }
}

TEST_CASE("DualPipe: bubble (p/2 - 1)(F&B + B - 3W)") {
  // F = 1, B = 2 of which W = 1; an overlapped pair takes 3: (p/2 - 1)(3 + 2 - 3).
  for (const int p : {2, 4, 8}) {
    const int m = 4 * p;
    const auto spec = job(Schedule::dualpipe, p, m);
    const double total = simulated(spec, even(spec, 1, 1, 1));
    CHECK(total == Approx(m * 3.0 + (p / 2 - 1) * 2.0));
    CHECK(pipeline_closed_form(spec, even(spec, 1, 1, 1)) == Approx(total));
  }
}

TEST_CASE("DualPipeV: DualPipe's bubble on half the GPUs") {
  // A GPU's two chunks: F = 1, B = 2, W = 1 each.
  for (const int p : {1, 2, 4}) {
    const int m = 8 * p;
    const auto spec = job(Schedule::dualpipe_v, p, m);
    const double total = simulated(spec, even(spec, 2, 2, 2));
    CHECK(total == Approx(2 * m * 3.0 + (p - 1) * 2.0));
    CHECK(pipeline_closed_form(spec, even(spec, 2, 2, 2)) == Approx(total));
  }
}

TEST_CASE("an overlapped pair that takes less shortens DualPipe by that much a pair") {
  const int p = 8, m = 64;
  const auto spec = job(Schedule::dualpipe, p, m);
  auto times = even(spec, 1, 1, 1);
  const double before = simulated(spec, times);
  times.overlapped_s = [](int, int) { return 2.5; };
  const double after = simulated(spec, times);
  CHECK(after < before);
  CHECK(before - after <= 0.5 * m + 1e-9);
  CHECK(before - after > 0.5 * (m - 2 * p));
}

TEST_CASE("every schedule runs each pass of each micro-batch once on each position") {
  using Key = std::tuple<int, int, int, int>;  // work, direction, position, micro-batch
  for (const Schedule schedule :
       {Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved, Schedule::zb_h1,
        Schedule::zb_v, Schedule::dualpipe, Schedule::dualpipe_v})
    for (const int p : {2, 4}) {
      const int m = 16;
      const auto spec = job(schedule, p, m, schedule == Schedule::interleaved ? 2 : 1);
      std::multiset<Key> forwards, inputs, weights;
      for (const auto& tasks : pipeline_order(spec))
        for (const Task& t : tasks) {
          const Key one{0, t.direction, t.position, t.micro_batch};
          const Key two{0, t.direction2, t.position2, t.micro_batch2};
          if (t.work == Work::forward || t.work == Work::overlapped) forwards.insert(one);
          if (t.work == Work::overlapped) inputs.insert(two), weights.insert(two);
          if (t.work == Work::backward || t.work == Work::input) inputs.insert(one);
          if (t.work == Work::backward || t.work == Work::weight) weights.insert(one);
        }
      const auto total = static_cast<std::size_t>(positions(spec) * m);
      CHECK(forwards.size() == total);
      CHECK(std::set<Key>(forwards.begin(), forwards.end()).size() == total);
      CHECK(inputs == forwards);
      CHECK(weights == forwards);
    }
}

TEST_CASE("activations in flight: 1F1B holds p - s micro-batches, GPipe all of them") {
  const int p = 4, m = 12;
  const auto one = job(Schedule::one_f_one_b, p, m);
  const std::vector<double> unit(4, 1.0);
  CHECK(in_flight(one, pipeline_order(one), unit).bytes == std::vector<double>{4, 3, 2, 1});
  const auto all = job(Schedule::gpipe, p, m);
  CHECK(in_flight(all, pipeline_order(all), unit).bytes == std::vector<double>(4, 12.0));
  // DualPipe: p + 1 micro-batches, on every GPU (DeepSeek-V3 report, table 2).
  const auto dual = job(Schedule::dualpipe, p, 16);
  for (const double held : in_flight(dual, pipeline_order(dual), unit).bytes) CHECK(held <= p + 1);
}

TEST_CASE("messages between stages lengthen the ramp, and run beside compute") {
  const auto spec = job(Schedule::gpipe, 4, 16);
  auto times = even(spec, 1, 1, 1);
  const double free = simulated(spec, times);
  times.send_s = 0.25;
  // GPipe sends three times on the way there and three times back; the rest hides.
  CHECK(simulated(spec, times) == Approx(free + 6 * 0.25));
}

TEST_CASE("a slow stage sets the pace") {
  const auto spec = job(Schedule::one_f_one_b, 4, 16);
  auto times = even(spec, 1, 1, 1);
  times.positions[2] = {2, 2, 2};
  // Two forwards before the slow stage starts, 16 rounds of it, 1 of waiting for the first gradient
  // (3 of the last stage less the 2 of its own second forward), two backwards after it.
  CHECK(simulated(spec, times) == Approx(2 + 16 * 6.0 + 1 + 4));
  // The closed form ignores the forward that hides: one pass through all, 15 more rounds.
  CHECK(pipeline_closed_form(spec, times) == Approx(3 * 3 + 6 + 15 * 6.0));
}

TEST_CASE("the same order gives the same times, event by event") {
  const auto spec = job(Schedule::dualpipe, 4, 16);
  const auto times = even(spec, 1.1, 0.9, 1.3);
  const auto a = run_pipeline(spec, pipeline_order(spec), times, true);
  const auto b = run_pipeline(spec, pipeline_order(spec), times, true);
  REQUIRE(a.spans.size() == b.spans.size());
  for (std::size_t i = 0; i < a.spans.size(); ++i) CHECK(a.spans[i].start == b.spans[i].start);
}
