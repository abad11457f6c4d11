#include "analysis/network_results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/loader/hdf5_file.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using models::serving::NetworkResult;
using models::serving::NetworkUse;
using models::serving::ServingResult;

constexpr std::size_t kLinksShown = 20;

std::string link_name(const ServingResult& result, sim::net::LinkId id) {
  const auto& topology = result.fabric->topology;
  const auto& link = topology.link(id);
  return topology.node(link.from).name + " -> " + topology.node(link.to).name;
}

double mean_of(double sum, std::int64_t count) {
  return count > 0 ? sum / static_cast<double>(count) : 0.0;
}

double slowdown_of(const NetworkResult::Use& use) {
  return use.alone_s > 0 ? use.seconds / use.alone_s : 1.0;
}

// Uses that there were, and who waited on whom: what `explain` reads.
void write_uses(scenarios::loader::Hdf5File& h5, const ServingResult& result) {
  const NetworkResult& network = *result.network;
  std::vector<std::string> names, where;
  std::vector<std::int64_t> moves;
  std::vector<double> bytes, seconds, alone, lost;
  std::vector<std::int32_t> who, whom;
  for (std::size_t u = 0; u < models::serving::kNetworkUses; ++u) {
    names.emplace_back(in_words(static_cast<NetworkUse>(u)));
    moves.push_back(network.uses[u].moves);
    bytes.push_back(network.uses[u].bytes);
    seconds.push_back(network.uses[u].seconds);
    alone.push_back(network.uses[u].alone_s);
  }
  for (const auto& wait : network.waits) {
    who.push_back(static_cast<std::int32_t>(wait.who));
    whom.push_back(static_cast<std::int32_t>(wait.whom));
    where.push_back(link_name(result, wait.link));
    lost.push_back(wait.seconds);
  }
  h5.write_strings("network/use_name", names);
  h5.write("network/use_moves", moves);
  h5.write("network/use_bytes", bytes);
  h5.write("network/use_s", seconds);
  h5.write("network/use_alone_s", alone);
  h5.write("network/wait_who", who);
  h5.write("network/wait_whom", whom);
  h5.write_strings("network/wait_link", where);
  h5.write("network/wait_s", lost);
}

}  // namespace

std::vector<NetworkLink> network_links(const ServingResult& result) {
  std::vector<NetworkLink> links;
  if (!result.network) return links;
  const NetworkResult& network = *result.network;
  const auto& topology = result.fabric->topology;
  for (const auto& use : network.links) {
    const auto& link = topology.link(use.link);
    NetworkLink row;
    row.from = topology.node(link.from).name;
    row.to = topology.node(link.to).name;
    row.bytes_per_s = link.payload_bytes_per_s();
    row.index = links.size();
    for (const float bytes : use.bytes) {
      row.bytes += bytes;
      row.peak_use = std::max(row.peak_use, bytes / (row.bytes_per_s * network.bin_s));
    }
    for (const float waited : use.waiting_s) row.waiting_s += waited;
    if (network.end_s > 0) row.mean_use = row.bytes / (row.bytes_per_s * network.end_s);
    links.push_back(std::move(row));
  }
  std::stable_sort(links.begin(), links.end(), [](const NetworkLink& a, const NetworkLink& b) {
    return a.waiting_s != b.waiting_s ? a.waiting_s > b.waiting_s : a.mean_use > b.mean_use;
  });
  return links;
}

std::string network_json(const ServingResult& result) {
  if (!result.network) return {};
  const NetworkResult& network = *result.network;
  Json json = {{"mode", network.flows ? "flows" : "analytic"}, {"end_s", network.end_s}};
  Json uses = Json::object();
  for (std::size_t u = 0; u < models::serving::kNetworkUses; ++u) {
    const auto& use = network.uses[u];
    if (static_cast<NetworkUse>(u) == NetworkUse::steps && use.bytes > 0)
      uses[in_words(NetworkUse::steps)] = {{"bytes", use.bytes},
                                           {"seconds", use.seconds},
                                           {"alone_s", use.alone_s},
                                           {"slowdown", slowdown_of(use)}};
    if (use.moves == 0) continue;
    uses[in_words(static_cast<NetworkUse>(u))] = {
        {"moves", use.moves},
        {"bytes", use.bytes},
        {"mean_ms", mean_of(use.seconds, use.moves) * 1e3},
        {"alone_ms", mean_of(use.alone_s, use.moves) * 1e3},
        {"slowdown", slowdown_of(use)}};
  }
  json["uses"] = std::move(uses);
  json["not_over"] = network.open;
  Json links = Json::array();
  for (const NetworkLink& link : network_links(result)) {
    if (links.size() == kLinksShown) break;
    links.push_back({{"from", link.from},
                     {"to", link.to},
                     {"bytes_per_s", link.bytes_per_s},
                     {"bytes", link.bytes},
                     {"mean_use", link.mean_use},
                     {"peak_use", link.peak_use},
                     {"waiting_s", link.waiting_s}});
  }
  json["links"] = std::move(links);
  Json waits = Json::array();
  for (const auto& wait : network.waits) {
    if (waits.size() == kLinksShown) break;
    waits.push_back({{"who", in_words(wait.who)},
                     {"whom", in_words(wait.whom)},
                     {"link", link_name(result, wait.link)},
                     {"seconds", wait.seconds}});
  }
  json["waits"] = std::move(waits);
  return json.dump();
}

std::string network_text(const ServingResult& result) {
  std::string text;
  if (!result.network) return text;
  for (std::size_t u = 0; u < models::serving::kNetworkUses; ++u) {
    const auto& use = result.network->uses[u];
    if (static_cast<NetworkUse>(u) == NetworkUse::steps && use.bytes > 0)
      text += fmt::format("  {:<12} {:.1f} GB between nodes, steps take {:.3f} times as long\n",
                          in_words(NetworkUse::steps), use.bytes * 1e-9, slowdown_of(use));
    if (use.moves == 0) continue;
    text += fmt::format("  {:<12} {} of {:.1f} MB, mean {:.2f} ms (alone {:.2f} ms)\n",
                        in_words(static_cast<NetworkUse>(u)), use.moves,
                        mean_of(use.bytes, use.moves) * 1e-6, mean_of(use.seconds, use.moves) * 1e3,
                        mean_of(use.alone_s, use.moves) * 1e3);
  }
  return text;
}

void write_network(scenarios::loader::Hdf5File& h5, const ServingResult& result) {
  if (!result.network) return;
  const NetworkResult& network = *result.network;
  h5.make_group("network");
  h5.set_attribute("network", "mode", network.flows ? "flows" : "analytic");
  h5.set_attribute("network", "bin_s", network.bin_s);
  const auto bins = static_cast<std::size_t>(std::ceil(network.end_s / network.bin_s)) + 1;
  h5.set_attribute("network", "bins", static_cast<std::int64_t>(bins));
  std::vector<std::string> from, to;
  std::vector<double> rate, bytes[models::serving::kNetworkUses];
  std::vector<float> utilisation, waiting;  // one link after the other, `bins` values each
  const auto& topology = result.fabric->topology;
  for (const auto& use : network.links) {
    const auto& link = topology.link(use.link);
    from.push_back(topology.node(link.from).name);
    to.push_back(topology.node(link.to).name);
    rate.push_back(link.payload_bytes_per_s());
    for (std::size_t u = 0; u < models::serving::kNetworkUses; ++u)
      bytes[u].push_back(use.used_bytes[u]);
    for (std::size_t b = 0; b < bins; ++b) {
      const float carried = b < use.bytes.size() ? use.bytes[b] : 0.0F;
      utilisation.push_back(static_cast<float>(carried / (rate.back() * network.bin_s)));
      waiting.push_back(b < use.waiting_s.size() ? use.waiting_s[b] : 0.0F);
    }
  }
  h5.write_strings("network/link_from", from);
  h5.write_strings("network/link_to", to);
  h5.write("network/link_bytes_per_s", rate);
  for (std::size_t u = 0; u < models::serving::kNetworkUses; ++u)
    h5.write(fmt::format("network/link_bytes_{}", in_words(static_cast<NetworkUse>(u))), bytes[u]);
  h5.write("network/utilisation", utilisation);
  h5.write("network/waiting_s", waiting);
  write_uses(h5, result);
}

}  // namespace foretoken::analysis
