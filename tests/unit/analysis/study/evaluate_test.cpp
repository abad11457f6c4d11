#include "analysis/study/evaluate.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;

TEST_CASE("a point that cannot be loaded or does not fit is an outcome, not an end", "[study]") {
  const test::World world;
  const auto fine = world.evaluator.evaluate(Overrides{}, true, nullptr);
  REQUIRE(fine.status == Status::ok);
  CHECK(fine.metrics->completed > 50);  // 2/s for 40 s
  CHECK(fine.summary.find("\"completed\"") != std::string::npos);

  const auto wrong =
      world.evaluator.evaluate(Overrides{"deployment.parallel.tensor=3"}, false, nullptr);
  CHECK(wrong.status == Status::bad_input);
  CHECK_FALSE(wrong.error.empty());

  const auto large = world.evaluator.evaluate(Overrides{"model=deepseek-llm-67b"}, false, nullptr);
  CHECK(large.status == Status::infeasible);
  CHECK(large.error.find("does not fit") != std::string::npos);
}

TEST_CASE("work is begun in order, and the first failure ends it", "[study]") {
  std::vector<std::size_t> seen;
  for_each_in_order(5, 1, nullptr, [&](std::size_t i) { seen.push_back(i); });
  CHECK(seen == std::vector<std::size_t>{0, 1, 2, 3, 4});

  std::atomic<int> done{0};
  for_each_in_order(100, 4, nullptr, [&](std::size_t) { ++done; });
  CHECK(done == 100);

  std::vector<std::size_t> begun;
  CHECK_THROWS_WITH(for_each_in_order(10, 1, nullptr,
                                      [&](std::size_t i) {
                                        begun.push_back(i);
                                        if (i == 3) throw std::runtime_error("third");
                                      }),
                    "third");
  CHECK(begun.size() == 4);

  const std::atomic<bool> interrupt{true};
  CHECK_THROWS_AS(for_each_in_order(3, 2, &interrupt, [](std::size_t) {}), Interrupted);
}
