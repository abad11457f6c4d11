#pragma once
// Streams of traffic over one fabric at the same time: collectives, expert exchange, KV transfers,
// weight loads, checkpoints, each repeated as a job would. What a stream takes beside the others
// against what it takes alone is what sharing costs.
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/collective/expert_exchange.hpp"
#include "models/collective/transfer.hpp"

namespace foretoken::models::collective {

struct CollectiveTraffic {
  Operation operation = Operation::all_reduce;
  double bytes = 0.0;
  Algorithm algorithm = Algorithm::automatic;
  std::vector<Members> groups;  // all at once, e.g. one for each rail
};
struct ExpertTraffic {  // dispatch, then combine
  ExpertExchange exchange;
  Members members;
};
struct BulkTraffic {
  BulkTransfer transfer;
  std::vector<NodeId> from, to;
};

struct Stream {
  std::string name;
  std::variant<CollectiveTraffic, ExpertTraffic, BulkTraffic> what;
  double start_s = 0.0;
  double every_s = 0.0;  // from start to start; 0 = each as the one before ends
  int repeat = 1;
  std::optional<sim::net::RoutePolicy> route;  // nothing: rail-aligned where there are rails
};

// A link or all links of a node at that share of their rate, from `at_s` on; 0 = failed.
struct HealthChange {
  double at_s = 0.0;
  LinkId link;  // this one, or
  NodeId node;  // all of this node's
  double share = 1.0;
};

struct TrafficSpec {
  Fabric fabric;
  std::vector<Stream> streams;
  std::vector<HealthChange> health;
  double bin_s = 0.0;  // of the time series; 0 = so that there are about 200
  Parameters collective;
  ExchangeParameters exchange;
  TransferParameters transfer;
};

struct StreamResult {
  std::string name;
  std::vector<double> start_s, seconds;  // of each repeat
  double closed_s = 0.0;                 // in closed form, nothing else on the fabric
  double alone_s = 0.0;                  // with flows, nothing else on the fabric
  double bytes = 0.0;                    // of one repeat, as its operation counts
  double bus_factor = 1.0;
  std::string algorithm;
  [[nodiscard]] double mean_s() const;
};

struct TrafficResult {
  double end_s = 0.0;
  double bin_s = 0.0;
  std::vector<StreamResult> streams;
  std::vector<sim::net::LinkAccount> links;
  std::vector<sim::net::WaitEntry> waits;  // who, whom: indices of streams
  std::uint64_t flow_events = 0;
  std::vector<std::string> conservation_errors;
};

// Throws InputError where no path joins two endpoints of a stream, or a group does not fit.
TrafficResult simulate(const TrafficSpec& spec);

}  // namespace foretoken::models::collective
