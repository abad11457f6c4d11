#include "analysis/traffic_story.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {

std::string traffic_story(const std::filesystem::path& tables, const std::string& name) {
  const auto h5 = scenarios::loader::Hdf5File::open(tables);
  if (!h5.has_attribute("/", "kind") || h5.string_attribute("/", "kind") != "traffic")
    throw sim::core::InputError(tables.string() + " is not of a run of traffic");
  const std::vector<std::string> names = h5.read_strings("streams/name");
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw sim::core::InputError(fmt::format("{} has no traffic '{}'; there are: {}",
                                            tables.string(), name, fmt::join(names, ", ")));
  const auto index = static_cast<std::int32_t>(at - names.begin());

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

  const auto who = h5.read<std::int32_t>("waits/who");
  const auto whom = h5.read<std::int32_t>("waits/whom");
  const auto lost = h5.read<double>("waits/seconds");
  const auto where = h5.read_strings("waits/link");
  std::map<std::int32_t, double> by_whom;
  std::map<std::int32_t, std::vector<std::size_t>> links;  // largest first, as the file has them
  for (std::size_t i = 0; i < who.size(); ++i) {
    if (who[i] != index) continue;
    by_whom[whom[i]] += lost[i];
    links[whom[i]].push_back(i);
  }
  if (by_whom.empty()) return out + "It never waited on a link.\n";
  constexpr std::size_t kLinks = 3;
  for (const auto& [other, total] : by_whom) {
    out += fmt::format("Its transfers lost {:.3f} ms to {}, most of it on\n", total * 1e3,
                       other == index ? "each other" : names[static_cast<std::size_t>(other)]);
    for (std::size_t i = 0; i < std::min(kLinks, links[other].size()); ++i)
      out += fmt::format("  {}: {:.3f} ms\n", where[links[other][i]], lost[links[other][i]] * 1e3);
  }
  return out;
}

}  // namespace foretoken::analysis
