#include "models/serving/recorder.hpp"

#include <catch2/catch.hpp>

#include "models/serving/archive.hpp"

using namespace foretoken::models::serving;

namespace {
constexpr std::int64_t kSecond = 1'000'000'000'000;
}

TEST_CASE("A span is spread over the bins it touches") {
  // Bins of 1 s; 2 running from 0.5 s to 2.25 s: 1, 2 and 0.5 request-seconds.
  Series series({kSecond, 10});
  SeriesBin rates;
  rates.running = 2;
  series.add(kSecond / 2, 9 * kSecond / 4, rates);
  REQUIRE(series.bins().size() == 3);
  CHECK(series.bins()[0].running == Approx(1.0));
  CHECK(series.bins()[1].running == Approx(2.0));
  CHECK(series.bins()[2].running == Approx(0.5));
}

TEST_CASE("A run longer than the grid doubles its bins and loses nothing") {
  Series series({kSecond, 4});
  SeriesBin one;
  one.busy = 1;
  for (std::int64_t s = 0; s < 13; ++s) series.add(s * kSecond, (s + 1) * kSecond, one);
  CHECK(series.bin_ps() == 4 * kSecond);  // 13 s in at most 4 bins
  REQUIRE(series.bins().size() == 4);
  CHECK(series.bins()[0].busy == Approx(4.0));
  CHECK(series.bins()[3].busy == Approx(1.0));
  series.rebin(8 * kSecond);
  CHECK(series.bins()[1].busy == Approx(5.0));
}

TEST_CASE("The step log keeps every n-th step from the first on") {
  StepLog log(8);
  for (std::int64_t i = 0; i < 100; ++i) {
    StepRecord step;
    step.start_ps = i;
    log.add(step);
  }
  CHECK(log.kept_every() == 16);  // 100 / 8 rounded up to a power of two
  REQUIRE(log.steps().size() == 7);
  for (std::size_t i = 0; i < log.steps().size(); ++i)
    CHECK(log.steps()[i].start_ps == static_cast<std::int64_t>(16 * i));
}

TEST_CASE("Energy counts from the end of the warm-up, prorated within a step") {
  RecorderSpec spec;
  spec.gpu.idle = foretoken::models::hardware::Watts(100);
  spec.gpu.tdp = foretoken::models::hardware::Watts(700);
  spec.power.busy = 0.5;  // 100 + 0.5 x 600 = 400 W
  spec.measured_from_ps = kSecond / 4;
  spec.grid = {kSecond, 10};
  Recorder recorder(spec);
  StepCost cost;
  cost.seconds = cost.gemm_s = 1.0;
  StepRecord step;
  step.end_ps = kSecond;
  recorder.step(step, {}, cost);
  CHECK(recorder.totals().measured_busy_s == Approx(0.75));
  CHECK(recorder.totals().measured_joules == Approx(300.0));
  CHECK(recorder.series().bins()[0].joules == Approx(400.0));
}

// A step of 1 s with 10 sequences and one of 3 s with 2: 4 on average; the prompt beside them and
// what ends after the window do not count.
TEST_CASE("Sequences of the window are weighted by time") {
  RecorderSpec spec;
  spec.grid = {kSecond, 10};
  spec.measured_until_ps = 5 * kSecond;
  Recorder recorder(spec);
  const auto step = [&](int from, int to, std::int32_t sequences, std::int64_t context) {
    StepRecord record;
    record.start_ps = from * kSecond;
    record.end_ps = to * kSecond;
    record.decode_sequences = sequences;
    StepInput input;
    input.decode_batch = sequences;
    input.decode_context = context;
    recorder.step(record, input, {});
  };
  step(0, 1, 10, 1000);
  step(1, 4, 2, 100);
  step(4, 5, 0, 0);
  step(5, 9, 1, 9);
  const RunTotals& t = recorder.totals();
  CHECK(t.window_busy_s == Approx(5.0));
  CHECK(t.window_decode_s == Approx(4.0));
  CHECK(t.window_sequences / t.window_decode_s == Approx(4.0));
  CHECK(t.window_context / t.window_sequences == Approx(1300.0 / 16));
}

TEST_CASE("A saved recorder comes back as it was") {
  RecorderSpec spec;
  spec.grid = {kSecond, 10};
  spec.step_capacity = 5;
  Recorder recorder(spec), copy(spec);
  StepCost cost;
  cost.seconds = cost.host_s = 2.0;
  StepRecord step;
  step.end_ps = 2 * kSecond;
  step.output_tokens = 3;
  recorder.step(step, {}, cost);
  std::vector<std::byte> bytes;
  Writer writer(bytes);
  recorder.fields(writer);
  Reader reader(bytes);
  copy.fields(reader);
  CHECK(reader.done());
  CHECK(copy.totals().output_tokens == 3);
  CHECK(copy.totals().cost.host_s == 2.0);
  CHECK(copy.series().bins().size() == recorder.series().bins().size());
  CHECK(copy.steps().steps().size() == 1);
  bytes.pop_back();
  Reader cut(bytes);
  CHECK_THROWS(copy.fields(cut));
}
