#include "analysis/report_cluster.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "analysis/network_results.hpp"
#include "models/serving/expert_balance.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using models::serving::DeploymentSpec;
using models::serving::ExpertBalance;

constexpr std::size_t kRows = 16;      // links that a reader compares
constexpr std::size_t kAlike = 4;      // of them with names that differ only in numbers
constexpr std::size_t kColumns = 120;  // intervals that can be told apart across a page

double rounded(double value, int digits = 4) {
  if (!std::isfinite(value) || value == 0.0) return value;
  const double scale = std::pow(10.0, digits - 1 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

// --- links --------------------------------------------------------------------------------------

struct Heat {
  double bin_s = 0.0, end_s = 0.0;
  std::size_t group = 1, columns = 0;  // neighbouring bins of a column

  Heat(double bin, double end) : bin_s(bin), end_s(end) {
    if (bin <= 0 || end <= 0) return;
    const auto bins = static_cast<std::size_t>(std::ceil(end / bin));
    group = (bins + kColumns - 1) / kColumns;
    columns = (bins + group - 1) / group;
  }
  // The last column covers only the time until the end.
  [[nodiscard]] double covers(std::size_t column) const {
    const double width = bin_s * static_cast<double>(group);
    return std::min(width, end_s - width * static_cast<double>(column));
  }
  [[nodiscard]] double sum(std::span<const float> bins, std::size_t column) const {
    // What ends on the edge of the last bin may be booked in one bin more.
    const std::size_t first = column * group;
    const std::size_t end = column + 1 == columns ? bins.size() : first + group;
    double total = 0.0;
    for (std::size_t b = first; b < std::min(bins.size(), end); ++b) total += bins[b];
    return total;
  }
};

template <class Link>
Json heat_row(const Heat& heat, const Link& link, std::span<const float> bytes,
              std::span<const float> waiting) {
  Json use = Json::array(), lost = Json::array();
  for (std::size_t c = 0; c < heat.columns; ++c) {
    const double most = link.bytes_per_s * heat.covers(c);
    use.push_back(most > 0 ? rounded(std::min(1.0, heat.sum(bytes, c) / most), 3) : 0.0);
    lost.push_back(rounded(heat.sum(waiting, c), 3));
  }
  return {{"from", link.from},
          {"to", link.to},
          {"bytes_per_s", link.bytes_per_s},
          {"bytes", rounded(link.bytes)},
          {"mean_use", rounded(link.mean_use)},
          {"peak_use", rounded(std::min(1.0, link.peak_use))},
          {"waiting_s", rounded(link.waiting_s)},
          {"use", std::move(use)},
          {"lost_s", std::move(lost)}};
}

// "node3.nic0" -> "node.nic": links of one kind do the same work and look alike.
std::string without_numbers(std::string name) {
  std::erase_if(name, [](char c) { return c >= '0' && c <= '9'; });
  return name;
}

// `links`: sorted, each with its index among the accounts.
template <class Links, class Accounts>
Json heat_json(const Heat& heat, const Links& links, const Accounts& accounts) {
  if (links.empty() || heat.columns == 0) return nullptr;
  Json rows = Json::array();
  std::map<std::string, std::size_t> alike;
  for (const auto& link : links) {
    if (rows.size() == kRows) break;
    if (++alike[without_numbers(link.from + '>' + link.to)] > kAlike) continue;
    const auto& account = accounts[link.index];
    rows.push_back(heat_row(heat, link, account.bytes, account.waiting_s));
  }
  return {{"bin_s", heat.bin_s * static_cast<double>(heat.group)},
          {"end_s", heat.end_s},
          {"links_used", links.size()},
          {"links", std::move(rows)}};
}

// Who waited for whom, over all links, with the link that most of it was lost on.
Json waits_json(const ServingResult& result) {
  using models::serving::NetworkUse;
  struct Sum {
    double seconds = 0.0, worst_s = 0.0;
    sim::net::LinkId worst;
  };
  std::map<std::pair<NetworkUse, NetworkUse>, Sum> sums;
  for (const auto& wait : result.network->waits) {
    Sum& sum = sums[{wait.who, wait.whom}];
    sum.seconds += wait.seconds;
    if (wait.seconds <= sum.worst_s) continue;
    sum.worst_s = wait.seconds;
    sum.worst = wait.link;
  }
  std::vector<std::pair<std::pair<NetworkUse, NetworkUse>, Sum>> order(sums.begin(), sums.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  const auto& topology = result.fabric->topology;
  Json list = Json::array();
  for (const auto& [pair, sum] : order) {
    if (sum.seconds <= 0) continue;
    const auto& link = topology.link(sum.worst);
    list.push_back(
        {{"who", in_words(pair.first)},
         {"whom", in_words(pair.second)},
         {"seconds", rounded(sum.seconds)},
         {"worst_link", topology.node(link.from).name + " -> " + topology.node(link.to).name}});
  }
  return list;
}

// --- experts ------------------------------------------------------------------------------------

// Sums over the kept steps of one pool, in intervals of equal length.
struct LoadSeries {
  double bin_s = 0.0;
  std::vector<double> busiest, by_chance, seconds;  // weighted by seconds

  explicit LoadSeries(double end_s) : bin_s(end_s / kColumns) {
    busiest.assign(kColumns, 0.0);
    by_chance = seconds = busiest;
  }
  void add(double at_s, double lasted_s, const ExpertBalance& balance) {
    const auto bin = std::min(kColumns - 1, static_cast<std::size_t>(std::max(0.0, at_s / bin_s)));
    busiest[bin] += balance.busiest * lasted_s;
    by_chance[bin] += balance.by_chance * lasted_s;
    seconds[bin] += lasted_s;
  }
  [[nodiscard]] double mean(const std::vector<double>& sums) const {
    double sum = 0.0, time = 0.0;
    for (std::size_t i = 0; i < sums.size(); ++i) sum += sums[i], time += seconds[i];
    return time > 0 ? sum / time : 1.0;
  }
  // Null where no step was kept.
  [[nodiscard]] Json by_bin(const std::vector<double>& sums) const {
    Json list = Json::array();
    for (std::size_t i = 0; i < sums.size(); ++i)
      list.push_back(seconds[i] > 0 ? Json(rounded(sums[i] / seconds[i])) : Json(nullptr));
    return list;
  }
};

const char* role_of(const DeploymentSpec& d) {
  using models::serving::PoolRole;
  return d.role == PoolRole::prefill ? "prefill" : d.role == PoolRole::decode ? "decode" : "whole";
}

// `replicas`: numbers [first, last) belong to the pool.
Json pool_loads(const DeploymentSpec& d, const models::serving::StepTable& steps, double end_s,
                std::int32_t first, std::int32_t last) {
  const auto& moe = *d.model.moe;
  Json j = {{"role", role_of(d)},
            {"ranks", d.layout.experts_on_host ? 1 : d.layout.expert},
            {"experts", moe.experts},
            {"copies", d.layout.all_to_all ? d.layout.redundant_experts : 0},
            {"top_k", moe.top_k},
            {"skew", d.expert_skew},
            {"rebalanced", d.layout.all_to_all && d.expert_parallel.rebalanced},
            {"drift", d.expert_parallel.drift}};
  if (d.expert_skew <= 0) return j;
  LoadSeries series(end_s);
  std::map<std::int64_t, ExpertBalance> known;
  double tokens_sum = 0.0, time = 0.0;
  for (std::size_t i = 0; i < steps.start_s.size(); ++i) {
    if (steps.replica[i] < first || steps.replica[i] >= last) continue;
    const std::int64_t tokens =
        micro_batch_tokens(d, std::int64_t{steps.prefill_tokens[i]} + steps.decode_sequences[i],
                           steps.prefill_tokens[i] > 0);
    if (tokens <= 0) continue;
    auto at = known.find(tokens);
    if (at == known.end()) at = known.emplace(tokens, expert_balance(d, tokens)).first;
    series.add(steps.start_s[i], steps.duration_s[i], at->second);
    tokens_sum += static_cast<double>(tokens) * steps.duration_s[i];
    time += steps.duration_s[i];
  }
  if (time <= 0) return j;
  const auto typical = std::max<std::int64_t>(1, std::llround(tokens_sum / time));
  Json popularity = Json::array();
  for (const double load : expert_popularity(d, typical)) popularity.push_back(rounded(load));
  j["tokens"] = typical;
  j["popularity"] = std::move(popularity);
  j["bin_s"] = rounded(series.bin_s, 6);
  j["mean_busiest"] = rounded(series.mean(series.busiest));
  j["mean_by_chance"] = rounded(series.mean(series.by_chance));
  j["busiest"] = series.by_bin(series.busiest);
  j["by_chance"] = series.by_bin(series.by_chance);
  return j;
}

}  // namespace

Json link_heat_json(const ServingResult& result) {
  if (!result.network) return nullptr;
  const auto& network = *result.network;
  Json j = heat_json(Heat(network.bin_s, network.end_s), network_links(result), network.links);
  if (!j.is_null()) j["waits"] = waits_json(result);
  return j;
}

Json link_heat_json(const TrafficScenario& scenario, const TrafficResult& result) {
  return heat_json(Heat(result.bin_s, result.end_s), link_loads(scenario, result), result.links);
}

Json expert_loads_json(const Scenario& scenario, const ServingResult& result) {
  std::vector<const DeploymentSpec*> pools{&scenario.serving.deployment};
  for (const auto& pool : scenario.serving.pools) pools.push_back(&pool);
  double end_s = 0.0;
  for (std::size_t i = 0; i < result.steps.start_s.size(); ++i)
    end_s = std::max(end_s, result.steps.start_s[i] + result.steps.duration_s[i]);
  Json list = Json::array();
  std::int32_t first = 0;
  for (const DeploymentSpec* pool : pools) {
    const std::int32_t last = first + pool->replicas;
    if (models::llm::moe_layers(pool->model) > 0 && end_s > 0)
      list.push_back(pool_loads(*pool, result.steps, end_s, first, last));
    first = last;
  }
  return list;
}

}  // namespace foretoken::analysis
