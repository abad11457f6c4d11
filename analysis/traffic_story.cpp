#include "analysis/traffic_story.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {

namespace {

struct Waits {
  std::vector<std::int32_t> who, whom;
  std::vector<double> seconds;
  std::vector<std::string> link;
};

std::int32_t index_of(const std::vector<std::string>& names, const std::string& name,
                      const std::filesystem::path& tables) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw sim::core::InputError(fmt::format("{} has no traffic '{}'; there are: {}",
                                            tables.string(), name, fmt::join(names, ", ")));
  return static_cast<std::int32_t>(at - names.begin());
}

std::string waits_story(const Waits& waits, const std::vector<std::string>& names,
                        std::int32_t index) {
  std::map<std::int32_t, double> by_whom;
  std::map<std::int32_t, std::vector<std::size_t>> links;  // largest first, as the file has them
  for (std::size_t i = 0; i < waits.who.size(); ++i) {
    if (waits.who[i] != index) continue;
    by_whom[waits.whom[i]] += waits.seconds[i];
    links[waits.whom[i]].push_back(i);
  }
  if (by_whom.empty()) return "It never waited on a link.\n";
  constexpr std::size_t kLinks = 3;
  std::string out;
  for (const auto& [other, total] : by_whom) {
    out += fmt::format("Its transfers lost {:.3f} ms to {}, most of it on\n", total * 1e3,
                       other == index ? "each other" : names[static_cast<std::size_t>(other)]);
    for (std::size_t i = 0; i < std::min(kLinks, links[other].size()); ++i)
      out += fmt::format("  {}: {:.3f} ms\n", waits.link[links[other][i]],
                         waits.seconds[links[other][i]] * 1e3);
  }
  return out;
}

// Of a deployment's own network.
std::string use_story(const scenarios::loader::Hdf5File& h5, const std::filesystem::path& tables,
                      const std::string& name) {
  const std::vector<std::string> names = h5.read_strings("network/use_name");
  const std::int32_t index = index_of(names, name, tables);
  const auto at = static_cast<std::size_t>(index);
  const auto moves = h5.read<std::int64_t>("network/use_moves")[at];
  const double bytes = h5.read<double>("network/use_bytes")[at];
  const double seconds = h5.read<double>("network/use_s")[at];
  const double alone = h5.read<double>("network/use_alone_s")[at];
  std::string out = fmt::format("{}: {:.3f} GB", name, bytes * 1e-9);
  if (moves > 0)
    out += fmt::format(" in {} moves, {:.3f} ms on average, {:.3f} ms with the network to itself",
                       moves, seconds / static_cast<double>(moves) * 1e3,
                       alone / static_cast<double>(moves) * 1e3);
  else if (alone > 0)
    out += fmt::format(" in {:.3f} s of steps, {:.3f} s with the network to themselves", seconds,
                       alone);
  out += ".\n";
  const Waits waits{h5.read<std::int32_t>("network/wait_who"),
                    h5.read<std::int32_t>("network/wait_whom"), h5.read<double>("network/wait_s"),
                    h5.read_strings("network/wait_link")};
  return out + waits_story(waits, names, index);
}

}  // namespace

std::string traffic_story(const std::filesystem::path& tables, const std::string& name) {
  const auto h5 = scenarios::loader::Hdf5File::open(tables);
  if (h5.exists("network/use_name")) return use_story(h5, tables, name);
  if (!h5.has_attribute("/", "kind") || h5.string_attribute("/", "kind") != "traffic")
    throw sim::core::InputError(tables.string() +
                                " is not of a run of traffic, nor of a deployment with a network");
  const std::vector<std::string> names = h5.read_strings("streams/name");
  const std::int32_t index = index_of(names, name, tables);

  const auto stream = h5.read<std::int32_t>("repeats/stream");
  const auto start = h5.read<double>("repeats/start_s");
  const auto seconds = h5.read<double>("repeats/seconds");
  std::size_t count = 0, slowest = 0;
  double sum = 0.0, least = 0.0;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    if (stream[i] != index) continue;
    if (count == 0 || seconds[i] > seconds[slowest]) slowest = i;
    if (count == 0 || seconds[i] < least) least = seconds[i];
    ++count;
    sum += seconds[i];
  }
  std::string out = fmt::format("{}: {} repeats", name, count);
  if (count > 0)
    out += fmt::format(
        ", {:.3f} ms on average, {:.3f} ms at best; the slowest began at {:.3f} ms and took {:.3f} "
        "ms",
        sum / static_cast<double>(count) * 1e3, least * 1e3, start[slowest] * 1e3,
        seconds[slowest] * 1e3);
  out += ".\n";

  const Waits waits{h5.read<std::int32_t>("waits/who"), h5.read<std::int32_t>("waits/whom"),
                    h5.read<double>("waits/seconds"), h5.read_strings("waits/link")};
  return out + waits_story(waits, names, index);
}

}  // namespace foretoken::analysis
