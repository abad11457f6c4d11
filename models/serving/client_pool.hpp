#pragma once
// A service as the clients that use it (ServeGen, Xiang et al., 2025): each with a rate by window
// of the day, the shape of its gaps, and its own distributions of lengths. Not requests: a
// generator.
#include <cstdint>
#include <vector>

namespace foretoken::models::serving {

struct ClientPool {
  struct Window {
    double start_s = 0, requests_per_s = 0;
    double shape = 1;      // of the gaps' Gamma or Weibull distribution; 1 = Poisson
    bool weibull = false;  // else Gamma
  };
  struct Lengths {  // from start_s on
    double start_s = 0;
    std::vector<std::int32_t> tokens;
    std::vector<double> weights;
  };
  struct Client {
    std::int32_t number = 0;
    std::vector<Window> windows;  // by start
    std::vector<Lengths> input, output;
  };
  double span_s = 0;  // of the windows; then they repeat
  std::vector<Client> clients;
};

// Requests a second over the whole span, and tokens of the longest request.
double mean_rate(const ClientPool& pool);
std::int64_t longest_request(const ClientPool& pool);

}  // namespace foretoken::models::serving
