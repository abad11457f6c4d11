#include "analysis/training_store.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "analysis/file_exchange.hpp"
#include "analysis/results_store.hpp"
#include "analysis/run_documents.hpp"
#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using scenarios::loader::Hdf5File;
using scenarios::loader::TrainingScenario;
using sim::core::InputError;

// What hashing and the resolved configuration need is common to both kinds of scenario.
Scenario common_part(const TrainingScenario& training) {
  Scenario scenario;
  scenario.name = training.name;
  scenario.file = training.file;
  scenario.resolved = training.resolved;
  scenario.input_hashes = training.input_hashes;
  scenario.serving.seed = training.run.seed;
  return scenario;
}

void write_tables(const fs::path& file, const PipelineTable& table, const TrainingPrediction& p) {
  Hdf5File h5 = Hdf5File::create(file);
  h5.set_attribute("/", "format_version", std::int64_t{kRunFormatVersion});
  h5.set_attribute("/", "kind", "training");
  h5.set_attribute("/", "name", table.name);
  h5.make_group("pipeline");
  h5.set_attribute("pipeline", "rows", "a span of a stream of one pipeline rank, by start");
  const auto put = [&](const char* name, const auto& column, const char* unit) {
    h5.write(std::string("pipeline/") + name, column);
    h5.set_attribute(std::string("pipeline/") + name, "unit", unit);
  };
  put("start_ps", table.start_ps, "ps");
  put("end_ps", table.end_ps, "ps");
  put("device", table.device, "index");
  put("position", table.position, "index");
  put("micro_batch", table.micro_batch, "index");
  put("position2", table.position2, "index");
  put("micro_batch2", table.micro_batch2, "index");
  put("work", table.work, "code");
  h5.set_attribute("pipeline/work", "codes",
                   "0 forward, 1 backward, 2 input gradient, 3 weight gradient, 4 overlapped");
  put("message", table.message, "1 = on the message stream");
  std::vector<double> seconds(p.step.waterfall.parts.begin(), p.step.waterfall.parts.end());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < models::training::kParts; ++i)
    names.emplace_back(to_string(static_cast<models::training::Part>(i)));
  h5.make_group("waterfall");
  h5.write("waterfall/seconds", seconds);
  h5.set_attribute("waterfall/seconds", "unit", "s");
  h5.write_strings("waterfall/part", names);
  h5.close();
}

std::string manifest(const TrainingScenario& training, const RunInfo& info) {
  const Scenario scenario = common_part(training);
  Json files = Json::object();
  for (const auto& [file, hash] : training.input_hashes) files[file] = hash;
  const Json j = {{"format_version", kRunFormatVersion},
                  {"kind", "training"},
                  {"name", training.name},
                  {"scenario", training.file.string()},
                  {"scenario_hash", fmt::format("fnv1a64:{:016x}", scenario_hash(scenario))},
                  {"inputs", files},
                  {"seed", training.run.seed},
                  {"foretoken_version", info.version},
                  {"build", build_description()},
                  {"replay", info.replay_command},
                  {"files", {"summary.json", "run.h5", "report.html", "config.resolved.yaml"}},
                  {"run",
                   {{"threads", info.threads},
                    {"wall_s", info.wall_s},
                    {"cpu_s", info.cpu_s},
                    {"peak_rss_mib", info.peak_rss_mib}}}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

fs::path default_training_directory(const TrainingScenario& scenario) {
  return default_run_directory(common_part(scenario));
}

PipelineTable pipeline_table(const std::string& name, const TrainingPrediction& p) {
  PipelineTable table;
  table.name = name;
  for (const auto& span : p.pipeline.spans) {
    table.start_ps.push_back(span.start.ps());
    table.end_ps.push_back(span.end.ps());
    table.device.push_back(span.device);
    table.position.push_back(span.task.position);
    table.micro_batch.push_back(span.task.micro_batch);
    table.position2.push_back(span.task.position2);
    table.micro_batch2.push_back(span.task.micro_batch2);
    table.work.push_back(static_cast<std::uint8_t>(span.task.work));
    table.message.push_back(span.message ? 1 : 0);
  }
  return table;
}

PipelineTable read_pipeline(const fs::path& run_directory) {
  const fs::path file = run_directory / "run.h5";
  if (!fs::is_regular_file(file))
    throw InputError(
        fmt::format("{} holds no run.h5; name the folder of a run (foretoken run ... --out DIR)",
                    run_directory.string()));
  const Hdf5File h5 = Hdf5File::open(file);
  if (!h5.exists("pipeline"))
    throw InputError(file.string() +
                     " has no pipeline timeline: only runs of training scenarios have one");
  PipelineTable t;
  t.name = h5.string_attribute("/", "name");
  t.start_ps = h5.read<std::int64_t>("pipeline/start_ps");
  t.end_ps = h5.read<std::int64_t>("pipeline/end_ps");
  t.device = h5.read<std::int32_t>("pipeline/device");
  t.position = h5.read<std::int32_t>("pipeline/position");
  t.micro_batch = h5.read<std::int32_t>("pipeline/micro_batch");
  t.position2 = h5.read<std::int32_t>("pipeline/position2");
  t.micro_batch2 = h5.read<std::int32_t>("pipeline/micro_batch2");
  t.work = h5.read<std::uint8_t>("pipeline/work");
  t.message = h5.read<std::uint8_t>("pipeline/message");
  for (const std::size_t n :
       {t.end_ps.size(), t.device.size(), t.position.size(), t.micro_batch.size(),
        t.position2.size(), t.micro_batch2.size(), t.work.size(), t.message.size()})
    if (n != t.size()) throw InputError(file.string() + ": columns of pipeline differ in length");
  return t;
}

void write_training_run(const fs::path& directory, const TrainingScenario& scenario,
                        const TrainingPrediction& prediction, const RunInfo& info) {
  check_writable(directory);
  try {
    StagedDirectory staged(directory);
    const fs::path& at = staged.path();
    write_plain_file(at / "summary.json", training_json(scenario, prediction, &info));
    write_tables(at / "run.h5", pipeline_table(scenario.name, prediction), prediction);
    write_plain_file(at / "report.html", training_report_html(scenario, prediction));
    write_plain_file(at / "config.resolved.yaml", resolved_yaml(common_part(scenario)));
    write_plain_file(at / "manifest.json", manifest(scenario, info));
    staged.commit();
  } catch (const fs::filesystem_error& e) {
    throw InputError("cannot write the results to " + directory.string() + ": " +
                     e.code().message());
  }
}

}  // namespace foretoken::analysis
