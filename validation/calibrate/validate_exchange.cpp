#include "validation/calibrate/validate_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "scenarios/loader/content_hash.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/pattern_search.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::calibrate {
namespace {

using models::collective::ExchangeMode;
using models::collective::ExchangeParameters;
using models::collective::ExpertExchange;
using models::collective::Wire;
using models::kernels::Table;
using Kernel = ExchangeParameters::Kernel;

// Rows that a fit looks at: more change nothing and cost time.
constexpr std::size_t kFitRows = 400;

struct Sample {
  ExpertExchange exchange;
  const Wire* wire = nullptr;
  double seconds = 0.0;
  int fold = 0;
  std::string gpu;
};

// One kind of kernel, one way.
struct Kind {
  const char* op;
  ExchangeMode mode;
  bool combine;
  Kernel ExchangeParameters::*kernel;
};
constexpr Kind kKinds[] = {
    {"wideep_deepep_normal_dispatch", ExchangeMode::normal, false, &ExchangeParameters::dispatch},
    {"wideep_deepep_normal_combine", ExchangeMode::normal, true, &ExchangeParameters::combine},
    {"wideep_deepep_ll_dispatch", ExchangeMode::low_latency, false,
     &ExchangeParameters::fast_dispatch},
    {"wideep_deepep_ll_combine", ExchangeMode::low_latency, true,
     &ExchangeParameters::fast_combine}};

double predicted(const Sample& sample, bool combine, const ExchangeParameters& parameters) {
  return (combine ? combine_plan(sample.exchange, *sample.wire, parameters)
                  : dispatch_plan(sample.exchange, *sample.wire, parameters))
      .seconds();
}

std::vector<Sample> samples_of(const Table& table, const Kind& kind, const Wire& wire) {
  const auto column = [&](const std::string& name) -> const std::vector<float>* {
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      if (table.columns[c] == name) return &table.values[c];
    return nullptr;
  };
  const auto* tokens = column("num_token");
  const auto* hidden = column("hidden_size");
  const auto* top_k = column("num_topk");
  const auto* experts = column("num_experts");
  const auto* nodes = column("node_num");
  const auto* sms = column(kind.combine ? "combine_sms" : "dispatch_sms");
  std::vector<Sample> samples;
  if (tokens == nullptr || hidden == nullptr || top_k == nullptr || experts == nullptr)
    return samples;
  for (std::size_t i = 0; i < table.seconds.size(); ++i) {
    Sample sample;
    auto& exchange = sample.exchange;
    exchange.mode = kind.mode;
    exchange.tokens = (*tokens)[i];
    exchange.hidden = static_cast<int>((*hidden)[i]);
    exchange.top_k = static_cast<int>((*top_k)[i]);
    exchange.scale_bytes_per_token = exchange.hidden / 128.0 * 4.0;
    const int count = nodes != nullptr ? std::max(1, static_cast<int>((*nodes)[i])) : 1;
    exchange.group = {count * wire.node_gpus, count};
    if (sms != nullptr) exchange.sms = static_cast<int>((*sms)[i]);
    sample.wire = &wire;
    sample.seconds = table.seconds[i];
    sample.gpu = table.gpu;
    sample.fold =
        static_cast<int>(scenarios::loader::content_hash(fmt::format(
                             "deepep {} {} {}", exchange.hidden, exchange.top_k, (*experts)[i])) %
                         kFolds);
    samples.push_back(std::move(sample));
  }
  return samples;
}

double mean_log_error(const std::vector<const Sample*>& samples, bool combine,
                      const ExchangeParameters& parameters) {
  double sum = 0.0;
  for (const Sample* sample : samples)
    sum += std::abs(std::log(predicted(*sample, combine, parameters) / sample->seconds));
  return sum / static_cast<double>(std::max<std::size_t>(1, samples.size()));
}

// Kernel parameters from every fold but one.
ExchangeParameters fitted(const std::vector<Sample>& samples, const Kind& kind, int left_out) {
  std::vector<const Sample*> rows;
  for (const Sample& sample : samples)
    if (sample.fold != left_out) rows.push_back(&sample);
  const std::size_t stride = std::max<std::size_t>(1, rows.size() / kFitRows);
  std::vector<const Sample*> some;
  for (std::size_t i = 0; i < rows.size(); i += stride) some.push_back(rows[i]);
  ExchangeParameters parameters;
  Kernel& kernel = parameters.*kind.kernel;
  std::vector<double*> free = {&kernel.launch_s, &kernel.launch_steps, &kernel.launch_per_element_s,
                               &kernel.message_s, &kernel.link_efficiency};
  if (kind.mode == ExchangeMode::normal) free.push_back(&kernel.sm_bytes_per_s);
  pattern_search(free, [&] { return mean_log_error(some, kind.combine, parameters); });
  return parameters;
}

KernelGroup group_of(std::map<std::string, std::string> key, std::vector<double> errors) {
  KernelGroup group;
  group.key = std::move(key);
  group.n = errors.size();
  group.latency = error_figures(std::move(errors));
  return group;
}

}  // namespace

void validate_exchange(const models::kernels::Calibration& data, const Wires& wires,
                       KernelValidation& result) {
  std::vector<double> all;
  std::vector<KernelGroup> tables;
  for (const Kind& kind : kKinds) {
    std::vector<Sample> samples;
    for (const Table& table : data.tables) {
      if (table.op != kind.op) continue;
      const auto wire = wires.find(table.gpu);
      // The operator models do not know these tables and have refused them: no longer.
      std::erase_if(result.refused, [&](const RefusedRows& refused) {
        return refused.id.find(table.gpu) != std::string::npos &&
               refused.id.find(table.op) != std::string::npos;
      });
      if (wire == wires.end()) {
        result.refused.push_back({table.gpu + "/" + table.op,
                                  "no node card with eight of these GPUs", table.seconds.size()});
        continue;
      }
      for (Sample& sample : samples_of(table, kind, wire->second))
        samples.push_back(std::move(sample));
    }
    if (samples.empty()) continue;
    std::map<std::string, std::vector<double>> by_gpu;
    for (int fold = 0; fold < kFolds; ++fold) {
      const ExchangeParameters parameters = fitted(samples, kind, fold);
      for (const Sample& sample : samples)
        if (sample.fold == fold)
          by_gpu[sample.gpu].push_back(
              predicted(sample, kind.combine, parameters) / sample.seconds - 1.0);
    }
    for (auto& [gpu, errors] : by_gpu) {
      all.insert(all.end(), errors.begin(), errors.end());
      tables.push_back(group_of({{"operator", kind.op}, {"gpu", gpu}}, std::move(errors)));
    }
  }
  if (all.empty()) return;
  result.groups.push_back(group_of({{"operator", "deepep"}}, std::move(all)));
  for (KernelGroup& group : tables) result.groups.push_back(std::move(group));
}

namespace {

struct Published {
  Sample sample;
  bool combine = false;
};

// mode,ep,tokens,hidden,top_k,node_limit,way,seconds
std::vector<Published> read_published(const std::filesystem::path& file, const Wire& wire) {
  std::istringstream in(read_text(file));
  std::string line;
  std::vector<Published> rows;
  int number = 0;
  while (std::getline(in, line)) {
    ++number;
    if (line.empty() || line[0] == '#' || line.starts_with("mode,")) continue;
    std::istringstream cells(line);
    std::vector<std::string> words;
    for (std::string word; std::getline(cells, word, ',');) words.push_back(word);
    if (words.size() != 9)
      throw sim::core::InputError(fmt::format("{}:{}: nine columns are expected, here are {}",
                                              file.string(), number, words.size()));
    Published row;
    auto& exchange = row.sample.exchange;
    exchange.mode = words[0] == "normal" ? ExchangeMode::normal : ExchangeMode::low_latency;
    const int gpus = std::stoi(words[1]);
    exchange.group = {gpus, std::max(1, gpus / wire.node_gpus)};
    exchange.tokens = std::stod(words[2]);
    exchange.hidden = std::stoi(words[3]);
    exchange.top_k = std::stoi(words[4]);
    exchange.node_limit = std::stoi(words[5]);
    exchange.scale_bytes_per_token = exchange.hidden / 128.0 * 4.0;
    row.combine = words[6] == "combine";
    // A bandwidth is bytes of a token to each of its nodes (between nodes) or GPUs, its own
    // counted, over the time.
    const double value = std::stod(words[7]);
    const auto fanout = fanout_of(exchange);
    const double copies = exchange.group.nodes > 1 ? fanout.nodes : fanout.gpus;
    const double bytes =
        row.combine ? 2.0 * exchange.hidden : exchange.hidden + exchange.scale_bytes_per_token;
    row.sample.seconds =
        words[8] == "us" ? value * 1e-6 : exchange.tokens * copies * bytes / (value * 1e9);
    row.sample.wire = &wire;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

void validate_published_exchange(const std::filesystem::path& folder, const Wire& h800,
                                 KernelValidation& result) {
  const std::filesystem::path file = folder / "deepep-published.csv";
  if (!std::filesystem::exists(file)) return;
  const std::vector<Published> rows = read_published(file, h800);
  std::map<std::string, std::vector<double>> errors;
  for (const Published& row : rows) {
    ExchangeParameters parameters;
    std::vector<Published> others;
    for (const Published& other : rows)
      if (other.sample.exchange.group.gpus != row.sample.exchange.group.gpus)
        others.push_back(other);
    pattern_search({&parameters.rdma_efficiency, &parameters.network_steps}, [&] {
      double sum = 0.0;
      for (const Published& other : others)
        sum += std::abs(
            std::log(predicted(other.sample, other.combine, parameters) / other.sample.seconds));
      return sum;
    });
    parameters.rdma_efficiency = std::min(1.0, parameters.rdma_efficiency);
    const bool normal = row.sample.exchange.mode == ExchangeMode::normal;
    errors[normal ? "normal" : "low latency"].push_back(
        predicted(row.sample, row.combine, parameters) / row.sample.seconds - 1.0);
  }
  std::vector<double> all;
  for (const auto& entry : errors) all.insert(all.end(), entry.second.begin(), entry.second.end());
  result.groups.push_back(group_of({{"operator", "deepep_published"}}, std::move(all)));
  for (auto& [mode, list] : errors)
    result.groups.push_back(
        group_of({{"operator", "deepep_published"}, {"table", mode}}, std::move(list)));
}

}  // namespace foretoken::validation::calibrate
