#pragma once
// Everything about the money of a deployment: ledgers of owning, renting and calling, what a token
// costs, when a purchase is paid back, from which load owning is cheapest, what a price depends on.
#include <optional>
#include <string>
#include <vector>

#include "analysis/statistics.hpp"
#include "models/cost/break_even.hpp"
#include "models/cost/ledger.hpp"

namespace foretoken::analysis {

struct CostQuestion {
  std::string name;
  models::cost::CostSpec spec;
  models::cost::Service service;
  bool simulated = false;      // else the service was stated
  std::string capacity_basis;  // where the capacity of a node comes from
  double most_requests_per_day = 1e8;
};

struct CostAnswer {
  CostQuestion question;
  std::optional<models::cost::Ledger> own, api;
  std::vector<std::pair<std::string, models::cost::Ledger>> rents;  // by tier
  models::cost::BreakEven break_even;
  std::vector<models::cost::Swing> tornado;
  // Selling what is made at the interface's prices, against owning or the cheapest rent.
  std::optional<double> margin;
  std::vector<std::string> left_out;  // what could not be computed, and why
};

// The service that a simulation showed.
models::cost::Service service_of(const Metrics& metrics);

// Throws InputError where not even one ledger can be written.
CostAnswer answer_cost(const CostQuestion& question);

std::string cost_text(const CostAnswer& answer);
std::string cost_json(const CostAnswer& answer);

}  // namespace foretoken::analysis
