#include "validation/serving/client_clock.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::validation::serving {
namespace {

constexpr double kMostSeconds = 0.2, kSecondsStep = 0.005;
constexpr int kMostTokens = 30;
constexpr double kCap = 1.0;  // a row that is off by more than this is off for another reason
// Pull towards no clock at all, so that a few rows do not invent one.
constexpr double kPull = 1.0;

double cost(const std::vector<Observation>& rows, const ClientClock& clock) {
  double sum = kPull * (clock.seconds / kMostSeconds + clock.tokens / kMostTokens);
  for (const auto& row : rows)
    sum += std::min(kCap, std::abs((row.ttft_s + clock.seconds + clock.tokens * row.tpot_s) /
                                       row.measured_ttft_s -
                                   1));
  return sum;
}

}  // namespace

ClientClock fit_client_clock(const std::vector<Observation>& rows) {
  ClientClock best;
  double least = cost(rows, best);
  for (int tokens = 0; tokens <= kMostTokens; ++tokens)
    for (int i = 0; i * kSecondsStep <= kMostSeconds; ++i) {
      const ClientClock clock{i * kSecondsStep, static_cast<double>(tokens)};
      if (const double error = cost(rows, clock); error < least) {
        least = error;
        best = clock;
      }
    }
  return best;
}

double protocol_error(const std::vector<Observation>& rows) {
  double sum = cost(rows, fit_client_clock(rows));
  for (const auto& row : rows)
    sum += std::min(kCap, std::abs(row.tpot_s / row.measured_tpot_s - 1));
  return sum;
}

}  // namespace foretoken::validation::serving
