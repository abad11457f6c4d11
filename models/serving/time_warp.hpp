#pragma once
// A clock that runs at the speed of a rate profile: time advances so that the profile's integral
// grows by what was asked. Random arrivals drawn at a constant rate then follow the profile.
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

class TimeWarp {
 public:
  explicit TimeWarp(const RateProfile& profile);
  [[nodiscard]] bool none() const { return spans_.empty(); }
  // Seconds at which the integral has grown by `area_s`; infinity if it never does.
  double advance(double area_s);

 private:
  struct Span {  // factor from `from` to `to` in `length_s`
    double length_s, from, to;
  };
  std::vector<Span> spans_;
  double period_s_;
  std::size_t at_ = 0;
  double inside_s_ = 0.0, now_s_ = 0.0;
};

// Of the rate over a period, or of the last factor, which holds for good; 1 without a profile.
double mean_factor(const RateProfile& profile);

}  // namespace foretoken::models::serving
