// foretoken import: what a trace of requests is like; a profiler's trace as a table of kernels; a
// client pool packed into one file.
#include <fmt/format.h>

#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/workload_profile.hpp"
#include "models/serving/arrivals.hpp"
#include "scenarios/loader/client_pool_file.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/trace.hpp"
#include "validation/importers/trace.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
namespace loader = scenarios::loader;
namespace serving = models::serving;

CommandPage import_page() {
  CommandPage page;
  page.synopsis = "import FILE [--to-csv OUT | --pack OUT] [--json]";
  page.about =
      "Requests: says in six lines what a trace is like: Azure, BurstGPT, Vidur or plain CSV,\n"
      "Mooncake or LLMServingSim JSON lines, a vLLM benchmark result, or a ServeGen client pool\n"
      "(its folder or packed file: a day of it is generated). FILE may be a name of the "
      "catalogue.\n"
      "With --pack a pool is written as one file, for scenarios to name.\n"
      "Kernels: with --to-csv, the table of GPU kernels of a PyTorch profiler (Kineto) trace, "
      ".json\n"
      "or .json.gz, or of a Nsight Systems export, .sqlite: name,stream,start_us,duration_us. A "
      "name\n"
      "that ends in .gz is packed.\n";
  page.examples =
      "  foretoken import mooncake-conversation\n"
      "  foretoken import my-requests.jsonl.gz --json\n"
      "  foretoken import ServeGen/data/reason/deepseek-r1 --pack deepseek-r1.csv.gz\n"
      "  foretoken import my.pt.trace.json.gz --to-csv my.csv.gz\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {{"to-csv", "OUT", "file to write the table of kernels to"},
                  {"pack", "OUT", "file to write a client pool to"},
                  {"json", "", "the profile as JSON"}};
  return page;
}

int import_kernels(const std::string& file, const std::string& out) {
  const auto trace = validation::importers::read_trace(file);
  validation::importers::write_kernel_table(trace, out);
  std::cout << fmt::format("{}: {} GPU activities{}\n", out, trace.kernels.size(),
                           trace.device.empty() ? "" : " on " + trace.device);
  return kOk;
}

fs::path find(const std::string& name, const fs::path& home) {
  std::error_code code;
  if (fs::exists(name, code)) return name;
  for (const auto& entry : loader::Catalogue(home).list("workloads"))
    if (entry.name == name) return entry.file;
  return name;
}

void print(const WorkloadProfile& profile, const std::string& file, const std::string& format,
           const std::vector<std::string>& notes, bool json) {
  if (json) {
    std::cout << profile_json(profile, format);
    return;
  }
  std::cout << fmt::format("{}: {}\n{}", file, format, profile_text(profile));
  for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
}

// A day of the pool, as a scenario would draw it.
void profile_pool(const std::shared_ptr<const serving::ClientPool>& pool, const std::string& file,
                  bool json) {
  serving::WorkloadSpec workload;
  workload.arrivals = serving::PoolArrivals{pool};
  workload.duration = sim::core::Duration::from_seconds(pool->span_s);
  const auto source = serving::make_open_arrivals(workload, 1);
  std::vector<serving::TraceRequest> requests;
  while (const auto request = source->next()) requests.push_back(*request);
  print(profile_requests(requests, nullptr, true), file,
        fmt::format("client pool, {} clients, drawn over {:g} h", pool->clients.size(),
                    pool->span_s / 3600.0),
        {}, json);
}

}  // namespace

int import_command(const Invocation& invocation) {
  const auto line = parse(import_page(), invocation);
  if (!line) return kOk;
  const std::string& name = line->arguments[0];
  if (line->has("to-csv")) {
    if (line->has("pack")) throw UsageError("--to-csv and --pack exclude each other");
    return import_kernels(name, line->text("to-csv"));
  }
  if (name.ends_with(".sqlite") || name.ends_with(".trace.json") ||
      name.ends_with(".trace.json.gz")) {
    throw UsageError("a profiler's trace needs --to-csv OUT: the file to write");
  }
  const fs::path file = find(name, invocation.home);
  if (loader::is_client_pool(file)) {
    const auto pool = loader::read_client_pool(file);
    if (line->has("pack")) {
      loader::write_client_pool(*pool, line->text("pack"));
      std::cout << fmt::format("{}: {} clients\n", line->text("pack"), pool->clients.size());
      return kOk;
    }
    profile_pool(pool, name, line->has("json"));
    return kOk;
  }
  if (line->has("pack")) throw UsageError("--pack is for client pools; " + name + " is a trace");
  const loader::Trace trace = loader::read_trace_file(file);
  print(profile_requests(*trace.requests, trace.prefix.get(), trace.timed), name, trace.format,
        trace.notes, line->has("json"));
  return kOk;
}

}  // namespace foretoken::analysis::app
