#pragma once
// Everything that a deployment costs over a horizon, entry by entry, to the cent: owned, rented,
// or called over somebody else's interface. Each entry is rounded to the cent once, half away from
// zero, in the ledger's currency; sums are of rounded entries.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/cost/cost.hpp"

namespace foretoken::models::cost {

using Cents = std::int64_t;
Cents to_cents(double amount);  // half away from zero

struct Purchase {
  std::string name;  // gpu, server, network, storage, installation, ...
  Price price;
  double count = 1.0;
};

struct TariffBand {  // hours of the day, `from` included, `to` not; may pass midnight
  double from_h = 0.0, to_h = 24.0;
  Price per_kwh;
};

struct Role {
  std::string name;
  double share = 1.0;  // of a person
  Price salary;        // a year
};

struct Financing {     // level payments at the end of each month
  double share = 0.0;  // of the purchase that is borrowed
  double rate = 0.0;   // a year
  double years = 0.0;
};

// Prices of somebody else's interface, per million tokens.
struct ApiPrices {
  std::string name;
  Price input_hit, input_miss, output;
};

enum class Formula {
  full,
  // total = hardware + (power + staff) x period + model updates, as guides for buyers have it: no
  // maintenance, space, financing or residual value.
  article
};

struct LedgerSpec {
  Formula formula = Formula::full;
  // Of one unit that is bought together: a node with its part of everything shared.
  std::vector<Purchase> purchases;
  double cooling_premium = 0.0;     // liquid cooling, share of the purchases on top
  double depreciation_years = 0.0;  // straight line to zero; 0 = over the horizon
  std::optional<Financing> financing;
  std::vector<TariffBand> tariff;    // empty: CostSpec::electricity_per_kwh all day
  std::vector<double> load_by_hour;  // factors on the mean power, 24 of them; empty = level
  std::optional<Price> rack_month;   // space
  double units_per_rack = 1.0;
  std::vector<Role> staff;            // of the whole deployment
  std::optional<Price> model_update;  // each
  double updates_per_year = 0.0;
  std::optional<ApiPrices> api;
  double cache_hit = 0.0;  // share of input tokens that the interface bills as hits
  std::vector<std::pair<std::string, Price>> rents;  // a GPU-hour by tier, to compare with
};

// What a deployment does, for denominators and for growing it.
struct Service {
  double units = 1.0;  // nodes
  double gpus_per_unit = 8.0;
  double unit_watts = 0.0;  // of one node at the wall, mean
  double requests_per_day = 0.0;
  double input_tokens = 0.0, output_tokens = 0.0;  // of a request
  double unit_capacity_per_day = 0.0;  // requests that one node can serve; 0 = not known
};

struct Entry {
  std::string name;
  Cents cents = 0;
  std::string words;  // the formula with its numbers
};

struct Ledger {
  std::string kind;  // own, rent, api
  Currency currency = Currency::CNY;
  double years = 0.0;
  std::vector<Entry> entries;
  Cents total = 0;
  Cents purchase = 0;  // cash at the start
  double kwh = 0.0;    // over the horizon, at the meter
  double carbon_kg = 0.0;
  [[nodiscard]] double amount() const { return static_cast<double>(total) / 100.0; }
  [[nodiscard]] Cents of(const std::string& entry) const;  // 0 if there is none
};

// Throws InputError that lists every figure missing, negative or out of range.
Ledger own_ledger(const CostSpec& spec, const Service& service);
// `gpu_hour`: one of LedgerSpec::rents, or CostSpec::gpu_hour.
Ledger rent_ledger(const CostSpec& spec, const Service& service, const Price& gpu_hour);
// The least rent known, if any.
std::optional<Price> cheapest_rent(const CostSpec& spec);
Ledger api_ledger(const CostSpec& spec, const Service& service);

// What a price is made of: a sum over a number of things.
struct UnitCost {
  double value = 0.0;  // NaN without a denominator
  double numerator = 0.0, denominator = 0.0;
  std::string per;
};
struct UnitCosts {
  UnitCost month, request, million_input, million_output, million_tokens;
};
UnitCosts unit_costs(const Ledger& ledger, const Service& service);

// Buying against an alternative: when the purchase is paid back by what is saved a year, and what
// is gained over the horizon per unit of money spent at the start. Nothing where nothing is saved.
struct Return {
  double saved_per_year = 0.0;  // alternative less running costs of owning
  std::optional<double> payback_years;
  double roi = 0.0;  // (saved over the horizon - purchase) / purchase
};
Return return_on(const Ledger& own, const Ledger& alternative);

std::string_view to_string(Formula formula);
double in_currency(const Price& price, Currency currency, const ExchangeRate& rate);

}  // namespace foretoken::models::cost
