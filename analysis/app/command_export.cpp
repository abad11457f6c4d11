// foretoken export: what a run recorded, in the format of another program.
#include <fmt/format.h>

#include <charconv>
#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/exporters/saved_run.hpp"
#include "analysis/exporters/serving_trace.hpp"
#include "analysis/exporters/tables.hpp"
#include "analysis/exporters/vllm_json.hpp"
#include "analysis/results_store.hpp"
#include "analysis/training_store.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

using sim::core::InputError;

CommandPage page() {
  CommandPage page;
  page.synopsis = "export RUN --to csv|jsonl|vllm-json|perfetto [options]";
  page.about =
      "Writes what a run recorded. csv and jsonl: a table of a serving run, one row a request, an\n"
      "engine step or a bin of time. vllm-json: the file of 'vllm bench serve --save-detailed', "
      "so\n"
      "that scripts made for it work. perfetto: Chrome trace JSON for ui.perfetto.dev; of a "
      "serving\n"
      "run its steps, requests and counters, of a training run its pipeline; the size is "
      "estimated\n"
      "first. run.h5 itself opens in h5py and pandas as it is: analysis/examples/read_run.py.\n";
  page.examples =
      "  foretoken export runs/mine --to csv --out requests.csv\n"
      "  foretoken export runs/mine --to jsonl --table iterations --out -\n"
      "  foretoken export runs/mine --to vllm-json\n"
      "  foretoken export runs/v3 --to perfetto --from 1s --until 2s --ranks 0,8-15 --out "
      "v3.json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"to", "FORMAT", "csv, jsonl, vllm-json or perfetto"},
      {"out,o", "FILE",
       "file to write, - is standard output (default: named after table and format)"},
      {"table", "NAME", "csv and jsonl: requests, iterations or timeseries", "requests"},
      {"from", "TIME", "perfetto: begin of the window (default: the start)"},
      {"until", "TIME", "perfetto: end of the window (default: the end)"},
      {"ranks", "LIST", "perfetto: replicas or pipeline ranks, such as 0,2-5 (default: all)"},
      {"max-size", "SIZE", "perfetto: refuse to write more", "1GB"},
  };
  return page;
}

std::vector<int> ranks_of(const std::string& text) {
  std::vector<int> ranks;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](int& value) {
    const auto [stop, status] = std::from_chars(at, end, value);
    const bool good = status == std::errc{} && value >= 0;
    at = stop;
    return good;
  };
  while (at != end) {
    int first = 0;
    bool good = number(first);
    int last = first;
    if (good && at != end && *at == '-') {
      ++at;
      good = number(last) && last >= first && last - first < 100'000;
    }
    if (!good || (at != end && *at != ','))
      throw UsageError(fmt::format("--ranks '{}': write ranks such as 0,2-5", text));
    for (int r = first; r <= last; ++r) ranks.push_back(r);
    if (at != end) ++at;
  }
  return ranks;
}

int write_out(const ParsedLine& line, const std::string& usual_name, const std::string& text) {
  const std::string name = line.has("out") ? line.text("out") : usual_name;
  if (name == "-") {
    std::cout << text;
    return kOk;
  }
  write_file_atomically(name, text);
  std::cout << name << '\n';
  return kOk;
}

// The timeline, estimated before it is made.
template <class Estimate, class Make>
int export_trace(const ParsedLine& line, const Estimate& estimate, const Make& make) {
  TraceSelection selection;
  if (const auto from = line.seconds("from")) selection.from_s = *from;
  if (const auto until = line.seconds("until")) selection.to_s = *until;
  if (line.has("ranks")) selection.devices = ranks_of(line.text("ranks"));
  const TraceSize size = estimate(selection);
  if (size.events == 0)
    throw InputError("no event in that window and those ranks; nothing was written");
  const double bytes = static_cast<double>(size.bytes);
  fmt::print(stderr, "{} events, about {:.1f} MB\n", size.events, bytes * 1e-6);
  if (bytes > line.bytes("max-size").value_or(1e9)) {
    fmt::print(stderr,
               "foretoken: about {:.1f} MB is above --max-size; choose a window (--from, --until) "
               "or ranks (--ranks)\n",
               bytes * 1e-6);
    return kLimitHit;
  }
  return write_out(line, "trace.perfetto.json", make(selection));
}

int export_serving(const ParsedLine& line, const exporters::SavedRun& run,
                   const std::string& format) {
  const ServingResult tables = read_run_tables(run.folder / "run.h5");
  if (format == "perfetto")
    return export_trace(
        line, [&](const auto& s) { return exporters::estimate_serving_trace(tables, s); },
        [&](const auto& s) { return exporters::serving_trace_json(tables, s); });
  if (format == "vllm-json") return write_out(line, "vllm.json", exporters::vllm_json(run, tables));
  const std::string& table = line.choice("table", {"requests", "iterations", "timeseries"});
  if (table == "requests" && tables.requests.size() == 0)
    throw InputError(run.folder.string() + " kept no table of requests; nothing was written");
  return write_out(
      line, table + "." + format,
      format == "csv" ? exporters::csv_of(tables, table) : exporters::jsonl_of(tables, table));
}

void check_options(const ParsedLine& line, const std::string& format) {
  for (const char* name : {"from", "until", "ranks"})
    if (format != "perfetto" && line.has(name))
      throw UsageError(fmt::format("--{} is for --to perfetto", name));
}

}  // namespace

int export_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const std::vector<std::string> formats = {"csv", "jsonl", "vllm-json", "perfetto"};
  if (!line->has("to"))
    throw UsageError(fmt::format("export needs --to FORMAT: {}", fmt::join(formats, ", ")));
  const std::string& format = line->choice("to", formats);
  check_options(*line, format);
  const auto run = exporters::open_run(line->arguments[0]);
  if (run.kind == "serving") return export_serving(*line, run, format);
  if (run.kind != "training" || format != "perfetto")
    throw InputError(
        fmt::format("{} is a run of {}: there is {}; its tables are in run.h5", run.folder.string(),
                    run.kind, run.kind == "training" ? "--to perfetto only" : "no export of it"));
  const PipelineTable table = read_pipeline(run.folder);
  return export_trace(
      *line, [&](const auto& s) { return estimate_trace(table, s); },
      [&](const auto& s) { return trace_json(table, s); });
}

}  // namespace foretoken::analysis::app
