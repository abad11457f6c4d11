#include "models/power/gpu_power.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

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

// Shares of the 600 W between idle and the limit.
constexpr PowerModel kModel{.tensor = 0.5, .memory = 0.25, .link = 0.05, .busy = 0.3};

TEST_CASE("idle GPUs draw idle power") {
  CHECK(gpu_power(gpu(), kModel, {}, 0.0).value() == 100.0);
}

TEST_CASE("watts of a decode step, worked by hand") {
  // 100 + 600 x (0.3 + 0.5 x 0.1 + 0.25 x 0.6 + 0.05 x 0.2) = 100 + 600 x 0.51 = 406 W.
  CHECK(gpu_power(gpu(), kModel, {0.1, 0.6, 0.2}, 1.0).value() == Approx(406.0));
}

TEST_CASE("a GPU busy half of the time draws the mean of busy and idle") {
  // While busy the activity is twice as high: 406 W as above; (406 + 100) / 2 = 253 W.
  CHECK(gpu_power(gpu(), kModel, {0.05, 0.3, 0.1}, 0.5).value() == Approx(253.0));
}

TEST_CASE("the limit acts while busy, not on the mean") {
  // 100 + 600 x (0.3 + 0.5 + 0.25 + 0.05) = 760 W, held at 700 W.
  CHECK(gpu_power(gpu(), kModel, {1.0, 1.0, 1.0}, 1.0).value() == Approx(700.0));
  // A quarter of the time: 700 / 4 + 100 x 3 / 4 = 250 W, not 760 / 4 + 75 = 265 W.
  CHECK(gpu_power(gpu(), kModel, {0.25, 0.25, 0.25}, 0.25).value() == Approx(250.0));
}

TEST_CASE("a regulator that holds 97 % of the limit") {
  PowerModel model = kModel;
  model.ceiling = 0.97;
  CHECK(gpu_power(gpu(), model, {1.0, 1.0, 1.0}, 1.0).value() == Approx(679.0));
}

TEST_CASE("shares outside 0..1 are programming errors") {
  CHECK_THROWS_AS(gpu_power(gpu(), kModel, {}, 1.5), std::logic_error);
  CHECK_THROWS_AS(gpu_power(gpu(), kModel, {-0.1, 0.0, 0.0}, 1.0), std::logic_error);
}

TEST_CASE("power stays between idle and the limit and grows with activity") {
  CHECK(rc::check("bounded and monotone", [] {
    const auto share = [] { return *rc::gen::inRange(0, 1001) / 1000.0; };
    const double busy = share();
    const Activity low{share() * busy, share() * busy, share() * busy};
    Activity high = low;
    high.tensor = std::min(busy, low.tensor + share());
    high.memory = std::min(busy, low.memory + share());
    const double before = gpu_power(gpu(), kModel, low, busy).value();
    const double after = gpu_power(gpu(), kModel, high, busy).value();
    RC_ASSERT(before >= 100.0 - 1e-9);
    RC_ASSERT(after <= 700.0 + 1e-9);
    RC_ASSERT(after >= before - 1e-9);
  }));
}

}  // namespace
}  // namespace foretoken::models::power
