// slo: [ttft.p99 <= 2s, tpot.mean <= 50ms]
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

const std::vector<std::string>& metrics() {
  static const std::vector<std::string> names = {"ttft", "tpot", "e2el"};
  return names;
}
const std::vector<std::string>& statistics() {
  static const std::vector<std::string> names = {"p50", "p90", "p95", "p99", "mean"};
  return names;
}

constexpr std::string_view kShape = "write METRIC.STATISTIC <= TIME, such as ttft.p99 <= 2s";

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// False and an error at the word if it is none of `known`.
bool known_word(const YamlNode& node, std::string_view whole, std::string_view word,
                const std::vector<std::string>& known, std::string_view what) {
  if (std::find(known.begin(), known.end(), word) != known.end()) return true;
  const auto near = did_you_mean(word, known);
  node.error(fmt::format("unknown {} '{}'; {}", what, word,
                         near ? fmt::format("did you mean '{}'?", *near)
                              : fmt::format("known: {}", fmt::join(known, ", "))),
             static_cast<int>(word.data() - whole.data()));
  return false;
}

std::optional<SloTerm> read_term(const YamlNode& node) {
  SloTerm term;
  term.text = node.as<std::string>();
  const std::string_view whole = term.text;
  const std::size_t sign = whole.find_first_of("<>=");
  if (whole.empty()) return std::nullopt;
  const std::string_view comparison =
      sign == std::string_view::npos
          ? ""
          : whole.substr(sign, whole.find_first_not_of("<>=", sign) - sign);
  if (comparison != "<=" && comparison != "<") {
    node.error(fmt::format("'{}' is no latency limit; {}", whole, kShape),
               sign == std::string_view::npos ? 0 : static_cast<int>(sign));
    return std::nullopt;
  }
  const std::string_view left = trim(whole.substr(0, sign));
  const std::string_view right = trim(whole.substr(sign + comparison.size()));
  const std::size_t point = left.find('.');
  if (point == std::string_view::npos) {
    node.error(fmt::format("'{}' names no statistic; {}", left, kShape));
    return std::nullopt;
  }
  const std::string_view metric = left.substr(0, point), statistic = left.substr(point + 1);
  bool good = known_word(node, whole, metric, metrics(), "metric");
  good = known_word(node, whole, statistic, statistics(), "statistic") && good;
  const QuantityText limit = parse_quantity(right, Dimension::seconds);
  if (!limit.value || *limit.value <= 0.0) {
    node.error(limit.value ? fmt::format("'{}' must be greater than 0", right) : limit.problem,
               right.empty() ? 0 : static_cast<int>(right.data() - whole.data()));
    return std::nullopt;
  }
  if (!good) return std::nullopt;
  term.metric = metric;
  term.statistic = statistic;
  term.limit_s = *limit.value;
  return term;
}

}  // namespace

std::vector<SloTerm> read_slo(const YamlNode& root) {
  std::vector<SloTerm> terms;
  const YamlNode list = root.any_child("slo");
  if (list.exists() && !list.is_list()) {
    list.error("'slo' is a list: write slo: [ttft.p99 <= 2s, tpot.p99 <= 50ms]");
    return terms;
  }
  for (const YamlNode& node : list.items()) {
    const auto term = read_term(node);
    if (!term) continue;
    for (const SloTerm& earlier : terms) {
      if (earlier.metric == term->metric && earlier.statistic == term->statistic) {
        node.error(fmt::format("{}.{} is limited twice", term->metric, term->statistic));
      }
    }
    terms.push_back(*term);
  }
  return terms;
}

}  // namespace foretoken::scenarios::loader
