#include "models/serving/sketches.hpp"

#include <catch2/catch.hpp>

using foretoken::models::serving::Sketches;

namespace {
constexpr std::int64_t kMs = 1'000'000'000;
}

// Arrives at 0, starts at 10 ms, first token at 30 ms, the last of 5 at 70 ms: 10 ms a token.
TEST_CASE("One request's times") {
  Sketches s;
  CHECK(s.empty());
  s.add({0, 10 * kMs, 30 * kMs, 70 * kMs, 5});
  CHECK(s.ttft.mean() == Approx(0.030));
  CHECK(s.tpot.mean() == Approx(0.010));
  CHECK(s.e2el.mean() == Approx(0.070));
  CHECK(s.queueing.mean() == Approx(0.010));
  CHECK(s.prefill.mean() == Approx(0.020));
  CHECK(s.decode.mean() == Approx(0.040));
}

TEST_CASE("A request of one token has no time per output token") {
  Sketches s;
  s.add({0, 0, kMs, kMs, 1});
  CHECK(s.tpot.count() == 0);
  CHECK(s.ttft.count() == 1);
}

TEST_CASE("Merging is the same in any order") {
  Sketches a, b, ab, ba;
  for (int i = 1; i <= 100; ++i) a.add({0, i * kMs, 2 * i * kMs, 9 * i * kMs, 8});
  for (int i = 1; i <= 50; ++i) b.add({0, kMs, 3 * i * kMs, 7 * i * kMs, 3});
  ab.merge(a);
  ab.merge(b);
  ba.merge(b);
  ba.merge(a);
  CHECK(ab.e2el.count() == 150);
  CHECK(ab.e2el.mean() == ba.e2el.mean());
  CHECK(ab.ttft.percentile(90) == ba.ttft.percentile(90));
}
