#include "models/collective/expert_exchange.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::models::collective {

namespace {

// Different bins hit by `balls` thrown at random into `bins`.
double distinct(double bins, double balls) {
  return bins * (1.0 - std::pow(1.0 - 1.0 / bins, balls));
}

struct Way {
  double message_bytes;  // of one token on its way
  const ExchangeParameters::Kernel& kernel;
};

double launch_of(const Way& way, const ExpertExchange& exchange, const Wire& wire) {
  return way.kernel.launch_s + way.kernel.launch_steps * wire.scale_up_latency_s +
         way.kernel.launch_per_element_s * exchange.hidden;
}

// NVLink bytes limited by the link and by the kernel that moves them, both felt near the crossing.
Phase scale_up_phase(double messages, const Way& way, double kernel_s, const Wire& wire,
                     const ExchangeParameters& p) {
  Phase phase;
  phase.level = Level::scale_up;
  phase.pattern = Pattern::pairs;
  phase.bytes = messages * way.message_bytes;
  phase.rate = wire.scale_up == ScaleUp::nvswitch ? wire.scale_up_rate : wire.pcie_rate;
  phase.efficiency = way.kernel.link_efficiency;
  if (phase.bytes > 0) {
    const double link_s = phase.bytes / (phase.rate * phase.efficiency);
    phase.cap =
        phase.bytes / std::pow(std::pow(link_s, p.sharpness) + std::pow(kernel_s, p.sharpness),
                               1.0 / p.sharpness);
  }
  return phase;
}

Phase network_phase(double messages, const Way& way, Pattern pattern, const Wire& wire,
                    const ExchangeParameters& p) {
  Phase phase;
  phase.level = Level::network;
  phase.pattern = pattern;
  phase.bytes = messages * way.message_bytes;
  phase.rate = wire.nics * wire.nic_rate / wire.node_gpus;
  phase.efficiency = p.rdma_efficiency;
  phase.latency_s = p.network_steps * wire.network_latency_s;
  phase.overlapped = true;
  return phase;
}

Plan normal_plan(const ExpertExchange& exchange, const Way& way, const Wire& wire,
                 const ExchangeParameters& p) {
  const Fanout fanout = fanout_of(exchange);
  const int local = exchange.group.local();
  Plan plan;
  plan.algorithm = exchange.group.nodes > 1 ? Algorithm::hierarchical : Algorithm::flat;
  plan.launch_s = launch_of(way, exchange, wire);
  // Of the copies, those on the GPU where the token is (or arrives) need no NVLink.
  const double tokens = exchange.tokens * exchange.imbalance;
  const double copies = tokens * fanout.gpus * (local - 1) / local;
  const double kernel_s = copies / std::max(1, exchange.sms) *
                          (way.kernel.message_s + way.message_bytes / way.kernel.sm_bytes_per_s);
  plan.phases.push_back(scale_up_phase(copies, way, kernel_s, wire, p));
  if (exchange.group.nodes > 1)
    plan.phases.push_back(
        network_phase(tokens * fanout.remote_nodes, way, Pattern::rail_pairs, wire, p));
  std::erase_if(plan.phases, [](const Phase& phase) { return phase.bytes <= 0; });
  return plan;
}

Plan low_latency_plan(const ExpertExchange& exchange, const Way& way, const Wire& wire,
                      const ExchangeParameters& p) {
  const double n = exchange.group.gpus;
  const double local = exchange.group.local();
  const double messages = exchange.tokens * exchange.imbalance * exchange.top_k;
  const double remote = exchange.tokens * exchange.imbalance * fanout_of(exchange).remote_experts;
  Plan plan;
  plan.algorithm = Algorithm::flat;
  plan.launch_s = launch_of(way, exchange, wire);
  const double inside = (messages - remote) * (local - 1) / local;
  Phase phase = scale_up_phase(inside, way, 0.0, wire, p);
  // Here the kernel's work for each message adds to that of the link.
  if (phase.bytes > 0)
    phase.cap = phase.bytes /
                (phase.bytes / (phase.rate * phase.efficiency) + inside * way.kernel.message_s);
  plan.phases.push_back(phase);
  if (n > local) plan.phases.push_back(network_phase(remote, way, Pattern::pairs, wire, p));
  std::erase_if(plan.phases, [](const Phase& part) { return part.bytes <= 0; });
  return plan;
}

Plan plan_of(const ExpertExchange& exchange, const Way& way, const Wire& wire,
             const ExchangeParameters& p) {
  Plan plan = exchange.mode == ExchangeMode::normal ? normal_plan(exchange, way, wire, p)
                                                    : low_latency_plan(exchange, way, wire, p);
  if (!plan.phases.empty()) plan.phases.front().overlapped = false;
  return plan;
}

}  // namespace

Fanout fanout_of(const ExpertExchange& exchange) {
  const double nodes = exchange.group.nodes;
  const double k = exchange.top_k;
  const double limit =
      exchange.node_limit > 0 ? std::min<double>(exchange.node_limit, nodes) : nodes;
  Fanout fanout;
  // The limit picks nodes first; the experts then fall on those at random.
  fanout.nodes = distinct(limit, k);
  fanout.remote_nodes = fanout.nodes * (nodes - 1) / nodes;
  fanout.gpus = distinct(limit * exchange.group.local(), k);
  fanout.remote_experts = k * (nodes - 1) / nodes;
  return fanout;
}

Plan dispatch_plan(const ExpertExchange& exchange, const Wire& wire,
                   const ExchangeParameters& parameters) {
  const double bytes =
      exchange.hidden * exchange.dispatch_bytes_per_element + exchange.scale_bytes_per_token;
  const bool normal = exchange.mode == ExchangeMode::normal;
  return plan_of(exchange, {bytes, normal ? parameters.dispatch : parameters.fast_dispatch}, wire,
                 parameters);
}

Plan combine_plan(const ExpertExchange& exchange, const Wire& wire,
                  const ExchangeParameters& parameters) {
  const double bytes = exchange.hidden * exchange.combine_bytes_per_element;
  const bool normal = exchange.mode == ExchangeMode::normal;
  return plan_of(exchange, {bytes, normal ? parameters.combine : parameters.fast_combine}, wire,
                 parameters);
}

}  // namespace foretoken::models::collective
