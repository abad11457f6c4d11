// foretoken export: what a run recorded, in the format of another program.
#include <fmt/format.h>

#include <charconv>
#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/results_store.hpp"
#include "analysis/training_store.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::app {
namespace {

CommandPage page() {
  CommandPage page;
  page.synopsis = "export RUN --to FORMAT [options]";
  page.about =
      "Writes the timeline of a run. perfetto: Chrome trace JSON of a training run's pipeline, "
      "one\n"
      "process a pipeline rank with a compute and a message thread; opens in ui.perfetto.dev.\n"
      "The size is estimated first.\n";
  page.examples =
      "  foretoken export runs/v3 --to perfetto\n"
      "  foretoken export runs/v3 --to perfetto --from 1s --until 2s --ranks 0,8-15 --out "
      "v3.json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"to", "FORMAT", "perfetto"},
      {"out,o", "FILE", "file to write (default: trace.perfetto.json)"},
      {"from", "TIME", "begin of the window (default: the start)"},
      {"until", "TIME", "end of the window (default: the end)"},
      {"ranks", "LIST", "pipeline ranks, such as 0,2-5 (default: all)"},
      {"max-size", "SIZE", "refuse to write more", "1GB"},
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

}  // namespace

int export_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  if (!line->has("to")) throw UsageError("export needs --to FORMAT; there is: perfetto");
  (void)line->choice("to", {"perfetto"});
  const PipelineTable table = read_pipeline(line->arguments[0]);
  TraceSelection selection;
  if (const auto from = line->seconds("from")) selection.from_s = *from;
  if (const auto until = line->seconds("until")) selection.to_s = *until;
  if (line->has("ranks")) selection.devices = ranks_of(line->text("ranks"));
  const TraceSize size = estimate_trace(table, selection);
  if (size.events == 0)
    throw sim::core::InputError("no event in that window and those ranks; nothing was written");
  fmt::print(stderr, "{} of {} events, about {:.1f} MB\n", size.events, table.size(),
             static_cast<double>(size.bytes) * 1e-6);
  const double limit = line->bytes("max-size").value_or(1e9);
  if (static_cast<double>(size.bytes) > limit) {
    fmt::print(stderr,
               "foretoken: about {:.1f} MB is above --max-size; choose a window (--from, --until) "
               "or ranks (--ranks)\n",
               static_cast<double>(size.bytes) * 1e-6);
    return kLimitHit;
  }
  const std::filesystem::path file =
      line->has("out") ? line->text("out") : std::string("trace.perfetto.json");
  write_file_atomically(file, trace_json(table, selection));
  std::cout << file.string() << '\n';
  return kOk;
}

}  // namespace foretoken::analysis::app
