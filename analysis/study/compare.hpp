#pragma once
// Two runs, or two scenarios over paired seeds: what differs in the inputs, what differs in the
// results, and whether that is more than chance.
#include "analysis/study/evaluate.hpp"

namespace foretoken::analysis::study {

struct InputDifference {
  std::string path, a, b;  // empty where one side has no such value
};

struct ResultDifference {
  std::string metric;  // key of summary.json
  double a = kMissing, b = kMissing;
  double difference = kMissing;            // b - a
  double low = kMissing, high = kMissing;  // 95 % interval of the difference; NaN: not known
  std::optional<bool> significant;         // absent: no interval, e.g. one run of one seed
  std::string method;
};

struct Comparison {
  std::string name_a, name_b;
  std::vector<InputDifference> inputs;
  std::vector<ResultDifference> results;
  int repeats = 0;      // seeds; 0 = finished runs were compared
  bool paired = false;  // finished runs: the same requests in the same order
};

// Folders written by `foretoken run`. InputError where one is not a run.
Comparison compare_runs(const std::filesystem::path& a, const std::filesystem::path& b);

// Both scenarios with seeds s, s+1, ...: differences are taken seed by seed.
Comparison compare_scenarios(const Evaluator& a, const Evaluator& b, int repeats, int threads,
                             const std::atomic<bool>* interrupt);

struct Interval {
  double low = kMissing, high = kMissing;
};
// Mean of correlated samples: means of 20 consecutive batches, Student's t over them
// (Law & Kelton, Simulation Modeling and Analysis, section 9.5.3). NaN below 40 samples.
Interval batch_means_interval(const std::vector<double>& in_order);
// Distribution-free interval of a quantile from order statistics, normal approximation of the
// binomial ranks. NaN where the ranks fall outside the sample.
Interval quantile_interval(const std::vector<double>& ascending, double q);

}  // namespace foretoken::analysis::study
