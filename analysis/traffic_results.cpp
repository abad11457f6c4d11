#include "analysis/traffic_results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/file_exchange.hpp"
#include "analysis/results_store.hpp"
#include "analysis/run_documents.hpp"
#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using models::collective::StreamResult;
using scenarios::loader::Hdf5File;

constexpr std::size_t kLinksShown = 20;

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

const std::string& node_name(const TrafficScenario& scenario, sim::net::NodeId id) {
  return scenario.traffic.fabric.topology.node(id).name;
}

std::string link_name(const TrafficScenario& scenario, sim::net::LinkId id) {
  const auto& link = scenario.traffic.fabric.topology.link(id);
  return node_name(scenario, link.from) + " -> " + node_name(scenario, link.to);
}

Json stream_json(const StreamResult& s) {
  const double mean = s.mean_s();
  return {{"name", s.name},
          {"algorithm", s.algorithm},
          {"repeats", s.seconds.size()},
          {"bytes", s.bytes},
          {"closed_form_ms", s.closed_s * 1e3},
          {"alone_ms", s.alone_s * 1e3},
          {"mean_ms", mean * 1e3},
          {"p50_ms", quantile(s.seconds, 0.5) * 1e3},
          {"p99_ms", quantile(s.seconds, 0.99) * 1e3},
          {"max_ms", quantile(s.seconds, 1.0) * 1e3},
          {"slowdown", s.alone_s > 0 ? mean / s.alone_s : 1.0},
          {"algbw_bytes_per_s", mean > 0 ? s.bytes / mean : 0.0},
          {"busbw_bytes_per_s", mean > 0 ? s.bytes / mean * s.bus_factor : 0.0}};
}

// The parts of a run's documents that do not depend on its kind.
Scenario shell_of(const TrafficScenario& traffic) {
  Scenario scenario;
  scenario.name = traffic.name;
  scenario.file = traffic.file;
  scenario.resolved = traffic.resolved;
  scenario.input_hashes = traffic.input_hashes;
  return scenario;
}

void write_tables(const std::filesystem::path& file, const TrafficScenario& scenario,
                  const TrafficResult& result) {
  Hdf5File h5 = Hdf5File::create(file);
  h5.set_attribute("/", "format_version", std::int64_t{kRunFormatVersion});
  h5.set_attribute("/", "kind", "traffic");
  h5.set_attribute("/", "name", scenario.name);
  std::vector<std::string> names;
  std::vector<std::int32_t> stream;
  std::vector<double> start, seconds;
  for (std::size_t s = 0; s < result.streams.size(); ++s) {
    names.push_back(result.streams[s].name);
    for (std::size_t i = 0; i < result.streams[s].seconds.size(); ++i) {
      stream.push_back(static_cast<std::int32_t>(s));
      start.push_back(result.streams[s].start_s[i]);
      seconds.push_back(result.streams[s].seconds[i]);
    }
  }
  h5.write_strings("streams/name", names);
  h5.write("repeats/stream", stream);
  h5.write("repeats/start_s", start);
  h5.write("repeats/seconds", seconds);
  std::vector<std::string> from, to;
  std::vector<double> rate, bytes, waiting;
  std::vector<float> use_bins, waiting_bins;
  const auto bins = static_cast<std::size_t>(std::ceil(result.end_s / result.bin_s)) + 1;
  for (const auto& account : result.links) {
    const auto& link = scenario.traffic.fabric.topology.link(account.link);
    from.push_back(node_name(scenario, link.from));
    to.push_back(node_name(scenario, link.to));
    rate.push_back(link.payload_bytes_per_s());
    double total = 0.0, lost = 0.0;
    for (std::size_t b = 0; b < bins; ++b) {
      const float carried = b < account.bytes.size() ? account.bytes[b] : 0.0F;
      const float waited = b < account.waiting_s.size() ? account.waiting_s[b] : 0.0F;
      use_bins.push_back(static_cast<float>(carried / (rate.back() * result.bin_s)));
      waiting_bins.push_back(waited);
      total += carried;
      lost += waited;
    }
    bytes.push_back(total);
    waiting.push_back(lost);
  }
  h5.write_strings("links/from", from);
  h5.write_strings("links/to", to);
  h5.write("links/bytes_per_s", rate);
  h5.write("links/bytes", bytes);
  h5.write("links/waiting_s", waiting);
  // One link after the other, `bins` values each.
  h5.write("link_series/utilisation", use_bins);
  h5.write("link_series/waiting_s", waiting_bins);
  h5.set_attribute("link_series", "bins", static_cast<std::int64_t>(bins));
  h5.set_attribute("link_series", "bin_s", result.bin_s);
  std::vector<std::int32_t> who, whom;
  std::vector<std::string> where;
  std::vector<double> lost;
  for (const auto& wait : result.waits) {
    who.push_back(wait.who);
    whom.push_back(wait.whom);
    where.push_back(link_name(scenario, wait.link));
    lost.push_back(wait.seconds);
  }
  h5.write("waits/who", who);
  h5.write("waits/whom", whom);
  h5.write_strings("waits/link", where);
  h5.write("waits/seconds", lost);
  h5.close();
}

std::string traffic_manifest(const TrafficScenario& scenario, const RunInfo& info) {
  Json inputs = Json::object();
  for (const auto& [file, hash] : scenario.input_hashes) inputs[file] = hash;
  Json j;
  j["format_version"] = kRunFormatVersion;
  j["kind"] = "traffic";
  j["name"] = scenario.name;
  j["scenario"] = scenario.file.string();
  j["scenario_hash"] = fmt::format("fnv1a64:{:016x}", traffic_hash(scenario));
  j["inputs"] = std::move(inputs);
  j["foretoken_version"] = info.version;
  j["build"] = build_description();
  j["replay"] = info.replay_command;
  j["files"] = {"summary.json", "run.h5", "report.html", "config.resolved.yaml"};
  j["run"] = {{"wall_s", info.wall_s}, {"cpu_s", info.cpu_s}, {"peak_rss_mib", info.peak_rss_mib}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<LinkLoad> link_loads(const TrafficScenario& scenario, const TrafficResult& result) {
  std::vector<LinkLoad> loads;
  for (std::size_t i = 0; i < result.links.size(); ++i) {
    const auto& account = result.links[i];
    const auto& link = scenario.traffic.fabric.topology.link(account.link);
    LinkLoad load;
    load.from = node_name(scenario, link.from);
    load.to = node_name(scenario, link.to);
    load.bytes_per_s = link.payload_bytes_per_s();
    load.index = i;
    for (const float bytes : account.bytes) {
      load.bytes += bytes;
      load.peak_use = std::max(load.peak_use, bytes / (load.bytes_per_s * result.bin_s));
    }
    for (const float waited : account.waiting_s) load.waiting_s += waited;
    if (result.end_s > 0) load.mean_use = load.bytes / (load.bytes_per_s * result.end_s);
    if (load.bytes > 0) loads.push_back(load);
  }
  std::stable_sort(loads.begin(), loads.end(), [](const LinkLoad& a, const LinkLoad& b) {
    return a.waiting_s != b.waiting_s ? a.waiting_s > b.waiting_s : a.mean_use > b.mean_use;
  });
  return loads;
}

std::vector<StreamWait> stream_waits(const TrafficResult& result) {
  std::map<std::pair<std::size_t, std::size_t>, std::pair<StreamWait, double>> sums;
  for (const auto& wait : result.waits) {
    auto& [entry, worst] = sums[{wait.who, wait.whom}];
    entry.who = wait.who;
    entry.whom = wait.whom;
    entry.seconds += wait.seconds;
    if (wait.seconds <= worst) continue;
    worst = wait.seconds;
    entry.worst = wait.link;
  }
  std::vector<StreamWait> list;
  for (const auto& [key, entry] : sums) list.push_back(entry.first);
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return list;
}

std::string traffic_json(const TrafficScenario& scenario, const TrafficResult& result,
                         const RunInfo& info) {
  Json j;
  j["kind"] = "traffic";
  j["name"] = scenario.name;
  j["duration_s"] = result.end_s;
  j["flow_events"] = result.flow_events;
  j["provenance"] = "analytical";
  j["traffic"] = Json::array();
  for (const auto& stream : result.streams) j["traffic"].push_back(stream_json(stream));
  const auto loads = link_loads(scenario, result);
  j["links_used"] = loads.size();
  j["links"] = Json::array();
  for (std::size_t i = 0; i < std::min(kLinksShown, loads.size()); ++i) {
    Json shares = Json::object();
    const auto& account = result.links[loads[i].index];
    for (std::size_t s = 0; s < result.streams.size(); ++s)
      if (account.owner_bytes[s] > 0)
        shares[result.streams[s].name] = account.owner_bytes[s] / loads[i].bytes;
    j["links"].push_back({{"from", loads[i].from},
                          {"to", loads[i].to},
                          {"bytes_per_s", loads[i].bytes_per_s},
                          {"bytes", loads[i].bytes},
                          {"utilisation", loads[i].mean_use},
                          {"peak_utilisation", loads[i].peak_use},
                          {"waiting_s", loads[i].waiting_s},
                          {"shares", std::move(shares)}});
  }
  j["waits"] = Json::array();
  for (const StreamWait& wait : stream_waits(result))
    j["waits"].push_back({{"who", result.streams[wait.who].name},
                          {"whom", result.streams[wait.whom].name},
                          {"seconds", wait.seconds},
                          {"worst_link", link_name(scenario, wait.worst)}});
  j["run"] = {{"wall_s", info.wall_s}, {"cpu_s", info.cpu_s}, {"peak_rss_mib", info.peak_rss_mib}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string traffic_text(const TrafficScenario& scenario, const TrafficResult& result) {
  std::string out = scenario.name + "\n\n";
  out += fmt::format("  {:<24} {:>7} {:>11} {:>11} {:>11} {:>8} {:>12} {:>12}\n", "traffic",
                     "repeats", "alone", "mean", "p99", "slower", "algbw", "busbw");
  for (const auto& s : result.streams) {
    const double mean = s.mean_s();
    out += fmt::format(
        "  {:<24} {:>7} {:>8.3f} ms {:>8.3f} ms {:>8.3f} ms {:>7.2f}x {:>7.1f} GB/s {:>7.1f} "
        "GB/s\n",
        s.name, s.seconds.size(), s.alone_s * 1e3, mean * 1e3, quantile(s.seconds, 0.99) * 1e3,
        s.alone_s > 0 ? mean / s.alone_s : 1.0, s.bytes / mean * 1e-9,
        s.bytes / mean * s.bus_factor * 1e-9);
  }
  constexpr std::size_t kShown = 6;
  out += fmt::format("\n  {:<48} {:>9} {:>9} {:>12}\n", "links with most waiting", "mean use",
                     "peak use", "time lost");
  const auto loads = link_loads(scenario, result);
  for (std::size_t i = 0; i < std::min(kShown, loads.size()); ++i)
    out += fmt::format("  {:<48} {:>7.1f} % {:>7.1f} % {:>9.3f} ms\n",
                       loads[i].from + " -> " + loads[i].to, 100 * loads[i].mean_use,
                       100 * loads[i].peak_use, 1e3 * loads[i].waiting_s);
  out += "\n  who waited on whom (transfer time lost, all links)\n";
  for (const StreamWait& wait : stream_waits(result))
    out += fmt::format(
        "  {:<24} {} {:<24} {:>9.3f} ms, most on {}\n", result.streams[wait.who].name,
        wait.who == wait.whom ? "on itself, " : "on         ",
        wait.who == wait.whom ? "its own other transfers" : result.streams[wait.whom].name,
        wait.seconds * 1e3, link_name(scenario, wait.worst));
  return out;
}

std::uint64_t traffic_hash(const TrafficScenario& scenario) {
  return scenario_hash(shell_of(scenario));
}

std::filesystem::path default_traffic_directory(const TrafficScenario& scenario) {
  return default_run_directory(shell_of(scenario));
}

void write_traffic_run(const std::filesystem::path& directory, const TrafficScenario& scenario,
                       const TrafficResult& result, const RunInfo& info) {
  check_writable(directory);
  try {
    StagedDirectory staged(directory);
    const std::filesystem::path& at = staged.path();
    write_plain_file(at / "summary.json", traffic_json(scenario, result, info));
    write_tables(at / "run.h5", scenario, result);
    write_plain_file(at / "report.html", traffic_html(scenario, result, info));
    write_plain_file(at / "config.resolved.yaml", resolved_yaml(shell_of(scenario)));
    write_plain_file(at / "manifest.json", traffic_manifest(scenario, info));
    staged.commit();
  } catch (const std::filesystem::filesystem_error& e) {
    throw sim::core::InputError("cannot write the results to " + directory.string() + ": " +
                                e.code().message());
  }
}

}  // namespace foretoken::analysis
