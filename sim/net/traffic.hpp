#pragma once
// Jobs that share a fabric in time. A job is a list of stages, one after the other; a stage is a
// set of transfers that start together after a delay and end each on its own. What runs at the same
// time shares links max-min fairly, whoever asked for it.
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/net/flow_network.hpp"
#include "sim/net/router.hpp"
#include "sim/net/topology.hpp"

namespace foretoken::sim::net {

using JobId = core::Id<struct JobTag>;
using LimitId = core::Id<struct LimitTag>;
using StreamId = core::Id<struct StreamTag>;

inline constexpr double kNoCap = std::numeric_limits<double>::infinity();

struct Transfer {
  NodeId from, to;  // the same = inside one endpoint: takes no time
  double bytes = 0.0;
  double cap_bytes_per_s = kNoCap;
  // Size of the messages that the bytes go in, for links whose rate depends on it; 0 = one message.
  double message_bytes = 0.0;
  LimitId limit;  // a rate shared with other transfers (copy engine, SMs of one GPU); may be unset
  // Neighbours in a stage with the same number, not 0, progress together, as the messages of one
  // GPU to all its peers do: the slowest of their paths sets the pace. They must be alike in bytes,
  // caps and limit. One that pairs a node with itself stands alone.
  std::uint32_t bundle = 0;
};

struct Stage {
  // From the beginning of the stage to the first byte: launches, steps that wait for each other.
  // A transfer never begins before the latency of its path has passed.
  Duration delay;
  std::vector<Transfer> transfers;
};

struct Job {
  std::uint16_t owner = 0;  // for the accounts: who waits on whom; below Traffic's `owners`
  RoutePolicy route = RoutePolicy::ecmp;
  std::vector<Stage> stages;
};

// What happened on the links. Bytes by time bin and by owner; waiting = time that transfers lost
// against having their path alone, booked on the link that held them back.
struct LinkAccount {
  LinkId link;
  std::vector<float> bytes;          // by bin
  std::vector<float> waiting_s;      // by bin: lost transfer-seconds
  std::vector<double> owner_bytes;   // by owner
  std::vector<double> owner_waited;  // by owner, seconds
};
struct WaitEntry {  // `who` lost `seconds` on `link` to the traffic of `whom`
  std::uint16_t who = 0, whom = 0;
  LinkId link;
  double seconds = 0.0;
};

class Traffic {
 public:
  // Keeps a reference to the topology. `owners`: how many kinds of traffic are told apart.
  // `bin` > 0 keeps accounts in bins of that length; the accounts cost about as much as the flows.
  explicit Traffic(const Topology& topology, std::uint16_t owners = 1, Duration bin = {});
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // A rate that transfers naming it share.
  LimitId add_limit(double bytes_per_s);

  // Starts a job at `now` or later. Throws InputError where no path joins two of its endpoints.
  JobId submit(Job job, Time at);
  // Traffic without an end that comes in bursts, with so many bytes a second on average: what an
  // engine's steps exchange. Its transfers, at least one, progress together at a rate that is set,
  // and begin at none.
  StreamId open_stream(std::uint16_t owner, std::vector<Transfer> transfers);
  // Rate of one transfer, at most its share of the links. What it falls short of `wanted` is
  // waiting that the others on `held` are to blame for, where that link is valid.
  void set_rate(StreamId stream, double rate, double wanted, LinkId held, Time now);
  // What one of its transfers would get beside what goes on now, were it to ask for `cap`, and the
  // link that holds it back.
  struct Share {
    double rate = 0.0;
    LinkId link;  // invalid: none
  };
  [[nodiscard]] Share share_of(StreamId stream, double cap, Time now);
  // Whether anything else is on its links.
  [[nodiscard]] bool shares_links(StreamId stream) const;

  // Degrades, fails (0) or restores both directions of a link. Transfers over a failed link go on
  // over another path; InputError if there is none.
  void set_health(LinkId link, double share, Time now);

  // When something happens next; Time::never() if nothing is left.
  [[nodiscard]] Time next_event();
  // Everything due at or before `now`, in order of time. What ended, in the order that it did; its
  // numbers are given to new jobs after the next call.
  struct Finished {
    JobId job;
    Time at;
  };
  std::span<const Finished> advance(Time now);
  // Until nothing is left: when the last job ended.
  Time run();

  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] std::size_t jobs_in_flight() const { return open_jobs_; }
  [[nodiscard]] std::uint64_t starts_and_ends() const { return net_.starts_and_ends(); }
  [[nodiscard]] double bytes_carried(LinkId link, Time now) {
    return net_.bytes_carried(link, now);
  }
  [[nodiscard]] const Router& router() const { return router_; }

  // Accounts of links that carried anything, by link; entries of who waited on whom, largest first.
  [[nodiscard]] std::vector<LinkAccount> accounts(Time end);
  [[nodiscard]] std::vector<WaitEntry> waits(Time end);

 private:
  struct Running {
    Job job;
    std::size_t stage = 0;
    std::uint64_t routed = 0;  // failures_ as the stage was routed
    std::size_t left = 0;      // transfers of the stage still to end; a bundle counts once
    struct Part {
      std::uint32_t begin, end;
      Duration latency;
    };
    std::vector<LinkId> paths;  // of the stage's transfers
    std::vector<Part> parts;    // by transfer: its path among those
    [[nodiscard]] std::span<const LinkId> path(std::uint32_t transfer) const {
      return {paths.data() + parts[transfer].begin, paths.data() + parts[transfer].end};
    }
  };
  struct Flying {  // one transfer, or bundle of them, on its way
    std::uint32_t job = 0;
    std::uint32_t transfer = 0;  // the first
    double ideal = 0.0;          // rate that it would have alone
    FlowId flow;
    LinkId held;  // of a stream: see set_rate()
  };
  struct Stream {
    std::uint32_t job = 0;
    std::uint32_t flying = UINT32_MAX;  // none while its rate is 0
    double rate = 0.0, wanted = 0.0;
    LinkId held;
    std::vector<LinkId> links;
  };
  struct Event {
    Time at;
    std::uint64_t sequence = 0;
    std::uint32_t job = 0;
    std::vector<std::uint32_t> transfers;  // the first of each bundle; empty: the stage begins
  };
  class Accounts;

  void push(Event event);
  void begin_stage(std::uint32_t job, Time now);
  void run_stream(Stream& stream, double rate, Time now);
  // Returns its place in flying_; UINT32_MAX if it takes no time.
  std::uint32_t start_flow(std::uint32_t job, std::uint32_t first, double bytes, Time now,
                           bool reroute);
  void route(const Running& running, std::uint32_t transfer);
  void route_stage(Running& running);
  void add_path(const Transfer& transfer, double bytes);
  void transfer_ended(std::uint32_t job, Time now);
  void stage_ended(std::uint32_t job, Time now);
  void complete(Time now);

  const Topology& topology_;
  Router router_;
  FlowNetwork net_;
  std::vector<double> load_;  // by link, for adaptive routes: bytes given to it so far
  std::vector<Running> jobs_;
  std::vector<std::uint32_t> free_jobs_;
  std::vector<Stream> streams_;
  std::vector<Flying> flying_;
  std::vector<std::uint32_t> free_flying_;
  std::vector<Event> events_;  // binary heap, earliest first
  std::vector<Finished> finished_, reported_;
  std::vector<LinkId> path_;
  // Links and strands of what is about to start; by link: its place there.
  std::vector<LinkId> all_links_;
  std::vector<std::uint32_t> strands_, place_;
  double cap_ = 0.0;
  bool message_bound_ = false;  // some link's rate depends on the size of messages
  std::uint64_t failures_ = 0;  // changes of health
  std::unique_ptr<Accounts> accounts_;
  std::size_t open_jobs_ = 0;
  std::uint64_t sequence_ = 0;
  Time now_;
};

}  // namespace foretoken::sim::net
