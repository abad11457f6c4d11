#pragma once
// Money: exact decimal amounts with a currency, price cards, cost of a run.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/units.hpp"

namespace foretoken::models::cost {

enum class Currency { CNY, USD };
std::string_view to_string(Currency currency);

// A price with where and when it was seen.
struct Price {
  double amount = 0.0;  // in `currency`
  Currency currency = Currency::USD;
  std::string source;
  std::string date;         // YYYY-MM-DD
  std::string valid_until;  // YYYY-MM-DD; older than this: use it, but say so
};

struct ExchangeRate {  // CNY for one USD
  double cny_per_usd = 0.0;
  std::string source, date;
};

struct LedgerSpec;  // ledger.hpp: everything else that owning, renting or calling costs

struct CostSpec {
  Currency currency = Currency::CNY;  // shown first
  ExchangeRate exchange;
  std::optional<Price> node_price;  // bought, one node with its GPUs and network share
  std::optional<Price> gpu_hour;    // rented
  Price electricity_per_kwh;
  double pue = 1.0;
  double horizon_years = 3.0;         // straight-line depreciation to zero
  double maintenance_per_year = 0.0;  // share of the purchase price
  double carbon_kg_per_kwh = 0.0;     // of the grid; 0 = not asked for
  std::shared_ptr<const LedgerSpec> ledger;
};

struct CostAccount {  // all in CNY and USD by the dated rate; per hour of the whole deployment
  struct Line {
    std::string name;
    double cny = 0.0, usd = 0.0;
  };
  std::vector<Line> per_hour;  // hardware, maintenance, electricity, or rent
  double total_cny_per_hour = 0.0, total_usd_per_hour = 0.0;
  // The whole cost over the output tokens alone, and over input and output. NaN without tokens.
  double cny_per_million_output_tokens = 0.0, usd_per_million_output_tokens = 0.0;
  double cny_per_million_total_tokens = 0.0, usd_per_million_total_tokens = 0.0;
  std::string formula;  // in words, with numerator and denominator
};

// Bought: depreciation and maintenance of `nodes` nodes and the electricity they draw. Rented:
// `gpus` GPUs an hour, the mean where their number changes, electricity included in the rent. A
// year is 8,760 hours.
// `mean_facility_watts` is at the meter: the wall power of the nodes times the PUE.
// Throws InputError where a price or the exchange rate is missing, where both a purchase price and
// a rent are given, or where a figure is negative or out of range.
CostAccount cost_of_run(const CostSpec& spec, int nodes, double gpus, double mean_facility_watts,
                        double output_tokens_per_s, double total_tokens_per_s);

}  // namespace foretoken::models::cost
