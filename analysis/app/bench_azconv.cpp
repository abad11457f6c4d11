// AZ-CONV-4: the public trace that other serving simulators are timed with.
#include "models/serving/bench_azconv.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "analysis/app/bench_azconv.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/trace.hpp"

namespace foretoken::analysis::app {
namespace {

namespace loader = scenarios::loader;
namespace serving = models::serving;

CommandPage azconv_page() {
  CommandPage page;
  page.synopsis = "bench azconv [options]";
  page.about =
      "Azure conversation trace of 2023, 19,366 requests of at most 4,096 tokens, Llama-2-7B on\n"
      "A100-80GB, chunked prefill of 512 tokens a step, 128 sequences. With --replicas N the\n"
      "arrivals come N/4 times as fast. CPU and memory are of the whole process, loading "
      "included.\n";
  page.options = {
      {"replicas", "N", "replicas, round robin", "4"},
      {"threads", "N", "threads", "1"},
      {"json", "", "one JSON object (the only format)"},
  };
  return page;
}

serving::ServingSpec load(const std::filesystem::path& home, int replicas) {
  const loader::Catalogue catalogue(home);
  const std::filesystem::path folder = home / "scenarios";
  const auto node = loader::load_node("a100-80gb-x4", catalogue);
  serving::ServingSpec spec = serving::azconv_spec(
      loader::read_model_config(folder / "models" / "llama-2-7b.json"), node.card.spec,
      loader::load_engine("vllm-0.14.0", catalogue).card,
      loader::read_trace(folder / "workloads" / "azure-llm-2023-conv.csv.gz"), replicas);
  spec.deployment.power = node.card.power;
  return spec;
}

}  // namespace

int bench_azconv(const Invocation& invocation) {
  const auto line = parse(azconv_page(), invocation);
  if (!line) return kOk;
  constexpr int kMostReplicas = 100'000;
  const int replicas = static_cast<int>(line->integer("replicas", 1, kMostReplicas));
  sim::engine::RunOptions options;
  options.threads = static_cast<int>(line->integer("threads", 1, 1024));
  if (options.threads > 1) options.executor = sim::engine::ExecutorKind::threads;

  const serving::ServingSpec spec = load(invocation.home, replicas);
  auto calibration =
      loader::read_calibration(calibration_file(invocation.home), spec.deployment.node.gpu.tables);
  const double loaded_cpu_s = resource_use().cpu_s;
  const auto start = std::chrono::steady_clock::now();
  const auto result = serving::simulate(spec, std::move(calibration), options);
  const double wall_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ResourceUse used = resource_use();
  if (!result.conservation_errors.empty()) throw std::logic_error(result.conservation_errors[0]);

  const auto steps = static_cast<double>(result.total_steps);
  const auto completed = static_cast<double>(result.completed);
  const nlohmann::ordered_json json = {{"bench", "azconv"},
                                       {"replicas", replicas},
                                       {"threads", options.threads},
                                       {"cpu_s", used.cpu_s},
                                       {"load_cpu_s", loaded_cpu_s},
                                       {"wall_s", wall_s},
                                       {"peak_rss_mib", used.peak_rss_mib},
                                       {"requests", result.completed},
                                       {"steps", result.total_steps},
                                       {"steps_per_s", steps / wall_s},
                                       {"requests_per_s", completed / wall_s},
                                       {"events", result.run.events},
                                       {"hash", fmt::format("{:016x}", result.run.hash)}};
  std::cout << json.dump(2) << '\n';
  return result.completed > 0 ? kOk : kBadInput;
}

}  // namespace foretoken::analysis::app
