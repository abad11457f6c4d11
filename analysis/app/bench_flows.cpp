// foretoken bench flows: starts and ends of flows on a large fabric, against SimGrid where its
// helper program was built (tests/bench/simgrid_flows.cpp).
#include "analysis/app/bench_flows.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "models/collective/expert_exchange.hpp"
#include "models/collective/fabric.hpp"
#include "models/collective/schedule.hpp"
#include "sim/core/error.hpp"
#include "sim/core/random.hpp"
#include "sim/net/flow_network.hpp"
#include "sim/net/router.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
namespace net = sim::net;
using models::collective::Fabric;
using sim::core::Duration;
using sim::core::Time;

constexpr int kRepeats = 3;
constexpr double kNoCap = std::numeric_limits<double>::infinity();

CommandPage page() {
  CommandPage page;
  page.synopsis = "bench flows [options]";
  page.about =
      "Max-min fair flows on a rail-optimised fat tree (eight GPUs and eight 400 Gb/s NICs a "
      "server)\n"
      "under random all-to-all load: starts and ends of flows a CPU second, best of three, once "
      "the\n"
      "number in flight no longer grows. Where SimGrid was there at build time, the first flows "
      "run\n"
      "there as well: finish times must agree.\n";
  page.options = {
      {"gpus", "N", "GPUs of the fabric, a multiple of 8", "1024"},
      {"flows", "N", "flows in all, at each load; the first half warms up", "60000"},
      {"load", "X", "mean load of a NIC, as a share of its rate, of the figures in front", "0.4"},
      {"loads", "X,...", "loads to report beside it", "0.3,0.5,0.7"},
      {"simgrid-flows", "N", "how many of them SimGrid gets (0 = none)", "2500"},
      {"json", "", "one JSON object (the only format)"},
  };
  return page;
}

struct Flow {
  Time start;
  double bytes = 0.0;
  std::uint32_t from = 0, to = 0;  // GPU ranks
  std::vector<net::LinkId> path;
};

double cpu_now() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Latencies are zero and shares are not: SimGrid's max-min model is the same then.
Fabric make_fabric(int gpus) {
  models::collective::ServerShape server;
  server.name = "bench";
  server.nics = server.gpus;
  server.scale_up_bandwidth = sim::core::BytesPerSecond(450e9);
  server.pcie_bandwidth = sim::core::BytesPerSecond(64e9);
  server.nic_bandwidth = sim::core::BytesPerSecond(50e9);
  models::collective::NetworkShape network;
  network.kind = models::collective::NetworkKind::rail_optimised;
  return models::collective::build_fabric(server, gpus / server.gpus, network);
}

// Poisson arrivals, sizes 1 MB to 16 MB evenly in the logarithm, ends drawn at random.
std::vector<Flow> make_flows(const Fabric& fabric, std::size_t count, double load) {
  sim::core::Random random(1, 0, 0);
  net::Router router(fabric.topology);
  const double mean_bytes = 15e6 / std::log(16.0);
  const double gap_s = mean_bytes / (load * 50e9 * static_cast<double>(fabric.gpus.size()));
  double now_s = 0.0;
  std::vector<Flow> flows(count);
  for (Flow& flow : flows) {
    now_s += random.exponential(gap_s);
    flow.start = Time::zero() + Duration::from_seconds(now_s);
    flow.bytes = std::floor(1e6 * std::exp(random.uniform() * std::log(16.0)));
    flow.from = static_cast<std::uint32_t>(random.below(fabric.gpus.size()));
    do {
      flow.to = static_cast<std::uint32_t>(random.below(fabric.gpus.size()));
    } while (flow.to == flow.from);
    router.route(fabric.gpus[flow.from], fabric.gpus[flow.to], net::RoutePolicy::ecmp, 0,
                 flow.path);
  }
  return flows;
}

struct Run {
  double cpu_s = 0.0, wall_s = 0.0;
  std::uint64_t events = 0;
  // Of the second half of the starts: starts and ends, their CPU time, flows in flight.
  double settled_cpu_s = 0.0;
  std::uint64_t settled_events = 0;
  double third_quarter = 0.0, last_quarter = 0.0;  // mean number of flows in flight
  std::vector<Time> ends;
};

Run simulate(const Fabric& fabric, const std::vector<Flow>& flows, std::size_t count) {
  net::FlowNetwork network;
  for (std::uint32_t l = 0; l < fabric.topology.link_count(); ++l)
    network.add_link(fabric.topology.link(net::LinkId{l}).payload_bytes_per_s());
  net::merge_adapters(fabric.topology, network);
  Run run;
  run.ends.resize(count);
  const std::size_t half = count / 2, three = half + (count - half) / 2;
  const double before = cpu_now();
  double settled_from = before;
  const auto wall = std::chrono::steady_clock::now();
  for (std::size_t next = 0; next < count || network.in_flight() > 0;) {
    const Time completion = network.next_completion();
    if (next == count || flows[next].start >= completion) {
      for (const auto& done : network.complete(completion)) run.ends[done.tag] = completion;
      continue;
    }
    if (next == half) {
      settled_from = cpu_now();
      run.settled_events = network.starts_and_ends();
    }
    network.start(flows[next].path, flows[next].bytes, kNoCap, flows[next].start, next);
    if (next >= half)
      (next < three ? run.third_quarter : run.last_quarter) +=
          static_cast<double>(network.in_flight());
    if (++next < count) continue;
    run.settled_cpu_s = cpu_now() - settled_from;
    run.settled_events = network.starts_and_ends() - run.settled_events;
    run.third_quarter /= std::max(1.0, static_cast<double>(three - half));
    run.last_quarter /= static_cast<double>(count - three);
  }
  run.cpu_s = cpu_now() - before;
  run.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  run.events = network.starts_and_ends();
  return run;
}

Run best_of(const Fabric& fabric, const std::vector<Flow>& flows) {
  Run best = simulate(fabric, flows, flows.size());
  for (int i = 1; i < kRepeats; ++i) {
    Run again = simulate(fabric, flows, flows.size());
    SIM_ASSERT(again.ends == best.ends, "two equal runs differ");
    if (again.settled_cpu_s < best.settled_cpu_s) best = std::move(again);
  }
  return best;
}

std::vector<double> loads_of(const std::string& text) {
  std::vector<double> loads;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    char* end = nullptr;
    loads.push_back(std::strtod(word.c_str(), &end));
    if (word.empty() || *end != 0 || !(loads.back() >= 0.01 && loads.back() <= 0.95))
      throw UsageError("--loads wants numbers from 0.01 to 0.95 such as 0.3,0.7; got '" + text +
                       "'");
  }
  return loads;
}

nlohmann::ordered_json figures_of(double load, const Run& run) {
  return {{"load", load},
          {"flow_events", run.settled_events},
          {"flow_events_per_cpu_s", static_cast<double>(run.settled_events) / run.settled_cpu_s},
          {"mean_in_flight", run.last_quarter},
          {"mean_in_flight_quarter_before", run.third_quarter}};
}

struct Yardstick {
  double cpu_s = 0.0;
  double worst_difference = 0.0;  // of a flow's duration
  double mean_difference = 0.0;
};

void write_problem(const fs::path& file, const Fabric& fabric, const std::vector<Flow>& flows,
                   std::size_t count) {
  std::ofstream out(file);
  out.precision(17);
  out << "links " << fabric.topology.link_count() << '\n';
  for (std::uint32_t l = 0; l < fabric.topology.link_count(); ++l)
    out << fabric.topology.link(net::LinkId{l}).payload_bytes_per_s() << '\n';
  out << "hosts " << fabric.gpus.size() << "\nflows " << count << '\n';
  for (std::size_t f = 0; f < count; ++f) {
    const Flow& flow = flows[f];
    out << flow.start.seconds() << ' ' << static_cast<std::uint64_t>(flow.bytes) << ' ' << flow.from
        << ' ' << flow.to << ' ' << flow.path.size();
    for (const net::LinkId link : flow.path) out << ' ' << link.value;
    out << '\n';
  }
  if (!out) throw std::runtime_error("cannot write " + file.string());
}

// The helper beside the program itself; nothing where it was not built or fails.
std::optional<Yardstick> run_simgrid(const Fabric& fabric, const std::vector<Flow>& flows,
                                     const Run& ours, std::size_t count) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path helper = self.parent_path() / "simgrid_flows";
  if (error || count == 0 || !fs::exists(helper)) return std::nullopt;
  const fs::path folder =
      fs::temp_directory_path() / fmt::format("foretoken-bench-flows-{}", getpid());
  fs::create_directories(folder);
  const fs::path in = folder / "in", out = folder / "out";
  write_problem(in, fabric, flows, count);
  const int code = std::system(shell_quoted({helper.string(), in.string(), out.string()}).c_str());
  std::optional<Yardstick> result;
  std::ifstream file(out);
  std::string word;
  Yardstick yardstick;
  if (code == 0 && file >> word >> yardstick.cpu_s && word == "cpu_s") {
    for (std::size_t f = 0; f < count; ++f) {
      double end_s = 0.0;
      file >> end_s;
      const double start_s = flows[f].start.seconds();
      const double difference =
          std::abs(end_s - ours.ends[f].seconds()) / (ours.ends[f].seconds() - start_s);
      yardstick.worst_difference = std::max(yardstick.worst_difference, difference);
      yardstick.mean_difference += difference / static_cast<double>(count);
    }
    if (file) result = yardstick;
  }
  fs::remove_all(folder, error);
  return result;
}

struct Exchange {
  double analytic_s = 0.0, flows_s = 0.0;         // CPU time
  double closed_form_s = 0.0, simulated_s = 0.0;  // of the exchange itself
};

// Dispatch of 256 experts' tokens over 2,048 GPUs in one group, both ways of pricing it.
Exchange price_exchange() {
  namespace collective = models::collective;
  constexpr int kServers = 256;
  const Fabric fabric = make_fabric(kServers * 8);
  collective::ExpertExchange exchange;
  exchange.tokens = 4096;
  exchange.hidden = 7168;
  exchange.top_k = 8;
  exchange.node_limit = 4;
  exchange.group = {kServers * 8, kServers};
  Exchange result;
  double before = cpu_now();
  const collective::Plan plan = dispatch_plan(exchange, wire_of(fabric));
  result.closed_form_s = plan.seconds();
  result.analytic_s = cpu_now() - before;
  before = cpu_now();
  net::Traffic traffic(fabric.topology);
  traffic.submit(schedule(plan, fabric, members_of(fabric, 0, kServers, 0, 8)), Time::zero());
  result.simulated_s = traffic.run().seconds();
  result.flows_s = cpu_now() - before;
  return result;
}

}  // namespace

int bench_flows(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const auto gpus = static_cast<int>(line->integer("gpus", 16, 1 << 16));
  if (gpus % 8 != 0) throw UsageError("--gpus must be a multiple of 8");
  const auto count = static_cast<std::size_t>(line->integer("flows", 4, 100'000'000));
  const auto shared =
      std::min(count, static_cast<std::size_t>(line->integer("simgrid-flows", 0, 100'000'000)));
  const double load = line->number("load", 0.01, 0.95);
  const std::vector<double> loads = loads_of(line->text("loads"));
  const Fabric fabric = make_fabric(gpus);
  const std::vector<Flow> flows = make_flows(fabric, count, load);
  const Run best = best_of(fabric, flows);
  nlohmann::ordered_json json = {{"bench", "flows"},
                                 {"gpus", gpus},
                                 {"links", fabric.topology.link_count()},
                                 {"flows", count}};
  json.update(figures_of(load, best));
  json["loads"] = nlohmann::json::array();
  for (const double other : loads)
    json["loads"].push_back(figures_of(other, best_of(fabric, make_flows(fabric, count, other))));
  if (shared > 0) {
    Run same = simulate(fabric, flows, shared);
    const auto yardstick = run_simgrid(fabric, flows, same, shared);
    json["simgrid_flows"] = shared;
    if (yardstick) {
      json["simgrid_cpu_s"] = yardstick->cpu_s;
      json["same_flows_cpu_s"] = same.cpu_s;
      json["speedup_over_simgrid"] = yardstick->cpu_s / same.cpu_s;
      json["worst_difference_pct"] = 100 * yardstick->worst_difference;
      json["mean_difference_pct"] = 100 * yardstick->mean_difference;
    } else {
      json["speedup_over_simgrid"] = nullptr;
    }
  }
  Exchange exchange = price_exchange();
  for (int i = 1; i < kRepeats; ++i) {
    const Exchange again = price_exchange();
    SIM_ASSERT(again.simulated_s == exchange.simulated_s, "two equal exchanges differ");
    exchange.analytic_s = std::min(exchange.analytic_s, again.analytic_s);
    exchange.flows_s = std::min(exchange.flows_s, again.flows_s);
  }
  json["exchange_gpus"] = 2048;
  json["exchange_analytic_cpu_s"] = exchange.analytic_s;
  json["exchange_flows_cpu_s"] = exchange.flows_s;
  json["exchange_closed_form_ms"] = exchange.closed_form_s * 1e3;
  json["exchange_simulated_ms"] = exchange.simulated_s * 1e3;
  json["cpu_s"] = best.cpu_s;
  json["wall_s"] = best.wall_s;
  json["peak_rss_mib"] = resource_use().peak_rss_mib;
  std::cout << json.dump(2) << '\n';
  return kOk;
}

}  // namespace foretoken::analysis::app
