#include "validation/serving/replay_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "models/serving/serving.hpp"
#include "models/serving/simulate.hpp"
#include "models/serving/step_model.hpp"
#include "scenarios/loader/cards.hpp"
#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"
#include "validation/serving/row_scenario.hpp"

namespace foretoken::validation::serving {
namespace {

namespace fs = std::filesystem;
namespace serving = models::serving;
using nlohmann::json;
using sim::core::InputError;

struct Logged {
  double arrival_s, queued_s, first_s, last_s;
  int input, output;
};

std::vector<Logged> read_requests(const fs::path& file) {
  std::vector<Logged> requests;
  std::istringstream text(calibrate::read_text(file));
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (line.empty()) continue;
    try {
      const json r = json::parse(line);
      requests.push_back({r.at("arrival_time"), r.at("queued_ts"), r.at("first_token_ts"),
                          r.at("last_token_ts"), r.at("input_toks"), r.at("output_toks")});
    } catch (const json::exception& error) {
      throw InputError(fmt::format("{}:{}: {}", file.string(), number, error.what()));
    }
  }
  if (requests.empty()) throw InputError(file.string() + ": holds no request");
  // Arrivals are on another clock than the rest: no request is queued before it arrives.
  double apart = -1e300;
  for (const auto& r : requests) apart = std::max(apart, r.arrival_s - r.queued_s);
  for (auto& r : requests) r.arrival_s -= apart;
  std::sort(requests.begin(), requests.end(),
            [](const Logged& a, const Logged& b) { return a.arrival_s < b.arrival_s; });
  return requests;
}

// The GPU card whose name is in the driver's name of the device: "NVIDIA GeForce RTX 4090".
std::string gpu_of(const std::string& device, const scenarios::loader::Catalogue& catalogue) {
  std::string text = device;
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return c == ' ' ? '-' : static_cast<char>(std::tolower(c));
  });
  for (const auto& card : scenarios::loader::list_cards("gpu", catalogue))
    if (text.find(card.name) != std::string::npos) return card.name;
  throw InputError(fmt::format("no GPU card for the device '{}'", device));
}

serving::ServingSpec scenario(const fs::path& folder, const std::vector<Logged>& requests,
                              const scenarios::loader::Catalogue& catalogue, const FitSet& fit,
                              std::int64_t& kv_blocks) {
  const fs::path file = folder / "meta.json";
  try {
    const json meta = json::parse(calibrate::read_text(file));
    const json& arguments = meta.at("engine_kwargs");
    ServedRow row;
    row.id = folder.filename().string();
    row.source = "log";
    row.model = meta.at("model");
    row.gpu = gpu_of(meta.at("hardware").at("device_name"), catalogue);
    row.engine = "vllm";
    row.engine_version = meta.at("vllm_version");
    row.tp = row.moe_tp = arguments.at("tensor_parallel_size");
    row.input_tokens = row.output_tokens = row.concurrency = 1;
    auto spec = RowReader(catalogue, {}).scenario(row);
    apply_settings(settings_of(fit, row), spec);  // of the card's default version, or near it
    auto& d = spec.deployment;
    d.batching.max_tokens = arguments.at("max_num_batched_tokens");
    d.batching.max_sequences = arguments.at("max_num_seqs");
    kv_blocks = meta.at("kv_cache").at("num_gpu_blocks").get<std::int64_t>() - 1;  // one pads
    d.batching.prefix_caching = meta.at("kv_cache").at("enable_prefix_caching");
    d.engine.kv_block_tokens = meta.at("kv_cache").at("block_size");
    auto trace = std::make_shared<std::vector<serving::TraceRequest>>();
    for (const auto& r : requests) {
      serving::TraceRequest one;
      one.arrival_ps = std::llround((r.arrival_s - requests.front().arrival_s) * 1e12);
      one.input_tokens = r.input;
      one.output_tokens = r.output;
      trace->push_back(one);
    }
    spec.workload.arrivals = serving::TraceArrivals{std::move(trace), 1.0};
    spec.workload.requests.reset();
    return spec;
  } catch (const json::exception& error) {
    throw InputError(file.string() + ": " + error.what());
  }
}

double percentile(std::vector<double> values, double p) {  // linear between ranks, as numpy does
  std::sort(values.begin(), values.end());
  const double rank = p * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const auto high = std::min(low + 1, values.size() - 1);
  return values[low] + (rank - static_cast<double>(low)) * (values[high] - values[low]);
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

void compare(Replay& out, const std::string& quantity, const std::vector<double>& measured,
             const std::vector<double>& predicted) {
  out.figures.push_back({quantity, "mean", mean(measured), mean(predicted)});
  for (const int p : {50, 90, 95, 99})
    out.figures.push_back({quantity, fmt::format("p{}", p), percentile(measured, p / 100.0),
                           percentile(predicted, p / 100.0)});
}

}  // namespace

Replay replay_log(const fs::path& folder, const scenarios::loader::Catalogue& catalogue,
                  std::shared_ptr<const models::kernels::Calibration> calibration,
                  const FitSet& fit) {
  const auto requests = read_requests(folder / "requests.jsonl");
  std::int64_t kv_blocks = 0;
  const auto spec = scenario(folder, requests, catalogue, fit, kv_blocks);
  auto memory = serving::account_memory(spec.deployment, 1);
  memory.kv_blocks = kv_blocks;
  memory.kv_tokens = kv_blocks * spec.deployment.engine.kv_block_tokens;
  const serving::StepModel timer(spec.deployment, std::move(calibration));
  const auto result = serving::simulate_with(spec, timer, memory, {});
  Replay out;
  out.log = folder.filename().string();
  out.requests = requests.size();
  std::vector<double> ttft[2], tpot[2], e2el[2];
  const auto add = [&](int which, double arrival, double first, double last, int tokens) {
    ttft[which].push_back(first - arrival);
    e2el[which].push_back(last - arrival);
    if (tokens > 1) tpot[which].push_back((last - first) / (tokens - 1));
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto& r = requests[i];
    add(0, r.arrival_s, r.first_s, r.last_s, r.output);
    const auto& t = result.requests;
    add(1, t.arrival_s[i], t.first_token_s[i], t.last_token_s[i], t.output_tokens[i]);
  }
  compare(out, "ttft", ttft[0], ttft[1]);
  compare(out, "tpot", tpot[0], tpot[1]);
  compare(out, "e2el", e2el[0], e2el[1]);
  for (const auto& figure : out.figures)
    out.worst_percent = std::max(out.worst_percent, 100 * std::abs(figure.error()));
  return out;
}

}  // namespace foretoken::validation::serving
