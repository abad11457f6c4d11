#include "validation/power/power_fit.hpp"

#include <catch2/catch.hpp>

namespace foretoken::validation::power {
namespace {

using models::hardware::Watts;
using models::power::Activity;
using models::power::PowerModel;

PowerSample sample(const PowerModel& truth, const Activity& activity, double busy) {
  PowerSample s;
  s.use.gpu.tdp = Watts(700.0);
  s.use.gpu.idle = Watts(100.0);
  s.use.activity = activity;
  s.use.busy = busy;
  s.watts = models::power::gpu_power(s.use.gpu, truth, activity, busy).value();
  return s;
}

TEST_CASE("the fit finds the coefficients that made the watts") {
  PowerModel truth;
  truth.busy = 0.2;
  truth.tensor = 1.4;
  truth.memory = 0.5;
  truth.ceiling = 0.97;
  std::vector<PowerSample> samples;
  for (const double tensor : {0.01, 0.05, 0.1, 0.2, 0.3})
    for (const double memory : {0.1, 0.4, 0.7})
      for (const double busy : {0.8, 1.0})
        samples.push_back(sample(truth, {tensor * busy, memory * busy, 0.0}, busy));
  PowerModel start;
  start.ceiling = 0.97;
  const PowerModel found = fit_power(samples, start);
  CHECK(found.busy == Approx(truth.busy).epsilon(0.05));
  CHECK(found.tensor == Approx(truth.tensor).epsilon(0.05));
  CHECK(found.memory == Approx(truth.memory).epsilon(0.05));
}

TEST_CASE("rows at the limit say nothing of what is beyond it: tensor stays within its bound") {
  PowerModel truth;
  truth.busy = 0.4;
  truth.tensor = 6.0;
  std::vector<PowerSample> samples;
  for (const double tensor : {0.01, 0.3, 0.5, 0.7})
    samples.push_back(sample(truth, {tensor, 0.2, 0.0}, 1.0));
  CHECK(fit_power(samples, {}).tensor <= 2.0);
}

TEST_CASE("nothing to fit leaves the card as it is") {
  PowerModel start;
  start.busy = 0.123;
  CHECK(fit_power({}, start).busy == 0.123);
}

}  // namespace
}  // namespace foretoken::validation::power
