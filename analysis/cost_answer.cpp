#include "analysis/cost_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "analysis/number_text.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace cost = models::cost;

constexpr double kSecondsPerDay = 86400.0;

bool has_purchase(const cost::CostSpec& spec) {
  return spec.node_price || !spec.ledger->purchases.empty();
}

void write_ledgers(CostAnswer& out) {
  const auto& [spec, service] = std::tie(out.question.spec, out.question.service);
  if (has_purchase(spec)) {
    out.own = cost::own_ledger(spec, service);
  } else {
    out.left_out.push_back("owning: no purchase price of the node is known");
  }
  if (spec.gpu_hour)
    out.rents.emplace_back("as given", cost::rent_ledger(spec, service, *spec.gpu_hour));
  for (const auto& [tier, price] : spec.ledger->rents)
    out.rents.emplace_back(tier, cost::rent_ledger(spec, service, price));
  if (out.rents.empty()) out.left_out.push_back("renting: no rent of this GPU is known");
  if (spec.ledger->api) {
    out.api = cost::api_ledger(spec, service);
  } else {
    out.left_out.push_back("calling: no interface is named (cost.api)");
  }
  if (!out.own && out.rents.empty() && !out.api)
    throw sim::core::InputError(
        "cost: neither a purchase price, nor a rent, nor an interface to call is known; give "
        "cost.node_price, cost.gpu_hour or cost.api");
}

}  // namespace

cost::Service service_of(const Metrics& m) {
  cost::Service service;
  service.units = m.nodes;
  service.gpus_per_unit = m.nodes > 0 ? static_cast<double>(m.gpus) / m.nodes : m.gpus;
  if (std::isfinite(m.energy.mean_server_watts) && m.nodes > 0)
    service.unit_watts = m.energy.mean_server_watts / m.nodes;
  const auto finished = static_cast<double>(m.finished_in_window);
  if (finished > 0) {
    service.requests_per_day = m.request_rate.value * kSecondsPerDay;
    service.input_tokens = static_cast<double>(m.input_tokens) / finished;
    service.output_tokens = static_cast<double>(m.output_tokens) / finished;
    service.unit_capacity_per_day = service.requests_per_day / std::max(1, m.nodes);
  }
  return service;
}

CostAnswer answer_cost(const CostQuestion& question) {
  CostAnswer out;
  out.question = question;
  write_ledgers(out);
  const auto& [spec, service] = std::tie(out.question.spec, out.question.service);
  out.break_even = cost::break_even(spec, service, question.most_requests_per_day);
  if (out.own || !out.rents.empty()) out.tornado = cost::tornado(spec, service);
  if (out.api) {
    const cost::Ledger* spent = out.own ? &*out.own : nullptr;
    for (const auto& [tier, ledger] : out.rents)
      if (!out.own && (spent == nullptr || ledger.total < spent->total)) spent = &ledger;
    if (spent != nullptr && spent->total > 0)
      out.margin = (out.api->amount() - spent->amount()) / spent->amount();
  }
  return out;
}

}  // namespace foretoken::analysis
