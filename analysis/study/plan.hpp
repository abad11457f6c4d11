#pragma once
// The cheapest deployment that meets the SLO.
//
// Candidates are visited in order of a lower bound of their cost. Closed-form bounds drop those
// that cannot meet the SLO, simulation decides about the rest, and the search ends when the bound
// of every candidate left exceeds the best cost found. What is dropped cannot win:
//   memory      weights and one request do not fit
//   one token   a decode step of a single sequence is already longer than the TPOT limit, and a
//               step with more sequences is no shorter
//   one prompt  the prompt at the SLO's quantile, alone on the machine, takes longer than the
//               TTFT limit; so do all longer ones
//   work        requests that must finish in time need more machine time than there is until the
//               last of them is due, even at the best rate any batch reaches
//   prefix      simulated with the first part of the traffic, more requests already miss their
//               limits than the SLO allows in all; later arrivals cannot undo that
//   cost        hardware and idle power alone cost more than the best deployment found
// One run serves several candidates (plan_runs.hpp): payment changes no simulated time, and a limit
// of running sequences that a run never came near might as well be another.
// The bounds hold for open arrivals and for step times that grow with the batch and the context,
// which those of models/serving do.
#include <functional>

#include "analysis/study/candidates.hpp"

namespace foretoken::analysis::study {

struct PlanOptions {
  int threads = 1;
  PlanLimits limits;       // of the plan, or tighter ones of the command line
  std::size_t ranked = 5;  // deployments to rank
  // Simulations beyond those that prove the winner, spent on runners-up.
  std::size_t extra = 32;
  bool breaking = true;         // look for the load at which the winner breaks
  bool by_brute_force = false;  // no bound, every candidate simulated: for tests
  const std::atomic<bool>* interrupt = nullptr;
  std::function<void(std::size_t simulated, std::size_t looked_at)> progress;
};

struct Ranked {
  Candidate candidate;
  std::string deployment;  // in words
  Overrides overrides;
  Metrics metrics;
  double cost_per_hour = 0.0;  // in the scenario's currency
  double headroom = 0.0;       // least margin of an SLO term, share of its limit
  std::string first_to_break;  // that term, or the KV cache when it is nearly full
};

struct HourOfDay {
  int hour = 0;
  double load = 0.0;  // over the scenario's
  int nodes = 0;      // 0: more than the winner has would be needed
};

struct BreakingLoad {
  double factor = 1.0;  // on the scenario's load
  bool beyond = false;  // it holds even there, and nothing more was tried
  std::string term;     // that breaks above it
  std::size_t simulated = 0;
};

struct WayToPay {
  std::string name;  // buy, or rent, TIER
  double cny_per_hour = 0.0, usd_per_hour = 0.0;
  std::optional<double> break_even_months;  // of buying, against the cheapest rent
};

struct ApiOnly {
  double cost_per_hour = 0.0;  // in the scenario's currency
  double cny_per_hour = 0.0, usd_per_hour = 0.0;
  double usd_per_million_output = 0.0;
  bool meets = false;
  std::string why;  // not
};

struct PlanResult {
  std::size_t candidates = 0, simulated = 0, prefixes = 0;
  std::map<std::string, std::size_t> dropped;  // by bound
  std::vector<Ranked> ranked;                  // cheapest first, then most headroom
  std::vector<Rejection> rejected;             // a few of each kind, nearest misses first
  std::optional<Ranked> nearest;               // least violation, where nothing meets the SLO
  std::vector<HourOfDay> day;
  std::optional<BreakingLoad> breaks_at;  // of the winner
  std::vector<WayToPay> ways_to_pay;      // of the winner
  std::optional<ApiOnly> api;             // all of the traffic bought from the plan's api
};

// InputError when the scenario has no SLO.
PlanResult make_plan(const PlanSpec& plan, const Evaluator& evaluator,
                     CalibrationStore& calibrations, const PlanOptions& options);

}  // namespace foretoken::analysis::study
