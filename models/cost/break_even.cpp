#include "models/cost/break_even.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sim/core/error.hpp"

namespace foretoken::models::cost {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool has_purchase(const CostSpec& spec) {
  return spec.node_price || !spec.ledger->purchases.empty();
}

CurvePoint point(const CostSpec& spec, const Service& service, double requests) {
  const Service at = scaled(service, requests);
  CurvePoint out;
  out.requests_per_day = requests;
  out.units = at.units;
  out.own = has_purchase(spec) ? own_ledger(spec, at).amount() / spec.horizon_years : kUnknown;
  const auto rent = cheapest_rent(spec);
  out.rent = rent ? rent_ledger(spec, at, *rent).amount() / spec.horizon_years : kUnknown;
  out.api = spec.ledger->api ? api_ledger(spec, at).amount() / spec.horizon_years : kUnknown;
  return out;
}

// The least load from which owning stays cheaper up to the end of the curve, by bisection between
// the last point at which it is not and the next.
std::optional<double> crossing(const CostSpec& spec, const Service& service,
                               const std::vector<CurvePoint>& curve,
                               double CurvePoint::*alternative) {
  const auto cheaper = [&](const CurvePoint& p) { return p.own <= p.*alternative; };
  if (curve.empty() || !std::isfinite(curve.back().*alternative) || !cheaper(curve.back()))
    return std::nullopt;
  std::size_t first = curve.size() - 1;
  while (first > 0 && cheaper(curve[first - 1])) --first;
  if (first == 0) return curve.front().requests_per_day;
  double no = curve[first - 1].requests_per_day, yes = curve[first].requests_per_day;
  for (int i = 0; i < 60 && yes - no > 1e-6 * yes; ++i) {
    const double middle = 0.5 * (no + yes);
    (cheaper(point(spec, service, middle)) ? yes : no) = middle;
  }
  return yes;
}

double output_price(const CostSpec& spec, const Service& service) {
  const bool own = has_purchase(spec);
  const auto rent = cheapest_rent(spec);
  if (!own && !rent) return kUnknown;
  const Ledger ledger = own ? own_ledger(spec, service) : rent_ledger(spec, service, *rent);
  return unit_costs(ledger, service).million_output.value;
}

using Change = std::function<void(CostSpec&, LedgerSpec&, Service&, double)>;

Swing swing(const CostSpec& spec, const Service& service, const std::string& name,
            std::pair<double, double> ends, const std::string& form, const Change& change) {
  Swing out;
  out.input = name;
  const auto at = [&](double value) {
    CostSpec moved = spec;
    auto more = std::make_shared<LedgerSpec>(*spec.ledger);
    Service served = service;
    served.unit_capacity_per_day = 0.0;  // what if, not whether
    change(moved, *more, served, value);
    moved.ledger = more;
    return output_price(moved, served);
  };
  out.from = fmt::format(fmt::runtime(form), ends.first);
  out.to = fmt::format(fmt::runtime(form), ends.second);
  out.low = at(ends.first);
  out.high = at(ends.second);
  return out;
}

}  // namespace

Service scaled(const Service& service, double requests_per_day) {
  Service out = service;
  out.requests_per_day = requests_per_day;
  if (service.unit_capacity_per_day > 0.0)
    out.units = std::max(1.0, std::ceil(requests_per_day / service.unit_capacity_per_day));
  return out;
}

BreakEven break_even(const CostSpec& spec, const Service& service, double most, int points) {
  SIM_ASSERT(most > 1.0 && points > 1, "a curve needs a span and points");
  BreakEven out;
  for (int i = 0; i < points; ++i)
    out.curve.push_back(
        point(spec, service, std::pow(most, static_cast<double>(i) / (points - 1))));
  out.own_over_api = crossing(spec, service, out.curve, &CurvePoint::api);
  out.own_over_rent = crossing(spec, service, out.curve, &CurvePoint::rent);
  return out;
}

std::vector<Swing> tornado(const CostSpec& spec, const Service& service,
                           const TornadoRanges& ranges) {
  const auto around = [](double share) { return std::pair{1.0 - share, 1.0 + share}; };
  std::vector<Swing> swings;
  const std::string times = "x {:.2f}";
  const bool own = has_purchase(spec);
  swings.push_back(swing(spec, service, own ? "purchase price" : "rent", around(ranges.price),
                         times, [](CostSpec& s, LedgerSpec& more, Service&, double f) {
                           if (s.node_price) s.node_price->amount *= f;
                           if (s.gpu_hour) s.gpu_hour->amount *= f;
                           for (auto& [tier, price] : more.rents) price.amount *= f;
                           for (auto& purchase : more.purchases) purchase.price.amount *= f;
                         }));
  if (own) {
    swings.push_back(swing(spec, service, "electricity price", around(ranges.electricity), times,
                           [](CostSpec& s, LedgerSpec& more, Service&, double f) {
                             s.electricity_per_kwh.amount *= f;
                             for (auto& band : more.tariff) band.per_kwh.amount *= f;
                           }));
    swings.push_back(swing(spec, service, "PUE", {ranges.pue_low, ranges.pue_high}, "{:.2f}",
                           [](CostSpec& s, LedgerSpec&, Service&, double pue) { s.pue = pue; }));
  }
  if (!spec.ledger->staff.empty()) {
    swings.push_back(swing(spec, service, "salaries", around(ranges.staff), times,
                           [](CostSpec&, LedgerSpec& more, Service&, double f) {
                             for (auto& role : more.staff) role.salary.amount *= f;
                           }));
  }
  // Load: other requests on the same nodes. Utilisation: the same requests on other nodes.
  swings.push_back(swing(
      spec, service, "load", around(ranges.load), times,
      [](CostSpec&, LedgerSpec&, Service& served, double f) { served.requests_per_day *= f; }));
  swings.push_back(
      swing(spec, service, "utilisation", around(ranges.utilisation), times,
            [](CostSpec&, LedgerSpec&, Service& served, double f) { served.units /= f; }));
  std::stable_sort(swings.begin(), swings.end(), [](const Swing& a, const Swing& b) {
    return std::abs(a.high - a.low) > std::abs(b.high - b.low);
  });
  return swings;
}

}  // namespace foretoken::models::cost
