#pragma once
// What a plan says about its winner besides that it won: at which load it breaks, how many nodes
// each hour of the day needs, what it would cost paid for otherwise, and what buying tokens from
// somebody else's interface would cost instead.
#include <functional>

#include "analysis/study/plan.hpp"
#include "analysis/study/plan_bounds.hpp"

namespace foretoken::analysis::study {

// Simulates a variant of the winner; safe to call from several threads.
using Simulate = std::function<Metrics(const Scenario&)>;

// The largest factor on the scenario's load that still meets the SLO, within 4 %, and the term that
// breaks above it. The winner meets it at 1.
BreakingLoad breaking_load(const Scenario& winner, const Simulate& simulate, int threads,
                           const std::atomic<bool>* interrupt);

// Fewest nodes of the winner's kind at each hour's load, whole replicas only; at most `most_nodes`.
std::vector<HourOfDay> nodes_by_hour(const Scenario& winner, const std::vector<double>& day,
                                     const Simulate& simulate);

// The winner bought, and rented at each tier, as the candidates say; cheapest first.
std::vector<WayToPay> ways_to_pay(const Ranked& winner, const CandidateSet& set);

// All of the traffic sent to the interface. Open arrivals only.
std::optional<ApiOnly> all_by_api(const ApiOption& api, const Scenario& scenario,
                                  const Traffic& traffic);

}  // namespace foretoken::analysis::study
