#include "models/serving/speculation.hpp"

#include <catch2/catch.hpp>

using foretoken::models::serving::SpeculationSpec;

// Two guesses at 0.9 and 0.7: 1 + 0.9 + 0.9 x 0.7.
TEST_CASE("Tokens of a step: the model's own and guesses until the first wrong one") {
  CHECK(SpeculationSpec{}.tokens_per_step() == 1.0);
  SpeculationSpec two;
  two.acceptance = {0.9, 0.7};
  CHECK(two.guesses() == 2);
  CHECK(two.tokens_per_step() == Approx(2.53));
  two.acceptance = {0.0, 1.0};
  CHECK(two.tokens_per_step() == 1.0);
}
