// foretoken emit: the chosen deployment as its engine's, Kubernetes' or Slurm's files, and the
// benchmark that checks the prediction.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/saved_scenario.hpp"
#include "analysis/app/session.hpp"
#include "analysis/exporters/launch_files.hpp"
#include "analysis/exporters/saved_run.hpp"
#include "analysis/results_store.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;

CommandPage page() {
  CommandPage page;
  page.synopsis = "emit RUN vllm|sglang|trtllm|k8s|slurm|bench [options]";
  page.about =
      "Prints what puts the deployment of a run (or of a scenario file) into service: the "
      "engine's\n"
      "launch line, a Kubernetes manifest or a Slurm job; or, with bench, the commands that "
      "measure\n"
      "the very load that was predicted, simulate what was measured, and set both side by side.\n";
  page.examples =
      "  foretoken emit runs/mine sglang\n"
      "  foretoken emit runs/mine k8s --out deploy.yaml\n"
      "  foretoken emit runs/mine bench > bench.sh\n";
  page.min_arguments = page.max_arguments = 2;
  page.options = {
      {"out,o", "FILE", "file to write (default: standard output)"},
      {"model-path", "PATH", "path or Hugging Face id of the model (default: the card's)"},
      {"set", "PATH=VALUE", "of a scenario file: replace one value; may be repeated", "", true},
  };
  return page;
}

// "config.json of Hugging Face deepseek-ai/DeepSeek-R1, copy ..." -> deepseek-ai/DeepSeek-R1
std::string published_name(const fs::path& home, const std::string& model) {
  std::ifstream stream(home / "scenarios" / "models" / (model + ".json"));
  const auto card = nlohmann::json::parse(stream, nullptr, false);
  if (!card.is_object()) return {};
  const std::string source = card.value("_source", "");
  constexpr std::string_view kMark = "Hugging Face ";
  const std::size_t at = source.find(kMark);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + kMark.size();
  const std::size_t end = source.find_first_not_of(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./", begin);
  std::string name = source.substr(begin, end - begin);
  while (!name.empty() && name.back() == '.') name.pop_back();
  return name.find('/') == std::string::npos ? std::string() : name;
}

struct Subject {
  scenarios::loader::Scenario scenario;
  std::string summary;
};

Subject subject_of(const ParsedLine& line, const fs::path& home) {
  const fs::path path = line.arguments[0];
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    if (scenarios::loader::is_training_scenario(path) ||
        scenarios::loader::is_traffic_scenario(path))
      throw InputError(path.string() + ": emit is for serving scenarios");
    return {load_with_warnings(path, home, line.list("set")), {}};
  }
  const auto run = exporters::open_run(path);
  if (run.kind != "serving")
    throw InputError(
        fmt::format("{} is a run of {}; emit is for serving runs", path.string(), run.kind));
  if (line.has("set")) throw UsageError("--set is for scenario files; a run is what it is");
  std::string why;
  auto scenario = load_again(run.manifest, home, why);
  if (!scenario)
    throw InputError(
        fmt::format("{}: {}; emit from the scenario file, or run it again", path.string(), why));
  return {std::move(*scenario), run.summary};
}

std::string text_of(const exporters::Emission& emission, const std::string& target) {
  if (target == "k8s") return exporters::kubernetes_manifest(emission);
  if (target == "slurm") return exporters::slurm_script(emission);
  if (target == "bench") return exporters::benchmark_script(emission);
  return exporters::launch_script(emission);
}

}  // namespace

int emit_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const std::vector<std::string> targets = {"vllm", "sglang", "trtllm", "k8s", "slurm", "bench"};
  const std::string& target = line->arguments[1];
  if (std::find(targets.begin(), targets.end(), target) == targets.end())
    throw UsageError(fmt::format("'{}': emit writes {}{}", target, fmt::join(targets, ", "),
                                 suggestion(target, targets)));
  const Subject subject = subject_of(*line, invocation.home);
  const auto& deployment = subject.scenario.serving.deployment;
  exporters::Emission emission;
  emission.scenario = &subject.scenario;
  const bool names_engine = target == "vllm" || target == "sglang" || target == "trtllm";
  emission.engine = names_engine ? target : deployment.engine.tables.engine;
  const bool known =
      std::find(std::begin(exporters::kLaunchEngines), std::end(exporters::kLaunchEngines),
                emission.engine) != std::end(exporters::kLaunchEngines);
  if (target != "bench" && !known)
    throw InputError(fmt::format("no launch line is known for {}; emit vllm, sglang or trtllm",
                                 deployment.engine.name));
  emission.model = line->has("model-path") ? line->text("model-path")
                                           : published_name(invocation.home, deployment.model.name);
  emission.scenario_path = subject.scenario.file.string();
  emission.summary = subject.summary;
  const std::string text = text_of(emission, target);
  if (!line->has("out")) {
    std::cout << text;
    return kOk;
  }
  write_file_atomically(line->text("out"), text);
  std::cout << line->text("out") << '\n';
  return kOk;
}

}  // namespace foretoken::analysis::app
