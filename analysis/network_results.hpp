#pragma once
// What a deployment's shared fabric carried: for the summary, the tables and the terminal.
#include <string>
#include <vector>

#include "models/serving/result.hpp"

namespace foretoken::scenarios::loader {
class Hdf5File;
}

namespace foretoken::analysis {

struct NetworkLink {
  std::string from, to;
  double bytes_per_s = 0.0;  // payload rate
  double bytes = 0.0;
  double mean_use = 0.0, peak_use = 0.0;  // share of the rate, over the run and in the fullest bin
  double waiting_s = 0.0;                 // move-seconds lost on it
  std::size_t index = 0;                  // into NetworkResult::links
};
// Those with most waiting first, then the fullest.
std::vector<NetworkLink> network_links(const models::serving::ServingResult& result);

// The summary's `network` block as JSON text; empty where there is no shared fabric.
std::string network_json(const models::serving::ServingResult& result);
// A line for each use.
std::string network_text(const models::serving::ServingResult& result);
// Group `network` of run.h5.
void write_network(scenarios::loader::Hdf5File& h5, const models::serving::ServingResult& result);

}  // namespace foretoken::analysis
