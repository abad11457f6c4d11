#include "validation/power/node_wall.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/power/gpu_power.hpp"
#include "models/power/node_power.hpp"
#include "models/serving/step_model.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "sim/core/error.hpp"
#include "validation/serving/row_scenario.hpp"
#include "validation/training/csv.hpp"

namespace foretoken::validation::power {
namespace {

namespace fs = std::filesystem;
using models::serving::StepCost;
using models::serving::StepInput;
using training::Csv;

struct WhatRan {
  std::string text, node, model, precision;
  int tensor = 1;
  double sequences = 0, prompt = 0, output = 0;
};

std::vector<WhatRan> read_runs(const fs::path& file) {
  const Csv csv = training::read_csv(file);
  std::vector<WhatRan> runs;
  for (const auto& line : csv.lines) {
    runs.push_back({csv.text(line, "text"), csv.text(line, "node"), csv.text(line, "model"),
                    csv.text(line, "precision"), static_cast<int>(csv.required(line, "tensor")),
                    csv.number(line, "sequences", 0), csv.required(line, "prompt_tokens"),
                    csv.number(line, "output_tokens", 0)});
  }
  return runs;
}

std::vector<NodeWallRow> read_rows(const fs::path& folder) {
  std::vector<NodeWallRow> rows;
  const Csv serving = training::read_csv(folder / "node-wall-inference.csv");
  for (const auto& line : serving.lines) {
    const std::string watts = serving.text(line, "median_w");
    rows.push_back({serving.text(line, "system"),
                    serving.text(line, "benchmark_scenario"),
                    std::strtod(watts.c_str(), nullptr),
                    {},
                    {}});
  }
  const Csv jobs = training::read_csv(folder / "node-wall-training.csv");
  for (const auto& line : jobs.lines) {
    rows.push_back({jobs.text(line, "system"),
                    jobs.text(line, "run") + " " + jobs.text(line, "node"),
                    jobs.required(line, "median_w"),
                    {},
                    {}});
  }
  return rows;
}

// A decode step of `sequences` and its share of prompts, or prompts alone.
StepCost step_of(const models::serving::StepModel& model, const WhatRan& ran) {
  const models::llm::Chunk chunk{std::llround(ran.prompt), 0};
  StepInput prompt;
  prompt.chunks = {&chunk, 1};
  prompt.logits = 1;
  const StepCost reading = model.cost(prompt);
  if (ran.sequences <= 0) return reading;
  StepInput decode;
  decode.decode_batch = static_cast<int>(ran.sequences);
  decode.decode_context = std::llround(ran.sequences * (ran.prompt + ran.output / 2));
  decode.logits = decode.decode_batch;
  StepCost sum = model.cost(decode);
  const double share = ran.sequences / ran.output;
  sum.seconds += share * reading.seconds;
  sum.host_s += share * reading.host_s;
  sum.tensor_s += share * reading.tensor_s;
  sum.memory_s += share * reading.memory_s;
  sum.link_s += share * reading.link_s;
  return sum;
}

// The node of a training row: eight of the GPU that the system's name says.
std::string node_of(const WhatRan& ran, const NodeWallRow& row) {
  if (!ran.node.empty()) return ran.node;
  return row.system.find("B200") != std::string::npos ? "hgx-b200" : "hgx-h100";
}

}  // namespace

std::vector<NodeWallRow> validate_node_wall(const scenarios::loader::Catalogue& catalogue,
                                            const fs::path& folder, const fs::path& calibration) {
  const auto runs = read_runs(folder / "node-wall-runs.csv");
  auto rows = read_rows(folder);
  const serving::RowReader reader(catalogue, {});
  std::map<std::string, double> known;
  for (NodeWallRow& row : rows) {
    const auto ran = std::find_if(runs.begin(), runs.end(), [&](const WhatRan& r) {
      return (row.system + ", " + row.run).find(r.text) != std::string::npos;
    });
    if (ran == runs.end()) {
      row.refused = "not a language model that is simulated here";
      continue;
    }
    const std::string node_name = node_of(*ran, row);
    const std::string key = ran->text + "|" + node_name;
    if (!known.contains(key)) {
      const auto node = scenarios::loader::load_node(node_name, catalogue).card;
      serving::ServedRow served;
      served.id = key;
      served.source = "mlperf-power";
      served.model = ran->model;
      served.gpu = node.spec.gpu.name;
      served.engine = "vllm";
      served.precision = ran->precision;
      served.tp = served.moe_tp = ran->tensor;
      served.input_tokens = static_cast<int>(ran->prompt);
      served.output_tokens = std::max(1, static_cast<int>(ran->output));
      served.concurrency = std::max(1, static_cast<int>(ran->sequences));
      try {
        auto d = reader.scenario(served).deployment;
        d.batching.max_sequences = std::max(d.batching.max_sequences, served.concurrency);
        d.batching.max_tokens =
            std::max(d.batching.max_tokens, served.concurrency + served.input_tokens);
        const models::serving::StepModel model(
            d, scenarios::loader::read_calibration(calibration, d.node.gpu.tables));
        const StepCost step = step_of(model, *ran);
        const auto share = [&](double busy) { return std::min(1.0, busy / step.seconds); };
        const double gpu = models::power::gpu_power(
                               d.node.gpu, node.power,
                               {share(step.tensor_s), share(step.memory_s), share(step.link_s)},
                               share(step.seconds - step.host_s))
                               .value();
        known[key] = models::power::node_power(node.spec, gpu, 1.0, 1.0).wall;
      } catch (const sim::core::InputError& error) {
        row.refused = error.diagnostics().front().message;
        continue;
      }
    }
    row.predicted_w = known.at(key);
  }
  return rows;
}

}  // namespace foretoken::validation::power
