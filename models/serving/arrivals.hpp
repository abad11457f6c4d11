#pragma once
// Where requests come from: a stream that can be read ahead (traces, Poisson), or clients that
// send the next when the last has ended (closed loop). Pure functions of (spec, seed).
#include <memory>
#include <optional>

#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// Requests whose times do not depend on what the system does, in order of arrival.
class OpenArrivals {
 public:
  OpenArrivals() = default;
  OpenArrivals(const OpenArrivals&) = delete;
  OpenArrivals& operator=(const OpenArrivals&) = delete;
  virtual ~OpenArrivals() = default;
  // The next request, or nothing once the trace, the duration or the number is used up.
  virtual std::optional<TraceRequest> next() = 0;
};

// Null for a closed loop.
std::unique_ptr<OpenArrivals> make_open_arrivals(const WorkloadSpec& workload, std::uint64_t seed);

std::unique_ptr<OpenArrivals> make_pool_arrivals(const PoolArrivals& arrivals,
                                                 const WorkloadSpec& workload, std::uint64_t seed);

// Shape of the Weibull distribution whose coefficient of variation is `cv`.
double weibull_shape(double cv);

// Lengths of request number `request`, for workloads that draw them.
struct Lengths {
  std::int32_t input = 0, output = 0;
};
Lengths draw_lengths(const WorkloadSpec& workload, std::uint64_t seed, std::uint64_t request);

// What a request still lacks as it is sent as number `request`: lengths where arrivals have none
// (then with the tokens of the conversation so far before the prompt), their scale, its class.
void finish_request(TraceRequest& arrival, const WorkloadSpec& workload, std::uint64_t seed,
                    std::uint64_t request);

// After the answer to request number `request`: the pause before the client's next, and whether a
// conversation goes on.
double draw_think(double mean_s, std::uint64_t seed, std::uint64_t request);
bool draw_continues(const SessionArrivals& sessions, std::uint64_t seed, std::uint64_t request);

// Requests a second that arrive on the whole; 0 for a closed loop, whose rate is an outcome.
double offered_rate(const WorkloadSpec& workload);

// Tokens of the longest request the workload can send.
std::int64_t longest_request(const WorkloadSpec& workload);

// Throws InputError naming every value that cannot be simulated.
void check_workload(const WorkloadSpec& workload);

// Fits a request into `max_tokens` by shortening its prompt (and, if the output alone is too long,
// the output); false if it does not fit and may not be cut.
bool fit_context(Lengths& lengths, std::int64_t max_tokens, bool truncate);

}  // namespace foretoken::models::serving
