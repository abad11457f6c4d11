#pragma once
#include <string_view>

namespace foretoken::sim::core {

// Where a number came from, from the most to the least trusted.
enum class Provenance {
  measured,    // interpolated inside a table of measurements of this very GPU and engine
  calibrated,  // a fitted model, or measurements of a near relative (other engine version, shape
               // outside)
  analytical,  // a physical model from the card alone
  assumed,     // a default that nobody checked for this case
  user         // stated in the scenario
};

constexpr std::string_view to_string(Provenance p) {
  switch (p) {
    case Provenance::measured:
      return "measured";
    case Provenance::calibrated:
      return "calibrated";
    case Provenance::analytical:
      return "analytical";
    case Provenance::assumed:
      return "assumed";
    case Provenance::user:
      return "user";
  }
  return "?";
}

// A figure made of several is no more trusted than its weakest part.
constexpr Provenance weakest(Provenance a, Provenance b) { return a > b ? a : b; }

}  // namespace foretoken::sim::core
