#include "analysis/app/definitions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis::app {
namespace {

using Json = nlohmann::json;

struct Metric {
  std::string_view name;     // as in summary.json, without statistic and unit
  std::string_view aliases;  // separated by spaces
  std::string_view meaning;
  std::string_view formula;
};

// For a request: a arrival, s first scheduled, f first token at the client, c last token at the
// client, L input tokens, N output tokens. T the measured window, G the GPUs of the deployment.
constexpr std::array kMetrics = {
    Metric{"ttft", "time_to_first_token",
           "time to first token, as the client sees it: network, queueing and prefill included",
           "f - a"},
    Metric{"tpot", "time_per_output_token itl inter_token_latency",
           "time per output token after the first; requests of one token have none",
           "(c - f) / (N - 1), N >= 2"},
    Metric{"e2el", "e2e latency end_to_end", "end-to-end latency of a request", "c - a"},
    Metric{"scheduling_delay", "queueing queue",
           "time until the first token of its prompt is processed", "s - a"},
    Metric{"prefill", "", "time from being scheduled to the first token at the client", "f - s"},
    Metric{"decode", "", "time from the first token to the last", "c - f"},
    Metric{"request_throughput", "request_rate", "requests per second",
           "requests whose last token left in the window / T"},
    Metric{"output_throughput", "output_rate", "output tokens per second",
           "output tokens of requests that finished in the window / T"},
    Metric{"total_token_throughput", "total_rate", "input and output tokens per second",
           "(L + N) summed over requests that finished in the window / T"},
    Metric{"request_goodput", "goodput", "requests per second within every limit of the SLO",
           "good requests / T; refused and unfinished ones are not good"},
    Metric{"attainment", "slo slo_attainment", "share of requests within every limit of the SLO",
           "good requests / requests that arrived in the window"},
    Metric{"duration", "window window_s",
           "the measured window: end of the warm-up to the last token",
           "T = window.end_s - window.start_s"},
    Metric{"completed", "", "requests that got all their tokens", ""},
    Metric{"failed", "rejected unfinished",
           "requests refused (longer than the context or than the KV pool) or not done at the end",
           "rejected + unfinished"},
    Metric{"preemptions", "",
           "times a running request was thrown out of the batch for want of KV blocks or for a "
           "more urgent one; it starts over or comes back from host memory",
           ""},
    Metric{"steps", "", "engine iterations, summed over replicas", ""},
    Metric{"max_concurrent_requests", "peak_concurrency", "most requests in the system at one time",
           ""},
    Metric{"mean_concurrency", "concurrency",
           "requests in the system, mean over the window (Little: request rate x mean e2el)",
           "sum over requests of their time inside the window / T"},
    Metric{"mean_running", "running", "requests in the batches of all replicas, mean over time",
           ""},
    Metric{"mean_waiting", "waiting", "requests in the queues of all replicas, mean over time", ""},
    Metric{"mean_used_fraction", "kv_used kv_used_fraction",
           "share of the KV blocks in use, mean over time and replicas", "used blocks / blocks"},
    Metric{"mean_gpu_watts", "gpu_watts power", "electric power of one GPU, mean over the window",
           "energy of all GPUs / (G T)"},
    Metric{"joules_per_output_token", "j_per_token energy",
           "energy for an output token, at the GPUs, the servers' plugs and the facility's meter",
           "energy of the window / output tokens finished in it; facility = server x PUE"},
    Metric{"per_million_output_tokens", "cost", "money for a million output tokens",
           "cost per hour / output tokens per hour x 10^6"},
    Metric{"idle_share", "idle", "share of the time in which a replica has nothing to run", ""},
};

// p99_ttft_ms -> ttft
std::string bare(std::string_view name) {
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::replace(text.begin(), text.end(), '.', '_');
  for (const std::string_view head : {"median_", "mean_", "std_", "p50_", "p90_", "p95_", "p99_"})
    if (text.starts_with(head)) {
      text.erase(0, head.size());
      break;
    }
  for (const std::string_view tail : {"_ms", "_s", "_p50", "_p90", "_p95", "_p99", "_mean"})
    if (text.ends_with(tail)) text.resize(text.size() - tail.size());
  return text;
}

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t space = words.find(' ');
    if (words.substr(0, space) == word) return true;
    words.remove_prefix(space == std::string_view::npos ? words.size() : space + 1);
  }
  return false;
}

const Metric* find_metric(std::string_view name) {
  for (const std::string& candidate : {std::string(name), bare(name)})
    for (const Metric& metric : kMetrics)
      if (metric.name == candidate || has_word(metric.aliases, candidate)) return &metric;
  return nullptr;
}

// Every key of the schema with its path.
void collect(const Json& node, const std::string& path,
             std::vector<std::pair<std::string, const Json*>>& out) {
  if (!path.empty()) out.emplace_back(path, &node);
  if (node.contains("items")) collect(node["items"], path + "[]", out);
  if (!node.contains("properties")) return;
  for (const auto& [key, child] : node["properties"].items())
    collect(child, path.empty() ? key : path + "." + key, out);
}

std::string values_text(const Json& node) {
  std::string text;
  const Json* const choices = node.contains("anyOf") ? &node["anyOf"][0] : &node;
  if (choices->contains("enum")) {
    for (const auto& word : (*choices)["enum"])
      text += (text.empty() ? "" : ", ") + word.get<std::string>();
    return fmt::format("  one of       {}\n", text);
  }
  if (node.contains("minimum")) return fmt::format("  at least     {}\n", node["minimum"].dump());
  if (node.contains("properties")) {
    for (const auto& [key, child] : node["properties"].items())
      text += (text.empty() ? "" : ", ") + key;
    return fmt::format("  holds        {}\n", text);
  }
  return {};
}

}  // namespace

std::optional<std::string> definition_of(std::string_view name) {
  if (const Metric* const metric = find_metric(name)) {
    std::string text =
        fmt::format("{} (metric)\n  is           {}\n", metric->name, metric->meaning);
    if (!metric->formula.empty()) text += fmt::format("  formula      {}\n", metric->formula);
    text +=
        "  where        for a request: a arrival, s first scheduled, f first and c last token at "
        "the "
        "client,\n"
        "               L input and N output tokens; T the measured window, G the GPUs\n";
    return text;
  }
  const Json schema = Json::parse(scenarios::loader::json_schema());
  std::vector<std::pair<std::string, const Json*>> keys;
  collect(schema, "", keys);
  std::string text;
  for (const auto& [path, node] : keys) {
    const std::string tail = "." + std::string(name);
    if (path != name && !path.ends_with(tail)) continue;
    text += fmt::format("{} (key of a scenario)\n  is           {}\n{}", path,
                        node->value("description", std::string("see what it holds")),
                        values_text(*node));
  }
  if (text.empty()) return std::nullopt;
  return text;
}

std::vector<std::string> defined_names() {
  std::vector<std::string> names;
  for (const Metric& metric : kMetrics) names.emplace_back(metric.name);
  const Json schema = Json::parse(scenarios::loader::json_schema());
  std::vector<std::pair<std::string, const Json*>> keys;
  collect(schema, "", keys);
  for (const auto& [path, node] : keys) names.push_back(path.substr(path.rfind('.') + 1));
  return names;
}

}  // namespace foretoken::analysis::app
