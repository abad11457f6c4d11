#pragma once
// Own, rent or call: which is cheapest at how many requests a day; and what a price depends on.
#include <optional>
#include <string>
#include <vector>

#include "models/cost/ledger.hpp"

namespace foretoken::models::cost {

// Nodes needed for `requests_per_day`, each good for Service::unit_capacity_per_day; at least 1.
Service scaled(const Service& service, double requests_per_day);

struct CurvePoint {
  double requests_per_day = 0.0, units = 0.0;
  // A year, in the ledger's currency; NaN where a price is not known.
  double own = 0.0, rent = 0.0, api = 0.0;
};

struct BreakEven {
  std::vector<CurvePoint> curve;
  // From here on owning stays cheaper, as far as the curve goes; nothing if it never is.
  std::optional<double> own_over_api, own_over_rent;
};

// Requests a day from one to `most`, in equal ratios, and exact crossings between the points.
BreakEven break_even(const CostSpec& spec, const Service& service, double most, int points = 40);

// One input moved, all else as it is: cost per million output tokens at both ends.
struct Swing {
  std::string input;
  std::string from, to;          // as written
  double low = 0.0, high = 0.0;  // cost at `from` and `to`
};
struct TornadoRanges {
  double price = 0.2, electricity = 0.3, staff = 0.2, load = 0.3, utilisation = 0.2;  // +- shares
  double pue_low = 1.1, pue_high = 1.6;
};
// Widest first.
std::vector<Swing> tornado(const CostSpec& spec, const Service& service,
                           const TornadoRanges& ranges = {});

}  // namespace foretoken::models::cost
