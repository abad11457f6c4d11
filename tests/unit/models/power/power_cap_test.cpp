#include "models/power/power_cap.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>

namespace foretoken::models::power {
namespace {

using hardware::GpuSpec;
using hardware::Watts;

GpuSpec gpu() {
  GpuSpec spec;
  spec.tdp = Watts(700.0);
  spec.idle = Watts(100.0);
  return spec;
}

constexpr PowerModel kModel{.tensor = 0.5, .memory = 0.25, .link = 0.05, .busy = 0.3};

TEST_CASE("a cap above what is drawn costs nothing") {
  // 100 + 600 x (0.3 + 0.5 x 0.2) = 340 W.
  const auto effect = under_cap(gpu(), kModel, {0.2, 0.0, 0.0}, Watts(350.0));
  CHECK(effect.stretch == 1.0);
  CHECK(effect.watts.value() == Approx(340.0));
}

TEST_CASE("a step bound by arithmetic slows by the clock, worked by hand") {
  // tensor 1, memory 0: P(f) = 100 + 600 x (0.3 f^2 + 0.5 f / (1 / f)) = 100 + 480 f^2. A cap of
  // 400 W: f = sqrt(300 / 480) = 0.7906, time x 1.2649.
  const auto effect = under_cap(gpu(), kModel, {1.0, 0.0, 0.0}, Watts(400.0));
  CHECK(effect.clock == Approx(std::sqrt(300.0 / 480.0)).epsilon(1e-6));
  CHECK(effect.stretch == Approx(std::sqrt(480.0 / 300.0)).epsilon(1e-6));
  CHECK(effect.watts.value() == Approx(400.0));
}

TEST_CASE("a step bound by memory does not slow") {
  // memory 1: P(f) = 100 + 600 x (0.3 f^2 + 0.25); 340 W: f^2 = 0.5; the pace is memory's.
  const auto effect = under_cap(gpu(), kModel, {0.0, 1.0, 0.0}, Watts(340.0));
  CHECK(effect.clock == Approx(std::sqrt(0.5)).epsilon(1e-6));
  CHECK(effect.stretch == Approx(1.0));
}

TEST_CASE("a cap that no clock reaches says so") {
  const auto effect = under_cap(gpu(), kModel, {0.0, 1.0, 0.0}, Watts(120.0));
  CHECK_FALSE(effect.reached);
  CHECK(effect.watts.value() > 120.0);
}

TEST_CASE("a lower cap never makes work faster nor draws more") {
  rc::check([] {
    const auto share = [] { return *rc::gen::inRange(0, 101) * 0.01; };
    const Activity activity{share(), share(), share()};
    const double high = *rc::gen::inRange(300, 700);
    const double low = *rc::gen::inRange(200, 300);
    const auto a = under_cap(gpu(), kModel, activity, Watts(high));
    const auto b = under_cap(gpu(), kModel, activity, Watts(low));
    RC_ASSERT(b.stretch >= a.stretch - 1e-12);
    RC_ASSERT(a.stretch >= 1.0);
    RC_ASSERT(b.watts.value() <= a.watts.value() + 1e-6 || !b.reached);
  });
}

}  // namespace
}  // namespace foretoken::models::power
