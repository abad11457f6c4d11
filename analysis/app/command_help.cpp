// foretoken help: topics, or the page of a command.
#include <fmt/format.h>

#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/manual_page.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {
namespace {

struct Topic {
  std::string_view name;
  std::string_view text;
};

constexpr std::string_view kUnits =
    R"(Every dimensional value in a scenario or card carries its unit; a bare number is an error.

  memory       80GB (10^9 bytes), 80GiB (2^30 bytes); kB MB GB TB, KiB MiB GiB TiB
  bandwidth    3.35TB/s is bytes, 400Gb/s is bits: B is byte, b is bit, 8 b = 1 B
  arithmetic   989TFLOPS, 1979TOPS
  time         20us, 50ms, 2s, 2min, 1h, 30d, 3y (365 days)
  rate         5.5/s or 5.5req/s
  power        700W, 10.2kW
  money        250000CNY, 30000USD, 0.8CNY/kWh, 2.00USD/GPU/h
  share        0.9 or 90%

Results use SI units with the unit in the key: p99_ttft_ms, mean_gpu_watts.
)";

constexpr std::string_view kMetrics =
    R"(For a request: a arrival, s first scheduled, f first token out, c last token out,
L input tokens, N output tokens. T is the measured window, G the GPUs of the deployment.

  TTFT             f - a: time to first token, queueing included
  TPOT             (c - f) / (N - 1), N >= 2: time per output token, the first left out
  E2EL             c - a: end-to-end latency
  queueing         s - a
  request rate     requests whose last token left in the window / T
  output tok/s     their output tokens / T; total adds their input tokens
  per GPU          the same / G; numerator and GPU-seconds are in summary.json
  tok/s/user       1 / TPOT
  percentiles      linear between order statistics (NumPy's default)
  SLO attainment   requests within every limit / arrived in the window;
                   rejected and unfinished requests are misses
  goodput          good requests / T
  J per token      energy in the window / output tokens, at the GPU, the server and the facility
  cost per Mtoken  cost per hour / tokens per hour, output and total

Each figure says where it came from:
  measured     interpolated in measurements of this very GPU and engine
  calibrated   a fitted model, or measurements of a near relative
  analytical   a physical model from the card alone
  assumed      a default nobody checked for this case
  user         stated in the scenario
)";

constexpr std::string_view kExitCodes =
    R"(  0    ok; a missed SLO is reported, not an error
  1    a bug: please report it
  2    wrong use of the command line
  3    bad input, or a run in which no work was done
  4    infeasible: the model does not fit
  5    a gate that was asked for failed (--require, --max-mape)
  6    a limit was reached (--time-limit, --mem-limit); results are partial and say so
  130  interrupted with Ctrl-C; results are partial and say so
)";

constexpr Topic kTopics[] = {{"units", kUnits}, {"metrics", kMetrics}, {"exit-codes", kExitCodes}};

}  // namespace

int help_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "help [units|metrics|exit-codes|COMMAND]";
  page.about = "Explains a topic or a command.\n";
  page.max_arguments = 1;
  page.options = {{"man", "", "the manual page of all commands, as troff"}};
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  if (line->has("man")) {
    std::cout << manual_page(kExitCodes);
    return kOk;
  }
  if (line->arguments.empty()) {
    std::cout << overview();
    return kOk;
  }
  const std::string& word = line->arguments[0];
  std::vector<std::string> names;
  for (const Topic& topic : kTopics) {
    names.emplace_back(topic.name);
    if (topic.name != word) continue;
    std::cout << topic.text;
    return kOk;
  }
  for (const Command& command : commands()) {
    names.emplace_back(command.name);
    if (command.name == word) return command.run({word, {"--help"}, invocation.home, {}, nullptr});
  }
  throw UsageError(fmt::format("no help on '{}'{}; there is help on {}", word,
                               suggestion(word, names), fmt::join(names, ", ")));
}

}  // namespace foretoken::analysis::app
