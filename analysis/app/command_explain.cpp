// foretoken explain: a request of a run in words; what a metric or a key of a scenario means.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/definitions.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/saved_scenario.hpp"
#include "analysis/app/session.hpp"
#include "analysis/exporters/saved_run.hpp"
#include "analysis/request_story.hpp"
#include "analysis/results_store.hpp"
#include "analysis/run_tables.hpp"
#include "analysis/traffic_story.hpp"
#include "models/serving/serving.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;

CommandPage explain_page() {
  CommandPage page;
  page.synopsis = "explain RUN request=N | explain RUN traffic=NAME | explain METRIC | explain KEY";
  page.about =
      "A request of a run in words: when it arrived, behind what it queued, in which steps it was\n"
      "processed, what held it up. RUN is the folder of a run; the scenario is simulated again "
      "with\n"
      "an eye on that request, which gives the same run. A traffic of a run on a fabric, or a use\n"
      "of a deployment's network (kv_transfer, cache_read, weight_load, steps): what it took, on\n"
      "which links it waited, and for whom. Or the definition and formula of a metric, "
      "or\n"
      "the meaning of a scenario's key.\n";
  page.examples =
      "  foretoken explain runs/mine request=17\n"
      "  foretoken explain runs/contention traffic=experts\n"
      "  foretoken explain tpot\n"
      "  foretoken explain p99_ttft_ms\n"
      "  foretoken explain deployment.batching.max_tokens\n";
  page.min_arguments = 1;
  page.max_arguments = 2;
  return page;
}

std::int64_t request_number(const std::string& argument) {
  constexpr std::string_view kHead = "request=";
  std::int64_t number = -1;
  const char* const end = argument.data() + argument.size();
  if (argument.starts_with(kHead)) {
    const auto read = std::from_chars(argument.data() + kHead.size(), end, number);
    if (read.ec == std::errc{} && read.ptr == end && number >= 0) return number;
  }
  throw UsageError(fmt::format(
      "'{}': write request=N, the number of a request from 0 on, or traffic=NAME", argument));
}

int explain_traffic(const fs::path& run, const std::string& name) {
  (void)exporters::open_run(run);  // says so if it is not a run
  std::cout << traffic_story(run / "run.h5", name);
  return kOk;
}

// Of the table of a run; says what there is instead where it has no such row.
std::size_t row_of(const fs::path& run, const models::serving::RequestTable& table,
                   std::int64_t request) {
  if (const auto row = table.row_of(request)) return *row;
  const auto count = static_cast<std::int64_t>(table.size());
  if (table.complete() || count == 0)
    throw InputError(table.complete()
                         ? fmt::format("{} has {} requests, numbered from 0 to {}: there is no {}",
                                       run.string(), count, count - 1, request)
                         : fmt::format("{} kept no record of a request", run.string()));
  const auto next = std::lower_bound(table.number.begin(), table.number.end(), request);
  throw InputError(fmt::format("{} kept one request of {} in a row, and not {}; the next is {}",
                               run.string(), table.one_in, request,
                               next == table.number.end() ? table.number.back() : *next));
}

int explain_request(const fs::path& run, std::int64_t request, const fs::path& home) {
  const auto saved = exporters::open_run(run);
  const ServingResult tables = read_run_tables(run / "run.h5");
  const std::size_t row = row_of(run, tables.requests, request);
  std::cout << fmt::format("request {} of {}{} in {}\n\n", request, tables.requests.size(),
                           tables.requests.complete() ? "" : " that were kept", run.string());
  std::string why;
  auto scenario = load_again(saved.manifest, home, why);
  if (scenario) {
    scenario->serving.watch = request;
    const ServingResult result =
        models::serving::simulate(scenario->serving, load_calibration(home, *scenario), {});
    if (result.requests.size() > row &&
        result.requests.arrival_s[row] == tables.requests.arrival_s[row] &&
        (result.requests.last_token_s[row] == tables.requests.last_token_s[row] ||
         tables.requests.outcome[row] != models::serving::RequestOutcome::completed)) {
      std::cout << request_story(*scenario, result, row);
      return kOk;
    }
    why = "this program predicts another run by now (its version or calibration differs)";
  }
  fmt::print(stderr, "note: {}; what follows is what run.h5 keeps\n", why);
  std::cout << request_outline(tables, row);
  return kOk;
}

}  // namespace

int explain_command(const Invocation& invocation) {
  const auto line = parse(explain_page(), invocation);
  if (!line) return kOk;
  const std::string& first = line->arguments[0];
  constexpr std::string_view kTraffic = "traffic=";
  if (line->arguments.size() == 2 && line->arguments[1].starts_with(kTraffic))
    return explain_traffic(first, line->arguments[1].substr(kTraffic.size()));
  if (line->arguments.size() == 2)
    return explain_request(first, request_number(line->arguments[1]), invocation.home);
  std::error_code code;
  if (fs::is_directory(first, code))
    throw UsageError("which request of " + first +
                     "? Add request=N, or traffic=NAME for a run on a fabric");
  if (const auto text = definition_of(first)) {
    std::cout << *text;
    return kOk;
  }
  throw UsageError(fmt::format("'{}' is no metric and no key of a scenario{}", first,
                               suggestion(first, defined_names())));
}

}  // namespace foretoken::analysis::app
