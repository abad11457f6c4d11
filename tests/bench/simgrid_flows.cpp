// The flows of `foretoken bench flows` in SimGrid: same links, same paths, same starts, max-min
// fair shares and nothing else (no latency, no TCP factors).
//   simgrid_flows IN OUT
// IN:  links N, then N capacities (bytes/s); hosts H; flows M, then M lines, by start:
//      start_s bytes from to count link... A pair of hosts always takes the same links.
// OUT: cpu_s X, then the time at which each flow ended, in order.
#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <set>
#include <simgrid/s4u.hpp>
#include <string>
#include <utility>
#include <vector>

namespace sg4 = simgrid::s4u;

namespace {

struct Flow {
  double start_s = 0.0;
  std::uint64_t bytes = 0;
  std::size_t from = 0, to = 0;
  std::vector<std::size_t> links;
};

struct Problem {
  std::vector<double> capacity;
  std::size_t hosts = 0;
  std::vector<Flow> flows;
};

bool read(const char* path, Problem& problem) {
  std::ifstream in(path);
  std::string word;
  std::size_t count = 0;
  if (!(in >> word >> count) || word != "links") return false;
  problem.capacity.resize(count);
  for (double& capacity : problem.capacity) in >> capacity;
  if (!(in >> word >> problem.hosts) || word != "hosts") return false;
  if (!(in >> word >> count) || word != "flows") return false;
  problem.flows.resize(count);
  for (Flow& flow : problem.flows) {
    in >> flow.start_s >> flow.bytes >> flow.from >> flow.to >> count;
    flow.links.resize(count);
    for (std::size_t& link : flow.links) in >> link;
  }
  return static_cast<bool>(in);
}

double cpu_now() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words = {argv[0],
                                    "--cfg=network/model:CM02",
                                    "--cfg=network/TCP-gamma:0",
                                    "--cfg=network/latency-factor:1",
                                    "--cfg=network/bandwidth-factor:1",
                                    "--cfg=network/weight-S:0",
                                    "--cfg=network/crosstraffic:0",
                                    "--cfg=surf/precision:1e-9",
                                    "--log=root.thresh:error"};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  Problem problem;
  if (argc != 3 || !read(argv[1], problem)) {
    std::cerr << "usage: simgrid_flows IN OUT\n";
    return 2;
  }
  sg4::Engine engine(&count, pointers.data());
  auto* zone = sg4::create_full_zone("fabric");
  std::vector<sg4::Link*> links;
  for (std::size_t l = 0; l < problem.capacity.size(); ++l)
    links.push_back(
        zone->create_link("l" + std::to_string(l), problem.capacity[l])->set_latency(0.0)->seal());
  std::vector<sg4::Host*> hosts;
  for (std::size_t h = 0; h < problem.hosts; ++h)
    hosts.push_back(zone->create_host("h" + std::to_string(h), 1.0));
  std::set<std::pair<std::size_t, std::size_t>> joined;
  for (const Flow& flow : problem.flows) {
    if (!joined.emplace(flow.from, flow.to).second) continue;
    std::vector<sg4::LinkInRoute> route;
    for (const std::size_t link : flow.links) route.emplace_back(links[link]);
    zone->add_route(hosts[flow.from]->get_netpoint(), hosts[flow.to]->get_netpoint(), nullptr,
                    nullptr, route, false);
  }
  zone->seal();
  std::vector<sg4::CommPtr> comms(problem.flows.size());
  sg4::Actor::create("driver", hosts[0], [&] {
    for (std::size_t f = 0; f < problem.flows.size(); ++f) {
      const double wait = problem.flows[f].start_s - sg4::Engine::get_clock();
      if (wait > 0.0) sg4::this_actor::sleep_for(wait);
      comms[f] = sg4::Comm::sendto_async(hosts[problem.flows[f].from], hosts[problem.flows[f].to],
                                         problem.flows[f].bytes);
    }
    for (auto& comm : comms) comm->wait();
  });
  const double before = cpu_now();
  engine.run();
  const double used = cpu_now() - before;
  std::ofstream out(argv[2]);
  out.precision(17);
  out << "cpu_s " << used << '\n';
  for (const auto& comm : comms) out << comm->get_finish_time() << '\n';
  return out ? 0 : 1;
}
